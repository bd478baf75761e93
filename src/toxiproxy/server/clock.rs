//! CLOCK_MONOTONIC in nanoseconds, the clock that timerfd is armed on.

use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds of CLOCK_MONOTONIC; never 0 and never backwards.
pub(super) fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    // The kernel never gives negative monotonic times; 2^64 ns are 584 years.
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(now.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos).max(1)
}

/// The wall-clock time of a monotonic one, in microseconds since 1970. The offset
/// is taken once, so that differences stay those of the monotonic clock.
pub(super) fn unix_us(at_ns: u64) -> u64 {
    static OFFSET_US: LazyLock<i128> = LazyLock::new(|| {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i128::try_from(wall.as_micros()).unwrap_or(0) - i128::from(now_ns() / 1_000)
    });
    u64::try_from(i128::from(at_ns / 1_000) + *OFFSET_US).unwrap_or(0)
}
