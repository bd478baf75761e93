//! Seeded test files: the same seed and size give the same bytes everywhere.
//!
//! Random bytes, so that nothing on the way can compress or deduplicate them.
//! The daemon writes them on request, the testbed computes the digest they must
//! have on its own, so a file that was made wrong is noticed too.

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Bytes made at a time. Large enough that the generator, not the call, costs.
const BLOCK_BYTES: usize = 1 << 20;

/// An iterator over the blocks of one sample file.
#[derive(Debug)]
pub struct Sample {
    generator: ChaCha8Rng,
    remaining_bytes: u64,
    block: Vec<u8>,
}

impl Sample {
    /// The sample of `size_bytes` made from `seed`.
    pub fn new(seed: u64, size_bytes: u64) -> Self {
        Self {
            generator: ChaCha8Rng::seed_from_u64(seed),
            remaining_bytes: size_bytes,
            block: vec![0; BLOCK_BYTES],
        }
    }

    /// The next at most 1 MiB of the file, or `None` at its end.
    pub fn next_block(&mut self) -> Option<&[u8]> {
        if self.remaining_bytes == 0 {
            return None;
        }
        let length = usize::try_from(self.remaining_bytes).unwrap_or(usize::MAX).min(BLOCK_BYTES);
        let block = &mut self.block[..length];
        self.generator.fill_bytes(block);
        self.remaining_bytes -= length as u64;
        Some(block)
    }

    /// BLAKE3 of the whole sample, without keeping it.
    pub fn digest(seed: u64, size_bytes: u64) -> blake3::Hash {
        let mut sample = Self::new(seed, size_bytes);
        let mut hasher = blake3::Hasher::new();
        while let Some(block) = sample.next_block() {
            hasher.update(block);
        }
        hasher.finalize()
    }
}

#[cfg(test)]
mod tests;
