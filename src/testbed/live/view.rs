//! What a link is at this moment, as its proxy tells it. Pure.

use serde::Serialize;

use super::LinkPlace;
use crate::testbed::plan::{OneWay, Shape};
use crate::toxiproxy::api::{
    ConnectionCounters, Effect, Proxy, ProxyCounters, RateBytes, Stream, Toxic,
};

const BITS_PER_BYTE: u64 = 8;
const NS_PER_US: u64 = 1_000;

/// One link.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct LinkView {
    /// Also the proxy's.
    pub(crate) name: String,
    /// Who dials; none for a proxy that is no link of the run.
    pub(crate) dialler: Option<String>,
    /// Who listens.
    pub(crate) listener: Option<String>,
    /// Where the proxy listens, as it sees it.
    pub(crate) listen: String,
    /// The same as the dialler sees it.
    pub(crate) dial: Option<String>,
    /// The same as the owner of the run sees it.
    pub(crate) host: Option<String>,
    /// What the proxy dials.
    pub(crate) upstream: String,
    /// Whether the proxy listens.
    pub(crate) enabled: bool,
    /// What the toxics that act on every connection make of it.
    pub(crate) shape: Shape,
    /// What the run asks of it.
    pub(crate) asked: Option<Shape>,
    /// How much the toxics are below what is asked, both ways together, because the
    /// path adds it.
    pub(crate) correction_us: i64,
    /// All of them, in order of creation.
    pub(crate) toxics: Vec<Toxic>,
    /// None where the server does not count.
    pub(crate) counters: Option<ProxyCounters>,
    /// None where nobody asked, or the server does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) connections: Option<Vec<ConnectionCounters>>,
}

impl LinkView {
    /// Puts together what the server and the run say.
    pub(crate) fn new(
        proxy: Proxy,
        place: Option<&LinkPlace>,
        counters: Option<ProxyCounters>,
    ) -> Self {
        Self {
            name: proxy.name,
            dialler: place.map(|place| place.plan.dialler.to_string()),
            listener: place.map(|place| place.plan.listener.to_string()),
            listen: proxy.listen,
            dial: place.map(|place| place.dial.clone()),
            host: place.and_then(|place| place.host.clone()),
            upstream: proxy.upstream,
            enabled: proxy.enabled,
            shape: shape(&proxy.toxics),
            asked: place.map(|place| place.plan.shape),
            correction_us: place.map_or(0, |place| place.correction_us),
            toxics: proxy.toxics,
            counters,
            connections: None,
        }
    }

    /// What the link should measure as its toxics are now.
    pub(crate) fn set_shape(&self) -> Shape {
        let asked = self.asked.as_ref();
        let whole = |way: OneWay, stream| OneWay {
            latency_us: meant_us(way.latency_us, stream, asked, self.correction_us),
            ..way
        };
        Shape {
            up: whole(self.shape.up, Stream::Upstream),
            down: whole(self.shape.down, Stream::Downstream),
        }
    }

    /// Toxics that are not in [`Self::shape`].
    pub(crate) fn others(&self) -> impl Iterator<Item = &Toxic> {
        self.toxics.iter().filter(|toxic| !is_of_shape(toxic))
    }
}

/// The delay one way that a toxic of `set_us` makes together with the path.
pub(crate) fn uncorrected(set_us: u64, correction_us: i64) -> u64 {
    if set_us == 0 { 0 } else { set_us.saturating_add_signed(correction_us / 2) }
}

/// The delay one way that a toxic of `set_us` is meant to make together with the
/// path: while it is as the run set it for `asked`, exactly what is asked, which the
/// correction alone does not give back where it took off more than there was.
pub(crate) fn meant_us(
    set_us: u64,
    stream: Stream,
    asked: Option<&Shape>,
    correction_us: i64,
) -> u64 {
    let unknown = || uncorrected(set_us, correction_us);
    asked.map_or_else(unknown, |asked| {
        let way = match stream {
            Stream::Upstream => asked.up,
            Stream::Downstream => asked.down,
        };
        // The run corrects both ways as soon as one has a delay.
        let is_exact = asked.rtt_us() == 0;
        let less_us = if is_exact { 0 } else { -correction_us / 2 };
        let is_the_runs = set_us == way.latency_us.saturating_add_signed(less_us);
        if is_the_runs { way.latency_us } else { unknown() }
    })
}

fn is_of_shape(toxic: &Toxic) -> bool {
    let everywhere = toxic.toxicity >= 1.0;
    everywhere && matches!(toxic.effect, Effect::Latency(_) | Effect::Bandwidth(_))
}

/// Delays add up; of several rates the least counts.
fn shape(toxics: &[Toxic]) -> Shape {
    let way = |stream| {
        let own = toxics.iter().filter(|toxic| toxic.stream == stream && is_of_shape(toxic));
        own.fold(OneWay::default(), |way, toxic| with(way, &toxic.effect))
    };
    Shape { up: way(Stream::Upstream), down: way(Stream::Downstream) }
}

fn with(way: OneWay, effect: &Effect) -> OneWay {
    match effect {
        Effect::Latency(latency) => OneWay {
            latency_us: way.latency_us + latency.latency.as_nanos() / NS_PER_US,
            jitter_us: way.jitter_us + latency.jitter.as_nanos() / NS_PER_US,
            ..way
        },
        Effect::Bandwidth(bandwidth) if bandwidth.rate < RateBytes::MAX => {
            let bits_per_s = bandwidth.rate.bytes_per_s() * BITS_PER_BYTE;
            if way.rate_bits_per_s.is_some_and(|least| least <= bits_per_s) {
                return way;
            }
            OneWay { rate_bits_per_s: Some(bits_per_s), rate_scope: bandwidth.scope, ..way }
        }
        _ => way,
    }
}

#[cfg(test)]
mod tests;
