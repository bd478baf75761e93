//! The fuzz targets on a stable compiler: mutations of a corpus, by a seed.
//!
//! `DROPBED_FUZZ_EXECUTIONS=10000000 cargo test --release --lib -- secure::fuzz` runs
//! as many of each; `DROPBED_FUZZ_SEED` chooses others.

use std::path::Path;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use super::*;

/// Of each target; some hundred milliseconds in all.
const EXECUTIONS_DEFAULT: u64 = 1_000;

/// Entries that come into the corpus in a run.
const ENTRIES_MAX: usize = 256;

/// A corpus entry is shorter than this.
const INPUT_BYTES_MAX: usize = 4_096;

fn setting(variable: &str, default: u64) -> u64 {
    let value = std::env::var(variable).ok();
    value.map_or(default, |value| value.parse().expect("a number"))
}

struct Mutator {
    random: ChaCha8Rng,
    corpus: Vec<Vec<u8>>,
    /// Entries that it began with; they stay.
    kept: usize,
}

impl Mutator {
    fn new(seed: u64, corpus: Vec<Vec<u8>>) -> Self {
        Self { random: ChaCha8Rng::seed_from_u64(seed), kept: corpus.len(), corpus }
    }

    fn below(&mut self, bound: usize) -> usize {
        let drawn = usize::try_from(self.random.next_u32()).expect("32 bits fit");
        drawn % bound.max(1)
    }

    fn byte(&mut self) -> u8 {
        self.random.next_u32().to_le_bytes()[0]
    }

    /// An entry with a few changes; now and then it is kept.
    fn next(&mut self) -> Vec<u8> {
        let entry = self.below(self.corpus.len());
        let mut input = self.corpus[entry].clone();
        for _ in 0..=self.below(6) {
            let at = self.below(input.len() + 1);
            match self.below(6) {
                0 => input.truncate(at),
                1 => input.insert(at, self.byte()),
                2 => {
                    let other = self.below(self.corpus.len());
                    let part = self.corpus[other].clone();
                    input.splice(at.., part);
                }
                3 => input.extend((0..32).map(|_| self.byte())),
                _ if at < input.len() => input[at] ^= 1 << self.below(8),
                _ => {}
            }
        }
        input.truncate(INPUT_BYTES_MAX);
        if self.below(64) == 0 {
            if self.corpus.len() < self.kept + ENTRIES_MAX {
                self.corpus.push(input.clone());
            } else {
                let place = self.kept + self.below(ENTRIES_MAX);
                self.corpus[place].clone_from(&input);
            }
        }
        input
    }
}

fn run(name: &str, target: impl Fn(&[u8]) + std::panic::RefUnwindSafe) {
    let seed = setting("DROPBED_FUZZ_SEED", 1);
    let executions = setting("DROPBED_FUZZ_EXECUTIONS", EXECUTIONS_DEFAULT);
    let mut mutator = Mutator::new(seed, corpus(name));
    for entry in &mutator.corpus {
        target(entry);
    }
    for execution in 0..executions {
        let input = mutator.next();
        let outcome = std::panic::catch_unwind(|| target(&input));
        assert!(outcome.is_ok(), "{name}, execution {execution} of seed {seed}: {input:02x?}");
    }
}

/// The entries that a target's corpus has in the repository, in the order of their names.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
    let entries = std::fs::read_dir(&directory).expect("every target has a corpus");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("it can be read").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", directory.display());
    paths.iter().map(|path| std::fs::read(path).expect("it can be read")).collect()
}

#[test]
fn handshake_is_sound() {
    run("handshake", handshake);
}

#[test]
fn deframer_is_sound() {
    run("deframer", deframer);
}

#[test]
fn opener_is_sound() {
    run("opener", opener);
}

#[test]
fn updates_are_sound() {
    run("updates", updates);
}
