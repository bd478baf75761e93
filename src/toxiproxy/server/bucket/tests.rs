use proptest::prelude::*;

use super::*;

const MBIT: u64 = 125_000;

proptest! {
    /// Whoever asks, in whatever pieces: over the whole time no more than the rate
    /// passes, and what was always waiting gets all of it.
    #[test]
    fn a_busy_link_carries_exactly_its_rate(pieces in prop::collection::vec(1usize..100_000, 1..200)) {
        let bucket = Bucket::default();
        let (start_ns, mut passed_ns) = (1_000_000_000, 0);
        for bytes in &pieces {
            passed_ns = bucket.reserve(*bytes, 10 * MBIT, start_ns, start_ns);
        }
        let bytes: usize = pieces.iter().sum();
        let exact_ns = bytes as u64 * 1_000_000_000 / (10 * MBIT);
        // Each piece is rounded up by less than a nanosecond.
        let took_ns = passed_ns - start_ns;
        prop_assert!((exact_ns..=exact_ns + pieces.len() as u64).contains(&took_ns));
    }
}

#[test]
fn an_idle_link_saves_nothing() {
    let bucket = Bucket::default();
    bucket.reserve(1_000, MBIT, 0, 0);
    // A second later: as long as on a fresh link.
    let now_ns = 1_000_000_000;
    assert_eq!(bucket.reserve(125, MBIT, now_ns, now_ns), now_ns + 1_000_000);
}

#[test]
fn a_late_timer_is_made_up_for_within_a_bound() {
    let bucket = Bucket::default();
    // Both were ready at once; the second is asked for late.
    let first_ns = bucket.reserve(125, MBIT, 0, 0);
    assert_eq!(first_ns, 1_000_000);
    assert_eq!(bucket.reserve(125, MBIT, 0, 9_000_000), 2_000_000, "as if it had been on time");
    let much_later_ns = 1_000_000_000;
    let passed_ns = bucket.reserve(125, MBIT, 0, much_later_ns);
    assert_eq!(passed_ns, much_later_ns - CATCH_UP_NS_MAX + 1_000_000);
}

#[test]
fn a_name_is_one_bucket_while_anybody_has_it() {
    let buckets = Buckets::default();
    let (one, same, other) = (buckets.named("a>b"), buckets.named("a>b"), buckets.named("b>a"));
    assert!(Arc::ptr_eq(&one, &same) && !Arc::ptr_eq(&one, &other));
    one.reserve(125, MBIT, 0, 0);
    drop((one, same));
    assert_eq!(buckets.named("a>b").reserve(125, MBIT, 0, 0), 1_000_000, "a new one");
}
