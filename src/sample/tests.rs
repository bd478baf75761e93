use super::*;

fn bytes(seed: u64, size_bytes: u64) -> Vec<u8> {
    let mut sample = Sample::new(seed, size_bytes);
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
}

#[test]
fn a_shorter_sample_is_a_prefix() {
    assert_eq!(bytes(7, 1_500_001), bytes(7, 3_000_000)[..1_500_001]);
}

#[test]
fn digest_is_the_digest_of_the_bytes() {
    assert_eq!(Sample::digest(9, 1_234_567), blake3::hash(&bytes(9, 1_234_567)));
    assert_eq!(Sample::digest(9, 0), blake3::hash(b""));
}
