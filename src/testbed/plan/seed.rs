//! Seeds for everything random, each from the run's seed and a name.

/// A seed that depends on the run's seed and all of `parts`, and on nothing else.
///
/// BLAKE3 rather than a generator: adding a part to a topology leaves the seeds
/// of all others as they were.
pub(crate) fn derive(seed: u64, parts: &[&str]) -> u64 {
    let mut hasher = blake3::Hasher::new_derive_key("dropbed 2026 plan seeds v1");
    hasher.update(&seed.to_le_bytes());
    for part in parts {
        // The length keeps ("ab", "c") apart from ("a", "bc").
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let mut bytes = [0; 8];
    hasher.finalize_xof().fill(&mut bytes);
    u64::from_le_bytes(bytes)
}
