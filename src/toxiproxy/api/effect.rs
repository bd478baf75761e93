//! The types of toxics with their attributes.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::attributes::{AttributeError, Attributes};
use super::quantity::{Millis, RateBytes};

/// Largest count of bytes in an attribute: 2^53, up to which JSON numbers are
/// exact everywhere.
pub const BYTES_MAX: u64 = 1 << 53;

/// Longest name of a bucket, in bytes.
pub const BUCKET_NAME_BYTES_MAX: usize = 255;

/// A toxic's type with its attributes. Those marked as extensions exist in the
/// bundled server only.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Every byte is delayed.
    Latency(Latency),
    /// Bytes pass at a rate.
    Bandwidth(Bandwidth),
    /// Closing takes longer; data does not.
    SlowClose {
        /// Between the last byte and the close.
        delay: Millis,
    },
    /// All data is dropped, and the connection is closed after a time.
    ///
    /// The time runs from when toxic and connection met; it is no idle time.
    /// Removing the toxic closes the connections it acted on.
    Timeout {
        /// Zero: it is never closed.
        timeout: Millis,
    },
    /// The connection is reset some time after the next data came.
    ResetPeer {
        /// From that data to the reset. The data is dropped.
        timeout: Millis,
    },
    /// Data is cut into small writes.
    Slicer(Slicer),
    /// The connection is closed once this much has passed, counted from when toxic
    /// and connection met.
    LimitData {
        /// That pass.
        bytes: u64,
    },
    /// Extension. Nothing enters the link until the toxic is removed; then it goes
    /// on, in order and whole. What is under way arrives.
    Stall,
    /// Extension. Everything vanishes, both ways whatever the toxic's stream: data,
    /// closing, resets. Removing the toxic resets connections that lost something.
    Blackhole,
    /// Extension. The same in the toxic's direction only, so that one side goes on
    /// believing that it is connected.
    HalfOpen,
    /// Extension. The connection is reset right after this much has passed, counted
    /// from when toxic and connection met.
    CutAfter {
        /// That pass.
        bytes: u64,
    },
    /// Extension. New connections are dialled after a delay. The client is already
    /// connected to the proxy meanwhile; the toxic's stream means nothing.
    SlowConnect {
        /// From the accept to the dial.
        delay: Millis,
    },
    /// Extension. One bit of each connection is flipped.
    Corrupt(Corrupt),
    /// Extension. Every connection is reset now, and new ones when they connect.
    Reset,
    /// A type that only another server knows; the client carries it through.
    Other {
        /// `type` in JSON.
        kind: String,
        /// As they came.
        attributes: Map<String, Value>,
    },
}

/// Attributes of `latency`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// Added to every byte's way.
    pub latency: Millis,
    /// Uniform deviation to both sides, at most `latency`. Order is kept, so a
    /// late chunk holds back the following ones.
    pub jitter: Millis,
}

/// Attributes of `bandwidth`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bandwidth {
    /// Of bytes on the stream. Zero stalls.
    pub rate: RateBytes,
    /// Who shares the rate. Extension: the stock server knows only
    /// [`RateScope::Connection`].
    pub scope: RateScope,
    /// Extension: toxics of any proxy that name the same bucket share one rate.
    /// Only with [`RateScope::Link`].
    pub bucket: Option<String>,
}

/// Who shares a rate: of a `bandwidth` toxic, or of one direction of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RateScope {
    /// All connections, whoever dialled, as on a real link.
    #[default]
    Link,
    /// Nobody: each connection has the rate to itself.
    Connection,
}

impl RateScope {
    /// The name in JSON, files and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Connection => "connection",
        }
    }
}

/// Attributes of `slicer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slicer {
    /// Mean size of a write, at least 1.
    pub average_size_bytes: u64,
    /// Uniform deviation to both sides, less than the average.
    pub size_variation_bytes: u64,
    /// Least time between two slices on their way in; in JSON whole microseconds.
    pub delay: Millis,
}

/// Attributes of `corrupt`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Corrupt {
    /// Position in the stream, counted from when toxic and connection met.
    pub byte: u64,
    /// Which bit of it, 0 is the lowest.
    pub bit: u8,
}

impl Effect {
    /// `type` in JSON.
    pub fn kind(&self) -> &str {
        match self {
            Self::Latency(_) => "latency",
            Self::Bandwidth(_) => "bandwidth",
            Self::SlowClose { .. } => "slow_close",
            Self::Timeout { .. } => "timeout",
            Self::ResetPeer { .. } => "reset_peer",
            Self::Slicer(_) => "slicer",
            Self::LimitData { .. } => "limit_data",
            Self::Stall => "stall",
            Self::Blackhole => "blackhole",
            Self::HalfOpen => "half_open",
            Self::CutAfter { .. } => "cut_after",
            Self::SlowConnect { .. } => "slow_connect",
            Self::Corrupt(_) => "corrupt",
            Self::Reset => "reset",
            Self::Other { kind, .. } => kind,
        }
    }

    /// What of it a stock server lacks, in words; none when it lacks nothing.
    pub fn extension(&self) -> Option<String> {
        let fraction = |value: Millis| (!value.is_whole()).then(|| format!("{value} ms"));
        match self {
            Self::Latency(Latency { latency, jitter }) => {
                fraction(*latency).or_else(|| fraction(*jitter))
            }
            Self::Bandwidth(bandwidth) => match bandwidth {
                Bandwidth { bucket: Some(_), .. } => Some("attribute bucket".to_owned()),
                Bandwidth { rate, .. } if !rate.is_whole() => Some(format!("{rate} KB/s")),
                Bandwidth { scope: RateScope::Link, .. } => {
                    Some("a rate that all connections share (scope link)".to_owned())
                }
                Bandwidth { scope: RateScope::Connection, .. } => None,
            },
            Self::SlowClose { delay: time }
            | Self::Timeout { timeout: time }
            | Self::ResetPeer { timeout: time } => fraction(*time),
            Self::Slicer(_) | Self::LimitData { .. } | Self::Other { .. } => None,
            Self::Stall
            | Self::Blackhole
            | Self::HalfOpen
            | Self::CutAfter { .. }
            | Self::SlowConnect { .. }
            | Self::Corrupt(_)
            | Self::Reset => Some(format!("toxic type {}", self.kind())),
        }
    }

    /// The same type without effect on data, where it has such attributes.
    #[must_use]
    pub fn neutral(&self) -> Self {
        match self {
            Self::Latency(_) => Self::Latency(Latency::default()),
            Self::Bandwidth(old) => {
                Self::Bandwidth(Bandwidth { rate: RateBytes::MAX, ..old.clone() })
            }
            Self::SlowClose { .. } => Self::SlowClose { delay: Millis::ZERO },
            other => other.clone(),
        }
    }

    /// `attributes` in JSON. Extensions are left out where they have their default.
    pub fn attributes(&self) -> Map<String, Value> {
        let map = |entries: &[(&str, Value)]| {
            entries.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
        };
        match self {
            Self::Latency(Latency { latency, jitter }) => {
                map(&[("latency", latency.to_json()), ("jitter", jitter.to_json())])
            }
            Self::Bandwidth(bandwidth) => {
                let mut entries = vec![("rate", bandwidth.rate.to_json())];
                if bandwidth.scope != RateScope::default() {
                    entries.push(("scope", bandwidth.scope.name().into()));
                }
                if let Some(bucket) = &bandwidth.bucket {
                    entries.push(("bucket", bucket.as_str().into()));
                }
                map(&entries)
            }
            Self::SlowClose { delay } | Self::SlowConnect { delay } => {
                map(&[("delay", delay.to_json())])
            }
            Self::Timeout { timeout } | Self::ResetPeer { timeout } => {
                map(&[("timeout", timeout.to_json())])
            }
            Self::Slicer(slicer) => map(&[
                ("average_size", slicer.average_size_bytes.into()),
                ("size_variation", slicer.size_variation_bytes.into()),
                ("delay", (slicer.delay.as_nanos() / 1_000).into()),
            ]),
            Self::LimitData { bytes } | Self::CutAfter { bytes } => {
                map(&[("bytes", (*bytes).into())])
            }
            Self::Corrupt(Corrupt { byte, bit }) => {
                map(&[("byte", (*byte).into()), ("bit", (*bit).into())])
            }
            Self::Stall | Self::Blackhole | Self::HalfOpen | Self::Reset => Map::new(),
            Self::Other { attributes, .. } => attributes.clone(),
        }
    }

    /// The type `kind` with its attributes over their defaults, which are those of
    /// the stock server. A type unknown here becomes [`Effect::Other`].
    ///
    /// # Errors
    /// [`AttributeError`]. Attributes that the type does not have are passed over:
    /// see [`Self::check_names`].
    pub fn parse(kind: &str, attributes: &Map<String, Value>) -> Result<Self, AttributeError> {
        Self::blank(kind).with(attributes)
    }

    fn blank(kind: &str) -> Self {
        match kind {
            "latency" => Self::Latency(Latency::default()),
            "bandwidth" => Self::Bandwidth(Bandwidth::default()),
            "slow_close" => Self::SlowClose { delay: Millis::ZERO },
            "timeout" => Self::Timeout { timeout: Millis::ZERO },
            "reset_peer" => Self::ResetPeer { timeout: Millis::ZERO },
            // The stock server's zero would cut for ever: the size must be given.
            "slicer" => Self::Slicer(Slicer {
                average_size_bytes: 0,
                size_variation_bytes: 0,
                delay: Millis::ZERO,
            }),
            "limit_data" => Self::LimitData { bytes: 0 },
            "stall" => Self::Stall,
            "blackhole" => Self::Blackhole,
            "half_open" => Self::HalfOpen,
            "cut_after" => Self::CutAfter { bytes: 0 },
            "slow_connect" => Self::SlowConnect { delay: Millis::ZERO },
            "corrupt" => Self::Corrupt(Corrupt::default()),
            "reset" => Self::Reset,
            _ => Self::Other { kind: kind.to_owned(), attributes: Map::new() },
        }
    }

    /// Refuses attributes that the type does not have.
    ///
    /// # Errors
    /// [`AttributeError::Unknown`].
    pub fn check_names(&self, attributes: &Map<String, Value>) -> Result<(), AttributeError> {
        let known: &'static [&'static str] = match self {
            Self::Latency(_) => &["latency", "jitter"],
            Self::Bandwidth(_) => &["rate", "scope", "bucket"],
            Self::SlowClose { .. } | Self::SlowConnect { .. } => &["delay"],
            Self::Timeout { .. } | Self::ResetPeer { .. } => &["timeout"],
            Self::Slicer(_) => &["average_size", "size_variation", "delay"],
            Self::LimitData { .. } | Self::CutAfter { .. } => &["bytes"],
            Self::Corrupt(_) => &["byte", "bit"],
            Self::Stall | Self::Blackhole | Self::HalfOpen | Self::Reset => &[],
            Self::Other { .. } => return Ok(()),
        };
        match attributes.keys().find(|name| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => Err(AttributeError::Unknown {
                kind: self.kind().to_owned(),
                name: name.clone(),
                known,
            }),
        }
    }

    /// The same type with these attributes replaced; others stay.
    ///
    /// # Errors
    /// [`AttributeError`]; see [`Self::parse`].
    pub fn with(&self, attributes: &Map<String, Value>) -> Result<Self, AttributeError> {
        let given = Attributes(attributes);
        Ok(match self {
            Self::Latency(old) => {
                let latency = given.millis("latency", old.latency)?;
                let jitter = given.millis("jitter", old.jitter)?;
                if jitter > latency {
                    let allowed = format!("a number from 0 to latency, {latency} here");
                    return Err(AttributeError::range("jitter", allowed, jitter));
                }
                Self::Latency(Latency { latency, jitter })
            }
            Self::Bandwidth(old) => Self::Bandwidth(bandwidth(&given, old)?),
            Self::SlowClose { delay } => Self::SlowClose { delay: given.millis("delay", *delay)? },
            Self::Timeout { timeout } => {
                Self::Timeout { timeout: given.millis("timeout", *timeout)? }
            }
            Self::ResetPeer { timeout } => {
                Self::ResetPeer { timeout: given.millis("timeout", *timeout)? }
            }
            Self::Slicer(old) => Self::Slicer(slicer(&given, *old)?),
            Self::LimitData { bytes } => {
                Self::LimitData { bytes: given.integer("bytes", *bytes, 0..=BYTES_MAX)? }
            }
            Self::CutAfter { bytes } => {
                Self::CutAfter { bytes: given.integer("bytes", *bytes, 0..=BYTES_MAX)? }
            }
            Self::SlowConnect { delay } => {
                Self::SlowConnect { delay: given.millis("delay", *delay)? }
            }
            Self::Corrupt(old) => {
                let byte = given.integer("byte", old.byte, 0..=BYTES_MAX)?;
                let bit = given.integer("bit", old.bit.into(), 0..=7)?;
                Self::Corrupt(Corrupt { byte, bit: u8::try_from(bit).unwrap_or(7) })
            }
            Self::Stall | Self::Blackhole | Self::HalfOpen | Self::Reset => self.clone(),
            Self::Other { kind, attributes: old } => {
                let mut merged = old.clone();
                merged.extend(attributes.iter().map(|(k, v)| (k.clone(), v.clone())));
                Self::Other { kind: kind.clone(), attributes: merged }
            }
        })
    }
}

fn bandwidth(given: &Attributes<'_>, old: &Bandwidth) -> Result<Bandwidth, AttributeError> {
    let rate = given.rate("rate", old.rate)?;
    let scope = match given.text("scope")? {
        None => old.scope,
        Some("link") => RateScope::Link,
        Some("connection") => RateScope::Connection,
        Some(other) => {
            let allowed = "\"link\" or \"connection\"".to_owned();
            return Err(AttributeError::range("scope", allowed, other));
        }
    };
    let bucket = match given.text("bucket")? {
        None => old.bucket.clone(),
        Some("") => None,
        Some(name) if name.len() <= BUCKET_NAME_BYTES_MAX => Some(name.to_owned()),
        Some(name) => {
            let allowed = format!("a name of at most {BUCKET_NAME_BYTES_MAX} bytes");
            let got = format!("one of {} bytes", name.len());
            return Err(AttributeError::range("bucket", allowed, got));
        }
    };
    match &bucket {
        Some(name) if scope == RateScope::Connection => {
            let allowed = "absent with scope \"connection\", which shares nothing".to_owned();
            Err(AttributeError::range("bucket", allowed, name))
        }
        _ => Ok(Bandwidth { rate, scope, bucket }),
    }
}

fn slicer(given: &Attributes<'_>, old: Slicer) -> Result<Slicer, AttributeError> {
    let average = given.integer("average_size", old.average_size_bytes, 1..=BYTES_MAX)?;
    let least = average.saturating_sub(1);
    let variation = given.integer("size_variation", old.size_variation_bytes, 0..=least)?;
    let delay = given.micros("delay", old.delay)?;
    Ok(Slicer { average_size_bytes: average, size_variation_bytes: variation, delay })
}
