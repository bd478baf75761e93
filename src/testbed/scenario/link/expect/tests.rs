use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::*;

fn shape(rtt_us: u64, up_jitter_us: u64, down_jitter_us: u64) -> Shape {
    let way = |jitter_us| OneWay { latency_us: rtt_us / 2, jitter_us, ..OneWay::default() };
    Shape { up: way(up_jitter_us), down: way(down_jitter_us) }
}

#[test]
fn without_jitter_nothing_widens_the_tolerance() {
    for (rtt_us, tolerance) in [(0, 1_000), (50_000, 1_000), (100_000, 2_000)] {
        let shape = shape(rtt_us, 0, 0);
        assert_eq!((samples(&shape), tolerance_us(&shape, 9, 0)), (9, tolerance));
        assert_eq!(aim_us(&shape, 9, 0), tolerance / 2);
    }
}

#[test]
fn jitter_takes_samples_as_far_as_time_allows() {
    assert_eq!(samples(&shape(50_000, 1_000, 0)), 9, "3 sd of 9 are 1 ms already");
    assert_eq!(samples(&shape(50_000, 2_000, 1_000)), 37, "(3 * 2 / 1)^2, made odd");
    assert_eq!(samples(&shape(50_000, 20_000, 20_000)), 99, "5 s");
    assert_eq!(samples(&shape(2_000, 1_000, 1_000)), 9);
    assert_eq!(samples(&shape(10_000, 5_000, 5_000)), 101);
    assert_eq!(samples(&shape(4_000_000, 500_000, 0)), 9);
    assert_eq!(tolerance_us(&shape(50_000, 0, 2_000), 37, 70), 1_000 + 986 + 70);
}

/// The formula holds for medians that are drawn: nearly all are within three of
/// its deviations, and many beyond one.
#[test]
fn medians_deviate_as_the_formula_says() {
    const ROUNDS: usize = 4_000;
    let mut random = ChaCha8Rng::seed_from_u64(1);
    for (up, down, count) in [(5_000, 5_000, 101), (5_000, 1_000, 101), (2_000, 0, 37)] {
        let shape = shape(50_000, up, down);
        let spread = spread_us(&shape, count).cast_signed();
        let mut median_off = || {
            let mut offs: Vec<i64> = (0..count)
                .map(|_| {
                    random.random_range(-up.cast_signed()..=up.cast_signed())
                        + random.random_range(-down.cast_signed()..=down.cast_signed())
                })
                .collect();
            offs.sort_unstable();
            offs[offs.len() / 2].abs()
        };
        let offs: Vec<i64> = (0..ROUNDS).map(|_| median_off()).collect();
        let share =
            |limit: i64| offs.iter().filter(|&&off| off > limit).count() as f64 / ROUNDS as f64;
        assert!(share(spread) < 0.01, "{up} {down} {count}: {}", share(spread));
        let beyond_one = share(spread / 3);
        assert!((0.2..0.45).contains(&beyond_one), "{up} {down} {count}: {beyond_one}");
    }
}

/// However many pieces the records of a ping become, their median is within reach.
#[test]
fn order_holds_back_as_the_formula_says() {
    const SAMPLES: usize = 10_001;
    let jittery = shape(50_000, 6_000, 3_000);
    assert_eq!(held_back_us(&jittery, 1, 0), 0);
    assert_eq!(held_back_us(&jittery, 2, 3), (2_000 + 1_500) / 2);
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let mut latest = |jitter: i64, pieces: u64| {
        (0..pieces).map(|_| random.random_range(-jitter..=jitter)).max().unwrap()
    };
    for (up_records, down_records) in [(1, 1), (2, 2), (3, 2), (3, 3)] {
        let middle = held_back_us(&jittery, up_records, down_records).cast_signed();
        let reach = tolerance_us(&jittery, 99, middle.unsigned_abs()).cast_signed();
        for (up, down) in [(1, 1), (up_records, down_records)] {
            let mut late: Vec<i64> =
                (0..SAMPLES).map(|_| latest(6_000, up) + latest(3_000, down)).collect();
            late.sort_unstable();
            let median = late[SAMPLES / 2];
            assert!((median - middle).abs() < reach, "{up}, {down}: {median} for {middle}");
            // The middle is between what no piece and what every piece adds.
            assert!(up == 1 || median >= middle, "{up}, {down}: {median} for {middle}");
        }
    }
}

#[test]
fn a_rate_makes_pings_longer() {
    let mut shape = shape(0, 0, 0);
    assert_eq!(serialisation_us(&shape, 200, 300), 0);
    shape.up.rate_bits_per_s = Some(1_000_000);
    shape.down.rate_bits_per_s = Some(8_000);
    assert_eq!(serialisation_us(&shape, 200, 300), 1_600 + 300_000);
    assert_eq!(trip_ms_max(&shape), 17 + 2_048);
}

#[test]
fn a_burst_fits_its_rate() {
    let way = OneWay::default();
    for (rate, bytes) in [
        (64_000, 8 << 10),
        (1_000_000, 100_000),
        (100_000_000, 10_000_000),
        (10_000_000_000, 32 << 20),
        (u64::MAX, 32 << 20),
    ] {
        assert_eq!(burst_bytes(way, rate), bytes);
    }
    let jittery = OneWay { jitter_us: 200_000, ..way };
    assert_eq!(burst_bytes(jittery, 1_000_000), 200_000);
    assert_eq!(burst_ms_max(100_000, 1_000_000), 1_600);
    assert_eq!(burst_ms_max(1, 0), 16_000);
}

#[test]
fn a_daemon_makes_the_largest_burst() {
    assert_eq!(BURST_BYTES_MAX, crate::transfer::limits::BURST_BYTES_MAX);
}

#[test]
fn rates_are_right_within_three_percent() {
    for (measured, right) in [(97, true), (103, true), (96, false), (104, false), (0, false)] {
        assert_eq!(is_right_rate(100, measured), right, "{measured}");
    }
    assert!(!is_right_rate(1_000_000, u64::MAX));
}

/// Samples that are drawn deviate as expected, whatever the two jitters are; samples
/// without jitter do not.
#[test]
fn jitter_is_told_by_its_deviation() {
    assert_eq!(deviation_us(&shape(50_000, 800, 0)), None, "less than the machine's own");
    let mut random = ChaCha8Rng::seed_from_u64(3);
    for (up, down) in [(5_000, 5_000), (5_000, 1_000), (2_000, 0)] {
        let expected_us = deviation_us(&shape(50_000, up, down)).expect("enough jitter");
        let wrong = (0..2_000).filter(|_| {
            let draw = |random: &mut ChaCha8Rng, jitter: u64| random.random_range(0..=2 * jitter);
            let mut samples: Vec<u64> =
                (0..9).map(|_| draw(&mut random, up) + draw(&mut random, down)).collect();
            samples.sort_unstable();
            let measured_us = measured_deviation_us(&samples, samples[4]);
            !is_right_deviation(expected_us, measured_us)
        });
        let wrong = wrong.count();
        assert!(wrong < 100, "{up} {down}: {wrong} of 2000 rounds of nine samples");
        let still = [50_000, 50_100, 49_950, 50_300, 50_000];
        assert!(!is_right_deviation(expected_us, measured_deviation_us(&still, 50_000)));
    }
}
