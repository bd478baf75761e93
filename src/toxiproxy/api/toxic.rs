//! Toxics: what is done to one stream of a proxy.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value};

/// Longest latency and jitter, in milliseconds. An hour: beyond it a peer cannot
/// be told from a dead one, and sums of many toxics stay far from overflow.
pub const LATENCY_MS_MAX: u64 = 3_600_000;

const NS_PER_MS: u64 = 1_000_000;

/// A direction through the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Client to server.
    Upstream,
    /// Server to client. The default of the API.
    Downstream,
}

impl Stream {
    /// Both, in the order of [`Self::index`].
    pub const ALL: [Self; 2] = [Self::Upstream, Self::Downstream];

    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Downstream => "downstream",
        }
    }

    /// 0 or 1, for tables by stream.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Reads a name in any case, as the stock server does.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stream| stream.name().eq_ignore_ascii_case(name))
    }
}

/// One toxic of a proxy.
#[derive(Clone, Debug, PartialEq)]
pub struct Toxic {
    /// Unique in the proxy, over both streams.
    pub name: String,
    /// The direction it acts on.
    pub stream: Stream,
    /// Share of connections it acts on, 0 to 1; drawn once per connection and
    /// direction.
    pub toxicity: f64,
    /// What it does.
    pub effect: Effect,
}

impl Toxic {
    /// A latency toxic on every connection, under the API's default name.
    pub fn latency(stream: Stream, latency: Millis) -> Self {
        let effect = Effect::Latency(Latency { latency, jitter: Millis::ZERO });
        Self { name: format!("{}_{}", effect.kind(), stream.name()), stream, toxicity: 1.0, effect }
    }
}

/// A toxic's type with its attributes.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Every byte is delayed.
    Latency(Latency),
    /// A type that only another server knows; the client carries it through.
    Other {
        /// `type` in JSON.
        kind: String,
        /// As they came.
        attributes: Map<String, Value>,
    },
}

impl Effect {
    /// `type` in JSON.
    pub fn kind(&self) -> &str {
        match self {
            Self::Latency(_) => "latency",
            Self::Other { kind, .. } => kind,
        }
    }

    /// `attributes` in JSON.
    pub fn attributes(&self) -> Map<String, Value> {
        match self {
            Self::Latency(latency) => Map::from_iter([
                ("latency".to_owned(), latency.latency.to_json()),
                ("jitter".to_owned(), latency.jitter.to_json()),
            ]),
            Self::Other { attributes, .. } => attributes.clone(),
        }
    }

    /// The type `kind` with its attributes over their defaults. A type unknown
    /// here becomes [`Effect::Other`].
    pub fn parse(kind: &str, attributes: &Map<String, Value>) -> Result<Self, AttributeError> {
        let blank = match kind {
            "latency" => Self::Latency(Latency::default()),
            _ => Self::Other { kind: kind.to_owned(), attributes: Map::new() },
        };
        blank.with(attributes)
    }

    /// The same type with these attributes replaced; others stay.
    pub fn with(&self, attributes: &Map<String, Value>) -> Result<Self, AttributeError> {
        match self {
            Self::Latency(old) => {
                let latency = millis_field(attributes, "latency")?.unwrap_or(old.latency);
                let jitter = millis_field(attributes, "jitter")?.unwrap_or(old.jitter);
                if jitter > latency {
                    return Err(AttributeError {
                        field: "jitter",
                        allowed: format!("a number from 0 to latency, {latency} here"),
                        got: jitter.to_string(),
                    });
                }
                Ok(Self::Latency(Latency { latency, jitter }))
            }
            Self::Other { kind, attributes: old } => {
                let mut merged = old.clone();
                merged.extend(attributes.iter().map(|(k, v)| (k.clone(), v.clone())));
                Ok(Self::Other { kind: kind.clone(), attributes: merged })
            }
        }
    }
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

/// A duration that the API writes as a number of milliseconds.
///
/// The stock server takes integers; fractions are an extension, exact to the
/// nanosecond. Whole values are written without a fraction, so that stock clients
/// read them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Millis {
    ns: u64,
}

impl Millis {
    /// No time.
    pub const ZERO: Self = Self { ns: 0 };
    /// [`LATENCY_MS_MAX`].
    pub const MAX: Self = Self { ns: LATENCY_MS_MAX * NS_PER_MS };

    /// From microseconds, at most [`Self::MAX`].
    pub fn from_micros(us: u64) -> Self {
        Self { ns: us.saturating_mul(1_000) }.min(Self::MAX)
    }

    /// In nanoseconds.
    pub const fn as_nanos(self) -> u64 {
        self.ns
    }

    /// Whether the stock server can take it.
    pub const fn is_whole(self) -> bool {
        self.ns.is_multiple_of(NS_PER_MS)
    }

    /// From a number of milliseconds, 0 to [`LATENCY_MS_MAX`].
    pub fn from_number(ms: f64) -> Option<Self> {
        if !(0.0..=LATENCY_MS_MAX as f64).contains(&ms) {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "not negative, and at most 3.6e12"
        )]
        let ns = (ms * NS_PER_MS as f64).round() as u64;
        Some(Self { ns })
    }

    fn to_json(self) -> Value {
        if self.is_whole() {
            Value::from(self.ns / NS_PER_MS)
        } else {
            Value::from(self.ns as f64 / NS_PER_MS as f64)
        }
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_json().fmt(f)
    }
}

/// An attribute outside its range. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} must be {allowed}, got {got}")]
pub struct AttributeError {
    /// Its name in JSON.
    pub field: &'static str,
    /// In words.
    pub allowed: String,
    /// As it came.
    pub got: String,
}

/// Body of `POST /proxies/{proxy}/toxics`, before defaults and checks.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ToxicDraft {
    /// None or empty: `<type>_<stream>`.
    pub name: Option<String>,
    /// None is no known type.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// None: downstream.
    pub stream: Option<String>,
    /// None: 1.
    pub toxicity: Option<f64>,
    /// None: the type's defaults.
    pub attributes: Option<Map<String, Value>>,
}

/// Body of `PATCH /proxies/{proxy}/toxics/{toxic}`: what is none stays. The name,
/// type and stream of a toxic cannot change.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ToxicUpdate {
    /// Those to replace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributes: Option<Map<String, Value>>,
    /// 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub toxicity: Option<f64>,
}

#[derive(Serialize, Deserialize)]
struct ToxicWire {
    attributes: Map<String, Value>,
    name: String,
    #[serde(rename = "type")]
    kind: String,
    stream: Stream,
    toxicity: f64,
}

impl Serialize for Toxic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ToxicWire {
            attributes: self.effect.attributes(),
            name: self.name.clone(),
            kind: self.effect.kind().to_owned(),
            stream: self.stream,
            toxicity: self.toxicity,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Toxic {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ToxicWire { attributes, name, kind, stream, toxicity } =
            ToxicWire::deserialize(deserializer)?;
        let effect = Effect::parse(&kind, &attributes).map_err(de::Error::custom)?;
        Ok(Self { name, stream, toxicity, effect })
    }
}

fn millis_field(
    attributes: &Map<String, Value>,
    field: &'static str,
) -> Result<Option<Millis>, AttributeError> {
    let value = match attributes.get(field) {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value,
    };
    value.as_f64().and_then(Millis::from_number).map(Some).ok_or_else(|| AttributeError {
        field,
        allowed: format!("a number of milliseconds from 0 to {LATENCY_MS_MAX}"),
        got: value.to_string(),
    })
}
