//! The fuzz targets on a stable compiler: mutations of a corpus, by a seed.
//!
//! `DROPBED_FUZZ_EXECUTIONS=10000000 cargo test --release --lib -- secure::fuzz` runs
//! as many of each; `DROPBED_FUZZ_SEED` chooses others.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use super::*;

/// Of each target; some hundred milliseconds in all.
const EXECUTIONS_DEFAULT: u64 = 1_000;

/// A corpus entry is shorter than this.
const INPUT_BYTES_MAX: usize = 4_096;

fn setting(variable: &str, default: u64) -> u64 {
    let value = std::env::var(variable).ok();
    value.map_or(default, |value| value.parse().expect("a number"))
}

struct Mutator {
    random: ChaCha8Rng,
    corpus: Vec<Vec<u8>>,
}

impl Mutator {
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
            let place = self.below(256);
            // The entries that a test began with stay.
            if self.corpus.len() < 256 {
                self.corpus.push(input.clone());
            } else if place > 8 {
                self.corpus[place].clone_from(&input);
            }
        }
        input
    }
}

fn run(name: &str, target: impl Fn(&[u8]) + std::panic::RefUnwindSafe, corpus: Vec<Vec<u8>>) {
    let seed = setting("DROPBED_FUZZ_SEED", 1);
    let executions = setting("DROPBED_FUZZ_EXECUTIONS", EXECUTIONS_DEFAULT);
    let mut mutator = Mutator { random: ChaCha8Rng::seed_from_u64(seed), corpus };
    for entry in &mutator.corpus {
        target(entry);
    }
    for execution in 0..executions {
        let input = mutator.next();
        let outcome = std::panic::catch_unwind(|| target(&input));
        assert!(outcome.is_ok(), "{name}, execution {execution} of seed {seed}: {input:02x?}");
    }
}

/// Steps of 3 bytes for `updates`, in all kinds, with or without folds.
fn all_steps(folds: u8) -> Vec<u8> {
    let head = [0, 2, 30, folds];
    let steps = (0u8..64).flat_map(|step| [step.wrapping_mul(37), 0, step.wrapping_mul(11)]);
    head.into_iter().chain(steps).collect()
}

#[test]
fn handshake_is_sound() {
    let mut corpus: Vec<Vec<u8>> = Vec::new();
    for message in 1..5 {
        corpus.push(vec![message & 1, 255, message, 0, 0, 0]);
        corpus.push(vec![1, 7, message, 2, 0, 40, 1, 4, 0, 9, 1, 1, 0, 90, 3]);
    }
    corpus.push(b"\0\x10\0drop\x01\x01\x05\x0c".to_vec());
    corpus.push([&b"\0\x10\0drop\x01\x03\0\x31"[..], &[7; 49]].concat());
    run("handshake", handshake, corpus);
}

#[test]
fn deframer_is_sound() {
    let header = [0, 0, 0, 29, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let record = [&[0, 33][..], &header, &[7; 17]].concat();
    run("deframer", deframer, vec![record, vec![0, 4, 255, 255, 255, 255]]);
}

#[test]
fn opener_is_sound() {
    let data = vec![0, 0, 0, 1, 0, 3, b'a', b'b', b'c', 0];
    let every = (0u8..8).flat_map(|content| [1, content, 0, 2, 1, 0, 1]);
    run("opener", opener, vec![data, [1, 1].into_iter().chain(every).collect()]);
}

#[test]
fn updates_are_sound() {
    let mut corpus: Vec<Vec<u8>> = (0..12).map(all_steps).collect();
    corpus.push(vec![1, 0, 0, 0, 5, 0, 0, 133, 0, 0, 7, 0, 0]);
    // An offer, what there is on its way, a close of either end, and data after it.
    for end in [0, 128] {
        let steps =
            [[5, 0, 0], [2 | end, 255, 255], [7 | end, 0, 7], [128 - end, 1, 0], [14, 0, 0]];
        corpus.push([vec![1, 7, 0, 10], steps.concat()].concat());
    }
    run("updates", updates, corpus);
}
