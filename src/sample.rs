//! Seeded test files: the same seed, entropy and size give the same bytes
//! everywhere.
//!
//! The daemon writes them on request, the testbed computes the digest they must
//! have on its own, so a file that was made wrong is noticed too.

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Bytes made at a time. Large enough that the generator, not the call, costs.
const BLOCK_BYTES: usize = 1 << 20;

/// Words of [`Entropy::Text`], each with what follows it. 64 of them are 6 bits of
/// chance for every five bytes or so, which compresses about as English does.
const WORDS: [&str; 64] = [
    "a ", "all ", "and ", "any ", "are ", "as ", "at ", "be ", "both ", "but ", "by ", "byte ",
    "can ", "copy ", "disk ", "do ", "down ", "each ", "end ", "file ", "first ", "for ", "from ",
    "has ", "have ", "if ", "in ", "into ", "is ", "it ", "its ", "key ", "last ", "link ",
    "long ", "made ", "more ", "name ", "no ", "not ", "of ", "on ", "one ", "or ", "other ",
    "peer ", "read ", "send ", "side ", "so ", "that ", "the ", "then ", "this ", "time ", "to ",
    "up ", "was ", "way ", "what ", "when ", "with ", "word. ", "line.\n",
];

/// What the bytes of a sample are like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Entropy {
    /// Nothing on the way can compress or deduplicate them.
    #[default]
    Random,
    /// Words and lines, which compress about as English does.
    Text,
    /// All zero: compresses to nothing, and is the same in every file.
    Zeros,
}

impl Entropy {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Random, Self::Text, Self::Zeros];

    /// The name in files and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Text => "text",
            Self::Zeros => "zeros",
        }
    }
}

/// An iterator over the blocks of one sample file.
#[derive(Debug)]
pub struct Sample {
    entropy: Entropy,
    generator: ChaCha8Rng,
    /// What is left of a word that did not fit the last block.
    rest: &'static [u8],
    remaining_bytes: u64,
    block: Vec<u8>,
}

impl Sample {
    /// The random sample of `size_bytes` made from `seed`.
    pub fn new(seed: u64, size_bytes: u64) -> Self {
        Self::of(Entropy::Random, seed, size_bytes)
    }

    /// The sample of `size_bytes` made from `seed`, with bytes like that.
    pub fn of(entropy: Entropy, seed: u64, size_bytes: u64) -> Self {
        let block_bytes = usize::try_from(size_bytes).unwrap_or(usize::MAX).min(BLOCK_BYTES);
        Self {
            entropy,
            generator: ChaCha8Rng::seed_from_u64(seed),
            rest: &[],
            remaining_bytes: size_bytes,
            block: vec![0; block_bytes],
        }
    }

    /// The next at most 1 MiB of the file, or `None` at its end.
    pub fn next_block(&mut self) -> Option<&[u8]> {
        if self.remaining_bytes == 0 {
            return None;
        }
        let length = usize::try_from(self.remaining_bytes).unwrap_or(usize::MAX).min(BLOCK_BYTES);
        let block = &mut self.block[..length];
        match self.entropy {
            Entropy::Random => self.generator.fill_bytes(block),
            Entropy::Text => fill_with_words(&mut self.generator, &mut self.rest, block),
            // The block is zero from the start, and nothing else writes it.
            Entropy::Zeros => {}
        }
        self.remaining_bytes -= length as u64;
        Some(block)
    }

    /// BLAKE3 of what is left of the sample, without keeping it.
    pub fn into_digest(mut self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        while let Some(block) = self.next_block() {
            hasher.update(block);
        }
        hasher.finalize()
    }

    /// BLAKE3 of the whole random sample, without keeping it.
    pub fn digest(seed: u64, size_bytes: u64) -> blake3::Hash {
        Self::new(seed, size_bytes).into_digest()
    }
}

fn fill_with_words(generator: &mut ChaCha8Rng, rest: &mut &'static [u8], block: &mut [u8]) {
    let mut at = 0;
    while at < block.len() {
        if rest.is_empty() {
            *rest = WORDS[generator.next_u32() as usize % WORDS.len()].as_bytes();
        }
        let length = rest.len().min(block.len() - at);
        let (now, later) = rest.split_at(length);
        block[at..at + length].copy_from_slice(now);
        *rest = later;
        at += length;
    }
}

#[cfg(test)]
mod tests;
