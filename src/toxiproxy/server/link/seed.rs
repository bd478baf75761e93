//! Where everything random comes from.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::super::super::api::Stream;

/// Derived from the server's seed, the proxy, and how many connections it had
/// before this one.
#[derive(Clone, Debug)]
pub(in super::super) struct ConnectionSeed([u8; 32]);

impl ConnectionSeed {
    pub(in super::super) fn new(seed: u64, proxy: &str, ordinal: u64) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes());
        hasher.update(&ordinal.to_le_bytes());
        // Last, as only its length varies.
        hasher.update(proxy.as_bytes());
        Self(hasher.finalize().into())
    }

    /// The connection's lot for one toxic, in 0..1, the same however often the
    /// toxic changes: toxicity is drawn once.
    pub(in super::super) fn lot(&self, stream: Stream, toxic: &str) -> f64 {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(b"toxicity:").update(stream.name().as_bytes());
        hasher.update(b":").update(toxic.as_bytes());
        let hash = hasher.finalize();
        let mut first = [0; 8];
        first.copy_from_slice(&hash.as_bytes()[..8]);
        // The upper 53 bits fill the mantissa of a double.
        (u64::from_le_bytes(first) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Draws for one purpose on one stream.
    pub(super) fn draws(&self, stream: Stream, purpose: &str) -> ChaCha8Rng {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(purpose.as_bytes()).update(b":").update(stream.name().as_bytes());
        ChaCha8Rng::from_seed(hasher.finalize().into())
    }
}
