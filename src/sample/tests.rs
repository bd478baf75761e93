use std::collections::BTreeSet;

use super::*;

fn bytes(seed: u64, size_bytes: u64) -> Vec<u8> {
    bytes_of(Entropy::Random, seed, size_bytes)
}

fn bytes_of(entropy: Entropy, seed: u64, size_bytes: u64) -> Vec<u8> {
    let mut sample = Sample::of(entropy, seed, size_bytes);
    let mut all = Vec::new();
    while let Some(block) = sample.next_block() {
        all.extend_from_slice(block);
    }
    all
}

#[test]
fn same_seed_same_bytes() {
    assert_eq!(bytes(7, 3_000_000), bytes(7, 3_000_000));
    assert_ne!(bytes(7, 1000), bytes(8, 1000));
    let text = |seed| bytes_of(Entropy::Text, seed, 3_000_000);
    assert_eq!(text(7), text(7));
    assert_ne!(text(7), text(8));
}

#[test]
fn a_shorter_sample_is_a_prefix() {
    for entropy in Entropy::ALL {
        let long = bytes_of(entropy, 7, 3_000_000);
        assert_eq!(long.len(), 3_000_000);
        assert_eq!(bytes_of(entropy, 7, 1_500_001), long[..1_500_001], "{}", entropy.name());
    }
}

#[test]
fn digest_is_the_digest_of_the_bytes() {
    assert_eq!(Sample::digest(9, 1_234_567), blake3::hash(&bytes(9, 1_234_567)));
    assert_eq!(Sample::digest(9, 0), blake3::hash(b""));
    for entropy in Entropy::ALL {
        let digest = Sample::of(entropy, 9, 1_234_567).into_digest();
        assert_eq!(digest, blake3::hash(&bytes_of(entropy, 9, 1_234_567)));
    }
}

/// A dataset of the seed must be the same for every later version: a golden value.
#[test]
fn the_generators_stay_what_they_are() {
    let head = |entropy| blake3::hash(&bytes_of(entropy, 1, 4096)).to_hex()[..16].to_owned();
    insta::assert_snapshot!(
        Entropy::ALL.map(|entropy| format!("{} {}", entropy.name(), head(entropy))).join("\n")
    );
}

#[test]
fn text_is_words_and_lines_and_zeros_are_zero() {
    let text = String::from_utf8(bytes_of(Entropy::Text, 3, 100_000)).unwrap();
    assert!(text.bytes().all(|byte| byte == b'\n' || (b' '..=b'z').contains(&byte)));
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.len() > 100, "{} lines", lines.len());
    let words: BTreeSet<&str> = text.split_whitespace().collect();
    assert!(words.len() <= WORDS.len() + 1, "the last word may be cut");
    assert!(bytes_of(Entropy::Zeros, 3, 2_000_000).iter().all(|byte| *byte == 0));
}
