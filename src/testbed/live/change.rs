//! What another shape means for the toxics that are there. Pure.

use super::LinkPlace;
use super::error::LinkError;
use super::site::Proxies;
use super::view::meant_us;
use crate::testbed::scenario::link::toxics::corrected_us;
use crate::testbed::topology::units::DurationUs;
use crate::toxiproxy::api::{
    Bandwidth, Effect, Latency, Millis, Proxy, RateBytes, RateScope, Stream, Toxic,
};

const BITS_PER_BYTE: u64 = 8;
const NS_PER_US: u64 = 1_000;

/// What is asked for; what is none stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// One way.
    pub(crate) latency_us: Option<u64>,
    /// Uniform deviation to both sides, one way.
    pub(crate) jitter_us: Option<u64>,
    /// None within: unlimited.
    pub(crate) rate_bits_per_s: Option<Option<u64>>,
    /// Which directions.
    pub(crate) towards: Towards,
}

/// Which directions of a link a change is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Towards {
    /// From dialler to listener.
    Up,
    /// From listener to dialler.
    Down,
    /// Both.
    #[default]
    Both,
}

impl Towards {
    const fn streams(self) -> &'static [Stream] {
        match self {
            Self::Up => &[Stream::Upstream],
            Self::Down => &[Stream::Downstream],
            Self::Both => &Stream::ALL,
        }
    }
}

/// One call to the server.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Edit {
    /// There is no such toxic yet.
    Add(Toxic),
    /// There is; its type and stream stay.
    Update(Toxic),
}

/// What to do, with the names of the proxies to do it to, for `change` on `proxy`.
///
/// Toxics that are there are updated. A rate that others share, by the name of its
/// bucket, changes for all of them: it is one rate.
pub(crate) fn edits(
    proxies: &Proxies,
    proxy: &Proxy,
    place: Option<&LinkPlace>,
    change: Change,
    is_bundled: bool,
) -> Result<Vec<(String, Edit)>, LinkError> {
    let mut edits = Vec::new();
    for &stream in change.towards.streams() {
        if change.latency_us.is_some() || change.jitter_us.is_some() {
            let edit = delay(proxy, stream, change, place)?;
            edits.push((proxy.name.clone(), edit));
        }
        if let Some(rate) = change.rate_bits_per_s {
            edits.extend(rated(proxies, proxy, place, stream, rate, is_bundled));
        }
    }
    Ok(edits)
}

fn delay(
    proxy: &Proxy,
    stream: Stream,
    change: Change,
    place: Option<&LinkPlace>,
) -> Result<Edit, LinkError> {
    let correction_us = place.map_or(0, |place| place.correction_us);
    let old = find(proxy, stream, |effect| matches!(effect, Effect::Latency(_)));
    let (old_set_us, old_jitter_us) = match old.map(|toxic| &toxic.effect) {
        Some(Effect::Latency(Latency { latency, jitter })) => {
            (latency.as_nanos() / NS_PER_US, jitter.as_nanos() / NS_PER_US)
        }
        _ => (0, 0),
    };
    let (asked_us, set_us) = match change.latency_us {
        Some(asked_us) => (asked_us, corrected_us(asked_us, correction_us)),
        None => {
            let asked = place.map(|place| &place.plan.shape);
            (meant_us(old_set_us, stream, asked, correction_us), old_set_us)
        }
    };
    let jitter_us = change.jitter_us.unwrap_or(old_jitter_us);
    if jitter_us > asked_us {
        let (jitter, latency) = (DurationUs(jitter_us), DurationUs(asked_us));
        let hint = if change.jitter_us.is_some() {
            format!("at most the latency: `--jitter {latency}`, or more latency")
        } else {
            format!("the jitter that it has stays: give `--jitter {latency}` or less as well")
        };
        return Err(LinkError::Change {
            link: proxy.name.clone(),
            what: format!(
                "a jitter of {jitter} each way {} on a one-way latency of {latency}",
                stream.name()
            ),
            hint,
        });
    }
    let latency = Millis::from_micros(set_us);
    let jitter = Millis::from_micros(jitter_us.min(set_us));
    Ok(edit(old, stream, Effect::Latency(Latency { latency, jitter })))
}

fn rated(
    proxies: &Proxies,
    proxy: &Proxy,
    place: Option<&LinkPlace>,
    stream: Stream,
    bits_per_s: Option<u64>,
    is_bundled: bool,
) -> Vec<(String, Edit)> {
    let rate =
        bits_per_s.map_or(RateBytes::MAX, |bits| RateBytes::from_bytes_per_s(bits / BITS_PER_BYTE));
    let is_rate = |effect: &Effect| matches!(effect, Effect::Bandwidth(_));
    let old = find(proxy, stream, is_rate);
    let new = match old.map(|toxic| &toxic.effect) {
        Some(Effect::Bandwidth(old)) => Bandwidth { rate, ..old.clone() },
        // What has no rate is unlimited already.
        _ if bits_per_s.is_none() => return Vec::new(),
        _ if is_bundled => {
            let bucket = place.map(|place| {
                // The plan's name for the bytes of this direction, whoever dials.
                let (dialler, listener) = (&place.plan.dialler, &place.plan.listener);
                match stream {
                    Stream::Upstream => format!("{dialler}>{listener}"),
                    Stream::Downstream => format!("{listener}>{dialler}"),
                }
            });
            Bandwidth { rate, scope: RateScope::Link, bucket }
        }
        // All that a stock server can.
        _ => Bandwidth { rate, scope: RateScope::Connection, bucket: None },
    };
    let bucket = new.bucket.clone();
    let own = edit(old, stream, Effect::Bandwidth(new));
    let mut edits = vec![(proxy.name.clone(), own)];
    let others = proxies.values().filter(|other| other.name != proxy.name);
    for (other, toxic) in others.flat_map(|other| other.toxics.iter().map(move |t| (other, t))) {
        if let Effect::Bandwidth(shared) = &toxic.effect
            && shared.bucket.is_some()
            && shared.bucket == bucket
            && shared.rate != rate
        {
            let effect = Effect::Bandwidth(Bandwidth { rate, ..shared.clone() });
            edits.push((other.name.clone(), Edit::Update(Toxic { effect, ..toxic.clone() })));
        }
    }
    edits
}

/// The toxic under the API's default name, which is also the plan's, or else the
/// first of its kind.
fn find(proxy: &Proxy, stream: Stream, is_kind: fn(&Effect) -> bool) -> Option<&Toxic> {
    let mut kin =
        proxy.toxics.iter().filter(|toxic| toxic.stream == stream && is_kind(&toxic.effect));
    let default = |toxic: &&Toxic| toxic.name == default_name(toxic);
    kin.clone().find(default).or_else(|| kin.next())
}

fn default_name(toxic: &Toxic) -> String {
    format!("{}_{}", toxic.effect.kind(), toxic.stream.name())
}

fn edit(old: Option<&Toxic>, stream: Stream, effect: Effect) -> Edit {
    match old {
        Some(old) => Edit::Update(Toxic { effect, ..old.clone() }),
        None => Edit::Add(Toxic::new(stream, effect)),
    }
}

#[cfg(test)]
mod tests;
