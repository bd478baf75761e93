//! The bounds that the toxics in force set.

use super::super::acting::ActingToxics;

/// Queue bound of a stream that nothing delays: enough for a write to be whole,
/// too little to hide a slow receiver from its sender.
const UNDELAYED_QUEUE_BYTES_MAX: usize = 512 * 1024;
/// Least queue bound of a delayed stream, that of the stock server: 1024 chunks
/// of 32 KiB.
const DELAYED_QUEUE_BYTES_MIN: usize = 32 * 1024 * 1024;
/// Most that one stream of one connection may hold in memory.
const DELAYED_QUEUE_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Rate up to which a delay does not throttle: a link holds rate times latency.
/// 10 Gbit/s, the order of what one core copies through two sockets.
const UNTHROTTLED_BYTES_PER_MS: u64 = 1_250_000;

/// What waits for a rate is about this long, so that a timer that wakes late never
/// finds nothing to send; and no longer, as it is delay that nobody asked for.
const INTAKE_MS: u64 = 20;
/// Below this, small reads would cost more than they give.
const INTAKE_BYTES_MIN: usize = 16 * 1024;
/// See [`INTAKE_MS`]; 20 ms of 1.6 Gbit/s. Faster links wait less long.
const INTAKE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Connections take turns on a shared rate in pieces of about this long.
const QUANTUM_US: u64 = 1_000;
/// A piece is no smaller than a packet, or slow links would be all wake-ups...
const QUANTUM_BYTES_MIN: usize = 1_500;
/// ...unless a packet takes longer than this: what comes at once is a burst.
const QUANTUM_US_MAX: u64 = 5_000;
/// A piece is no larger than one read.
const QUANTUM_BYTES_MAX: usize = 128 * 1024;

/// See the fields.
#[derive(Debug)]
pub(super) struct Limits {
    /// Of what is on its way.
    pub(super) queue_bytes_max: usize,
    /// Of what waits for the rate.
    pub(super) intake_bytes_max: usize,
    /// What passes at a time.
    pub(super) quantum_bytes: usize,
    /// Whether pieces wait for one another.
    pub(super) is_paced: bool,
    /// Bytes per second of the lowest rate in force.
    pub(super) slowest: Option<u64>,
}

impl Limits {
    pub(super) fn of(toxics: &ActingToxics) -> Self {
        let slowest = toxics.rates().map(|(rate, _)| rate).min();
        let is_sliced = toxics.slicer().is_some();
        Self {
            queue_bytes_max: queue_bytes_max(toxics),
            intake_bytes_max: match slowest {
                Some(rate) => {
                    scaled(rate, INTAKE_MS, 1_000).clamp(INTAKE_BYTES_MIN, INTAKE_BYTES_MAX)
                }
                None if is_sliced => INTAKE_BYTES_MIN,
                // It moves on at once.
                None => UNDELAYED_QUEUE_BYTES_MAX,
            },
            quantum_bytes: slowest.map_or(usize::MAX, quantum_bytes),
            is_paced: slowest.is_some() || is_sliced,
            slowest,
        }
    }

    /// Whether a rate of zero lets nothing through.
    pub(super) fn is_blocked(&self) -> bool {
        self.slowest == Some(0)
    }
}

fn quantum_bytes(rate_bytes_per_s: u64) -> usize {
    let packet = QUANTUM_BYTES_MIN.min(scaled(rate_bytes_per_s, QUANTUM_US_MAX, 1_000_000));
    scaled(rate_bytes_per_s, QUANTUM_US, 1_000_000).clamp(packet.max(1), QUANTUM_BYTES_MAX)
}

fn queue_bytes_max(toxics: &ActingToxics) -> usize {
    let latencies = toxics.latencies();
    let longest_ns: u64 =
        latencies.map(|latency| latency.latency.as_nanos() + latency.jitter.as_nanos()).sum();
    if longest_ns == 0 {
        return UNDELAYED_QUEUE_BYTES_MAX;
    }
    let held = (longest_ns / 1_000_000).saturating_mul(UNTHROTTLED_BYTES_PER_MS);
    usize::try_from(held)
        .unwrap_or(usize::MAX)
        .clamp(DELAYED_QUEUE_BYTES_MIN, DELAYED_QUEUE_BYTES_MAX)
}

/// Bytes of `rate_bytes_per_s` in `part / parts_per_s` seconds.
fn scaled(rate_bytes_per_s: u64, part: u64, parts_per_s: u64) -> usize {
    let bytes = u128::from(rate_bytes_per_s) * u128::from(part) / u128::from(parts_per_s);
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
