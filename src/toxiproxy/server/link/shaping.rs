//! What the toxics of a stream mean for one connection.

use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::sync::watch;

use super::super::super::api::{Effect, Latency, Stream, Toxic};

/// Queue bound of a stream that nothing delays: enough for a write to be whole,
/// too little to hide a slow receiver from its sender.
const UNDELAYED_QUEUE_BYTES_MAX: usize = 512 * 1024;
/// Least queue bound of a delayed stream, that of the stock server: 1024 chunks
/// of 32 KiB.
const DELAYED_QUEUE_BYTES_MIN: usize = 32 * 1024 * 1024;
/// Most that one stream of one connection may hold in memory.
const DELAYED_QUEUE_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Rate up to which a delay does not throttle: a link holds rate times latency.
/// 10 Gbit/s, the order of what one core copies through two sockets.
const UNTHROTTLED_BYTES_PER_MS: u64 = 1_250_000;

/// Where everything random on one stream of one connection comes from.
#[derive(Clone, Debug)]
pub(in super::super) struct FlowSeed([u8; 32]);

impl FlowSeed {
    /// Derived from the server's seed, the proxy, how many connections it had
    /// before this one, and the direction.
    pub(in super::super) fn new(seed: u64, proxy: &str, ordinal: u64, stream: Stream) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes());
        hasher.update(&ordinal.to_le_bytes());
        hasher.update(stream.name().as_bytes());
        // Last, as only its length varies freely.
        hasher.update(b":").update(proxy.as_bytes());
        Self(hasher.finalize().into())
    }

    /// The connection's lot for one toxic, in 0..1, the same however often the
    /// toxic changes: toxicity is drawn once.
    pub(in super::super) fn lot(&self, toxic: &str) -> f64 {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(b"toxicity:").update(toxic.as_bytes());
        let hash = hasher.finalize();
        let mut first = [0; 8];
        first.copy_from_slice(&hash.as_bytes()[..8]);
        // The upper 53 bits fill the mantissa of a double.
        (u64::from_le_bytes(first) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn jitter(&self) -> ChaCha8Rng {
        ChaCha8Rng::from_seed(blake3::keyed_hash(&self.0, b"jitter").into())
    }
}

/// The toxics that act on one stream of one connection, kept up to date.
#[derive(Debug)]
pub(in super::super) struct Shaping {
    toxics: watch::Receiver<Arc<[Toxic]>>,
    stream: Stream,
    seed: FlowSeed,
    jitter: ChaCha8Rng,
    latencies: Vec<Latency>,
}

impl Shaping {
    /// Follows `toxics`, a proxy's toxics on both streams.
    pub(in super::super) fn new(
        mut toxics: watch::Receiver<Arc<[Toxic]>>,
        stream: Stream,
        seed: FlowSeed,
    ) -> Self {
        let latencies = latencies(&toxics.borrow_and_update(), stream, &seed);
        let jitter = seed.jitter();
        Self { toxics, stream, seed, jitter, latencies }
    }

    /// Takes over what was changed since the last call.
    pub(in super::super) fn refresh(&mut self) {
        // An error says that the proxy is gone: its connections are being cut.
        if self.toxics.has_changed().unwrap_or(false) {
            self.latencies = latencies(&self.toxics.borrow_and_update(), self.stream, &self.seed);
        }
    }

    /// The delay of a chunk that has just arrived: the sum over all latencies,
    /// each with its own jitter.
    pub(in super::super) fn delay_ns(&mut self) -> u64 {
        let mut delay_ns = 0u64;
        for latency in &self.latencies {
            let (mean_ns, jitter_ns) = (latency.latency.as_nanos(), latency.jitter.as_nanos());
            delay_ns += match jitter_ns {
                0 => mean_ns,
                _ => self.jitter.random_range(mean_ns - jitter_ns..=mean_ns + jitter_ns),
            };
        }
        delay_ns
    }

    /// The bound of the stream's delay queue.
    pub(in super::super) fn queue_bytes_max(&self) -> usize {
        let longest_ns: u64 = self
            .latencies
            .iter()
            .map(|latency| latency.latency.as_nanos() + latency.jitter.as_nanos())
            .sum();
        if longest_ns == 0 {
            return UNDELAYED_QUEUE_BYTES_MAX;
        }
        let held = (longest_ns / 1_000_000).saturating_mul(UNTHROTTLED_BYTES_PER_MS);
        usize::try_from(held)
            .unwrap_or(usize::MAX)
            .clamp(DELAYED_QUEUE_BYTES_MIN, DELAYED_QUEUE_BYTES_MAX)
    }
}

fn latencies(toxics: &[Toxic], stream: Stream, seed: &FlowSeed) -> Vec<Latency> {
    let acting = toxics
        .iter()
        .filter(|toxic| toxic.stream == stream && seed.lot(&toxic.name) < toxic.toxicity);
    acting
        .filter_map(|toxic| match &toxic.effect {
            Effect::Latency(latency) => Some(*latency),
            // The server stores only types that it knows.
            Effect::Other { .. } => None,
        })
        .collect()
}

#[cfg(test)]
mod tests;
