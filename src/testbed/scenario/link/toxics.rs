//! The toxics that make a shape.

use super::super::ScenarioError;
use crate::testbed::plan::{LinkPlan, OneWay, Plan, RateScope, Rated, Shape};
use crate::toxiproxy::api::{Bandwidth, Effect, Latency, Millis, Proxy, RateBytes, Stream, Toxic};
use crate::toxiproxy::client::ServerVersion;

const BITS_PER_BYTE: u64 = 8;

const US_PER_MS: u64 = 1_000;

/// `shape` with half of the correction taken off each way. Jitter stays within
/// what is left of the delay. A stock server takes whole milliseconds: there the
/// delay is the nearest one.
pub(super) fn corrected(shape: Shape, correction_us: i64, server_is_bundled: bool) -> Shape {
    let less = |way: OneWay| {
        let mut latency_us = corrected_us(way.latency_us, correction_us);
        if !server_is_bundled && way.latency_us.is_multiple_of(US_PER_MS) {
            latency_us = (latency_us + US_PER_MS / 2) / US_PER_MS * US_PER_MS;
        }
        OneWay { latency_us, jitter_us: way.jitter_us.min(latency_us), ..way }
    };
    Shape { up: less(shape.up), down: less(shape.down) }
}

/// What a toxic of `asked_us` one way is set to, so that the whole path has that.
pub(in crate::testbed) fn corrected_us(asked_us: u64, correction_us: i64) -> u64 {
    // No delay is exactly no delay: there is nothing to take off.
    if asked_us == 0 { 0 } else { asked_us.saturating_add_signed(-correction_us / 2) }
}

/// What a proxy has otherwise than `asked`, in words; none when it has just that.
pub(super) fn difference(
    asked: &[Toxic],
    found: &Proxy,
    server_is_bundled: bool,
) -> Option<String> {
    if !found.enabled {
        return Some("it is disabled".to_owned());
    }
    for toxic in asked {
        match found.toxics.iter().find(|other| other.name == toxic.name) {
            None => return Some(format!("toxic {} is gone", toxic.name)),
            Some(other) if !is_same(toxic, other, server_is_bundled) => {
                let (asked, found) = (&toxic.effect, &other.effect);
                return Some(format!("toxic {} is {found:?} and not {asked:?}", toxic.name));
            }
            Some(_) => {}
        }
    }
    let other =
        found.toxics.iter().find(|other| asked.iter().all(|toxic| toxic.name != other.name));
    other.map(|other| format!("it has another toxic, {} ({})", other.name, other.effect.kind()))
}

/// What the proxy of a link that stands has otherwise than the link should be, in words.
pub(in crate::testbed) fn drift(
    link: &LinkPlan,
    rated: Rated,
    correction_us: i64,
    found: &Proxy,
    server_is_bundled: bool,
) -> Option<String> {
    let shape = corrected(link.shape, correction_us, server_is_bundled);
    difference(&toxics(link, shape, rated), found, server_is_bundled)
}

fn is_same(asked: &Toxic, found: &Toxic, server_is_bundled: bool) -> bool {
    let is_same_effect = match (&asked.effect, &found.effect) {
        // A stock server knows the rate only.
        (Effect::Bandwidth(asked), Effect::Bandwidth(found)) if !server_is_bundled => {
            asked.rate == found.rate
        }
        (asked, found) => asked == found,
    };
    // The stock server keeps toxicity in single precision.
    let is_same_toxicity = (asked.toxicity - found.toxicity).abs() <= f64::from(f32::EPSILON);
    is_same_effect && is_same_toxicity && asked.stream == found.stream
}

/// The toxics that make `shape` on `link`: the same ones, under the same names, for
/// every shape that the link has in a run, so that a later shape is an update of
/// living toxics and never a removal. Delay stands before rate: a stock server works
/// in the order of creation, and only this one adds both up.
pub(in crate::testbed::scenario) fn toxics(
    link: &LinkPlan,
    shape: Shape,
    rated: Rated,
) -> Vec<Toxic> {
    let (dialler, listener) = (link.dialler.as_str(), link.listener.as_str());
    let mut toxics =
        vec![latency(Stream::Upstream, shape.up), latency(Stream::Downstream, shape.down)];
    if rated.up {
        toxics.push(bandwidth(Stream::Upstream, shape.up, [dialler, listener]));
    }
    if rated.down {
        toxics.push(bandwidth(Stream::Downstream, shape.down, [listener, dialler]));
    }
    toxics
}

fn latency(stream: Stream, way: OneWay) -> Toxic {
    let latency = Millis::from_micros(way.latency_us);
    let jitter = Millis::from_micros(way.jitter_us);
    Toxic::new(stream, Effect::Latency(Latency { latency, jitter }))
}

/// The rate of bytes from the one peer to the other. No rate is an endless one.
/// Two links may lead between two peers; the bucket is named by the direction of
/// the bytes, so that both links share it.
fn bandwidth(stream: Stream, way: OneWay, [from, to]: [&str; 2]) -> Toxic {
    let rate = way
        .rate_bits_per_s
        .map_or(RateBytes::MAX, |bits| RateBytes::from_bytes_per_s(bits / BITS_PER_BYTE));
    let scope = way.rate_scope;
    let bucket = (scope == RateScope::Link).then(|| format!("{from}>{to}"));
    Toxic::new(stream, Effect::Bandwidth(Bandwidth { rate, scope, bucket }))
}

/// Whether the proxy can make the plan's rates: one that all connections of a link
/// share takes the bundled server.
pub(in crate::testbed::scenario) fn check_server(
    plan: &Plan,
    server: &ServerVersion,
) -> Result<(), ScenarioError> {
    let shares = |way: OneWay| way.rate_scope == RateScope::Link;
    let sharing = plan.links.iter().enumerate().find(|(index, link)| {
        let (rated, Shape { up, down }) = (plan.rated(*index), link.shape);
        rated.up && shares(up) || rated.down && shares(down)
    });
    match sharing {
        Some((_, link)) if !server.is_bundled => Err(ScenarioError::SharedRate {
            link: link.name.to_string(),
            version: server.text.clone(),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
