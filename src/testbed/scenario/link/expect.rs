//! What the probes of a right link find, and how far off they may be. Pure.

use crate::testbed::plan::{OneWay, Shape};

/// Samples of a round over delays that are always the same: an odd number has a
/// median that was measured.
const SAMPLES_MIN: u32 = 9;

/// Most samples of a round, over delays that jitter.
const SAMPLES_MAX: u32 = 101;

/// More samples than [`SAMPLES_MIN`] take no longer than this, in microseconds: a
/// probe comes before every turn.
const SAMPLING_US_MAX: u64 = 5_000_000;

/// A measured RTT may be off by this much, or by [`RTT_TOLERANCE_PERCENT`] of what
/// was asked, whichever is more: the path through two daemons and a proxy takes
/// some tenths of a millisecond of its own.
const RTT_TOLERANCE_US_MIN: u64 = 1_000;

/// See [`RTT_TOLERANCE_US_MIN`].
const RTT_TOLERANCE_PERCENT: u64 = 2;

/// Deviations of less than this, in microseconds, may be the machine's own: half of
/// [`RTT_TOLERANCE_US_MIN`].
const DEVIATION_US_MIN: u64 = 500;

/// Jitter widens the tolerance by this many standard deviations of the median: one
/// round in 370 is beyond them by chance, and there are several.
const DEVIATIONS: u64 = 3;

/// A measured rate may be off by this much of what was asked. Framing is counted
/// and is no part of it; a timer that wakes some milliseconds late at either end of
/// [`BURST_MS`] is about 1 %, and a rate is caught up with over 20 ms, 3 %.
pub(in crate::testbed) const RATE_TOLERANCE_PERCENT: u64 = 3;

/// How long a burst lasts at the rate asked for, within its bounds in bytes: long
/// against the 20 ms over which a link catches up, short against a transfer.
const BURST_MS: u64 = 800;

/// A burst lasts this many times the jitter, so that the first quarter, which is
/// not timed, is over when the delay has settled.
const BURST_JITTERS: u64 = 8;

/// Least payload of a burst: 8 parts. At 64 kbit/s it takes 1 s, and at 8 kbit/s, the
/// slowest rate that there is, 8 s: less than a session waits for a sign of life.
const BURST_BYTES_MIN: u64 = 8 << 10;

/// Most payload of a burst: what a daemon sends without a leave from the receiver,
/// as large as its BURST_BYTES_MAX. It lasts 270 ms at 1 Gbit/s.
const BURST_BYTES_MAX: u64 = 32 << 20;

/// What a round trip carries at most each way, when it is a small call, its share
/// of a handshake included.
pub(super) const TRIP_BYTES_MAX: u64 = 2_048;

/// A ping is a few records each way. More were something else's, which must not
/// excuse a round trip.
pub(super) const PING_RECORDS_MAX: u64 = 4;

/// Samples of one round.
///
/// With jitter as many as bring [`spread_us`] down to the tolerance without jitter,
/// as far as that takes no longer than [`SAMPLING_US_MAX`].
pub(super) fn samples(shape: &Shape) -> u32 {
    if jitter_us(shape) == 0 {
        return SAMPLES_MIN;
    }
    let affordable = SAMPLING_US_MAX / shape.rtt_us().max(1);
    let affordable = u32::try_from(affordable).unwrap_or(u32::MAX).clamp(SAMPLES_MIN, SAMPLES_MAX);
    let tolerance_us = base_tolerance_us(shape);
    let enough = |&count: &u32| spread_us(shape, count) <= tolerance_us;
    // Odd numbers only: see SAMPLES_MIN.
    let most = affordable - (affordable + 1) % 2;
    (SAMPLES_MIN..most).step_by(2).find(enough).unwrap_or(most)
}

/// What jitter adds to a round trip of so many records each way: the middle of what
/// is possible, which may be off by as much either way.
///
/// Each piece of a message has a delay of its own, and order is kept, so the last
/// piece arrives with the largest of k delays, which deviate uniformly by up to j: in
/// the mean `j (k - 1) / (k + 1)` late. The proxy reads k records as 1 to k pieces.
pub(super) fn held_back_us(shape: &Shape, up_records: u64, down_records: u64) -> u64 {
    let most_us = |way: OneWay, records: u64| {
        way.jitter_us.saturating_mul(records.saturating_sub(1)) / records.saturating_add(1)
    };
    (most_us(shape.up, up_records) + most_us(shape.down, down_records)) / 2
}

/// How far the median of `samples` may be from what is right.
pub(super) fn tolerance_us(shape: &Shape, samples: u32, held_back_us: u64) -> u64 {
    base_tolerance_us(shape) + spread_us(shape, samples) + held_back_us
}

/// The same for a first round, after which more can be had: half of the tolerance
/// that is not chance.
pub(super) fn aim_us(shape: &Shape, samples: u32, held_back_us: u64) -> u64 {
    base_tolerance_us(shape) / 2 + spread_us(shape, samples) + held_back_us
}

fn base_tolerance_us(shape: &Shape) -> u64 {
    RTT_TOLERANCE_US_MIN.max(shape.rtt_us() * RTT_TOLERANCE_PERCENT / 100)
}

/// [`DEVIATIONS`] standard deviations of the median of `samples` round trips.
///
/// The median of n samples of a density f deviates by `1 / (2 f(m) sqrt(n))`, with
/// m the true median. A round trip is the sum of two delays that deviate uniformly
/// by up to a and b; its density at the median, which is its mean, is
/// `1 / (2 max(a, b))`. So the median deviates by `max(a, b) / sqrt(n)`.
fn spread_us(shape: &Shape, samples: u32) -> u64 {
    let squared = u128::from(DEVIATIONS * jitter_us(shape)).pow(2) / u128::from(samples.max(1));
    u64::try_from(squared.isqrt()).unwrap_or(u64::MAX)
}

fn jitter_us(shape: &Shape) -> u64 {
    shape.up.jitter_us.max(shape.down.jitter_us)
}

/// What `up_bytes` one way and `down_bytes` back take at the rates of the link.
pub(super) fn serialisation_us(shape: &Shape, up_bytes: u64, down_bytes: u64) -> u64 {
    passing_us(shape.up, up_bytes) + passing_us(shape.down, down_bytes)
}

fn passing_us(way: OneWay, bytes: u64) -> u64 {
    way.rate_bits_per_s.map_or(0, |rate| bytes.saturating_mul(8_000_000) / rate.max(1))
}

/// Longest round trip of a small call, in milliseconds, on an idle link.
pub(in crate::testbed::scenario) fn trip_ms_max(shape: &Shape) -> u64 {
    let jitter_us = shape.up.jitter_us + shape.down.jitter_us;
    let passing_us = serialisation_us(shape, TRIP_BYTES_MAX, TRIP_BYTES_MAX);
    (shape.rtt_us() + jitter_us + passing_us).div_ceil(1_000)
}

/// Payload of a burst over a direction of this rate.
pub(super) fn burst_bytes(way: OneWay, rate_bits_per_s: u64) -> u64 {
    let ms = BURST_MS.max(way.jitter_us / 1_000 * BURST_JITTERS);
    let bytes = u128::from(rate_bits_per_s) * u128::from(ms) / 8_000;
    u64::try_from(bytes).unwrap_or(u64::MAX).clamp(BURST_BYTES_MIN, BURST_BYTES_MAX)
}

/// How long a burst may take: twice what it should, in milliseconds, beyond the
/// link's delays.
pub(super) fn burst_ms_max(bytes: u64, rate_bits_per_s: u64) -> u64 {
    bytes.saturating_mul(2 * 8_000) / rate_bits_per_s.max(1)
}

/// What round trips of a right link deviate from their median, in the mean, as far as
/// that can be told from the deviations of the machine. None: too little jitter.
///
/// The sum of two delays that deviate uniformly by up to a and b has the variance
/// `(a^2 + b^2) / 3`; in the mean its values deviate by 0.82 (a = b) to 0.87 (b = 0)
/// of the root of that.
pub(super) fn deviation_us(shape: &Shape) -> Option<u64> {
    let squares = [shape.up, shape.down].map(|way| u128::from(way.jitter_us).pow(2));
    let standard_us = (squares.iter().sum::<u128>() / 3).isqrt();
    let mean_us = u64::try_from(standard_us * 84 / 100).unwrap_or(u64::MAX);
    (mean_us >= DEVIATION_US_MIN).then_some(mean_us)
}

/// Whether samples deviate as those of a right link: by half to twice as much.
/// Nine samples do in all but a few of a hundred rounds, and there are several.
pub(super) fn is_right_deviation(expected_us: u64, measured_us: u64) -> bool {
    (expected_us / 2..=expected_us.saturating_mul(2)).contains(&measured_us)
}

/// Mean deviation of samples from their median.
pub(super) fn measured_deviation_us(samples_us: &[u64], median_us: u64) -> u64 {
    let sum: u64 = samples_us.iter().map(|sample_us| sample_us.abs_diff(median_us)).sum();
    sum / (samples_us.len() as u64).max(1)
}

/// Whether a measured rate is that of a right link.
pub(super) fn is_right_rate(asked_bits_per_s: u64, measured_bits_per_s: u64) -> bool {
    let off = u128::from(measured_bits_per_s.abs_diff(asked_bits_per_s));
    off * 100 <= u128::from(asked_bits_per_s) * u128::from(RATE_TOLERANCE_PERCENT)
}

#[cfg(test)]
mod tests;
