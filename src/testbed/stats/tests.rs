use proptest::prelude::*;

use super::*;

#[test]
fn ranks_are_those_of_the_tables() {
    for (samples, low, high, percent) in
        [(6, 1, 6, 96.9), (10, 2, 9, 97.9), (15, 4, 12, 96.5), (20, 6, 15, 95.9)]
    {
        let ranks = median_ranks(samples).unwrap();
        assert_eq!((ranks.low, ranks.high), (low, high), "n = {samples}");
        assert!((ranks.coverage * 100.0 - percent).abs() < 0.05, "n = {samples}: {ranks:?}");
    }
}

#[test]
fn too_few_samples_have_no_interval() {
    for samples in 0..INTERVAL_SAMPLES_MIN {
        assert_eq!(median_ranks(samples), None);
    }
    assert_eq!(Summary::of(&[3.0, 1.0, 2.0]).unwrap().interval, None);
}

#[test]
fn many_samples_agree_with_the_normal_approximation() {
    // n/2 - 1.96 * sqrt(n)/2 = 4902 for n = 10 000, beyond where 2^n overflows.
    let ranks = median_ranks(10_000).unwrap();
    assert!((4900..=4904).contains(&ranks.low), "{ranks:?}");
    assert!((0.95..0.952).contains(&ranks.coverage), "{ranks:?}");
}

#[test]
fn ten_samples_are_summarised_by_hand() {
    let summary = Summary::of(&[7.0, 1.0, 9.0, 3.0, 10.0, 2.0, 8.0, 4.0, 6.0, 5.0]).unwrap();
    assert_eq!((summary.samples, summary.min, summary.max), (10, 1.0, 10.0));
    assert_eq!(summary.median, 5.5);
    assert_eq!((summary.quartile_low, summary.quartile_high), (3.25, 7.75));
    let interval = summary.interval.unwrap();
    assert_eq!((interval.low, interval.high), (2.0, 9.0));
}

#[test]
fn one_sample_is_all_of_it() {
    let summary = Summary::of(&[4.0]).unwrap();
    assert_eq!((summary.min, summary.median, summary.max), (4.0, 4.0, 4.0));
    assert_eq!((summary.quartile_low, summary.quartile_high), (4.0, 4.0));
}

#[test]
fn what_is_no_sample_is_refused() {
    assert_eq!(Summary::of(&[]), Err(StatsError::Empty));
    assert_eq!(Summary::of(&[1.0, f64::NAN]), Err(StatsError::NotFinite { index: 1 }));
    assert_eq!(Summary::of(&[f64::INFINITY]), Err(StatsError::NotFinite { index: 0 }));
}

/// Coverage by counting all 2^n ways in which n samples fall around the median.
fn coverage_by_counting(samples: u32, low: u32, high: u32) -> f64 {
    let hits =
        (0_u32..1 << samples).filter(|ways| (low..high).contains(&ways.count_ones())).count();
    hits as f64 / f64::from(1_u32 << samples)
}

proptest! {
    #[test]
    fn coverage_is_what_counting_says_and_no_narrower_pair_does(samples in 6_u32..15) {
        let ranks = median_ranks(samples as usize).unwrap();
        let (low, high) = (u32::try_from(ranks.low).unwrap(), u32::try_from(ranks.high).unwrap());
        let counted = coverage_by_counting(samples, low, high);
        prop_assert!((ranks.coverage - counted).abs() < 1e-9);
        prop_assert!(counted >= COVERAGE_MIN);
        prop_assert!(coverage_by_counting(samples, low + 1, high - 1) < COVERAGE_MIN);
    }

    #[test]
    fn a_summary_is_in_order_and_ignores_it(samples in prop::collection::vec(-1e9..1e9_f64, 1..60)) {
        let summary = Summary::of(&samples).unwrap();
        let order = [
            summary.min, summary.quartile_low, summary.median, summary.quartile_high, summary.max,
        ];
        prop_assert!(order.is_sorted(), "{order:?}");
        if let Some(interval) = summary.interval {
            prop_assert!(interval.low <= summary.median && summary.median <= interval.high);
        }
        let reversed: Vec<_> = samples.iter().rev().copied().collect();
        prop_assert_eq!(Summary::of(&reversed).unwrap(), summary);
    }
}
