//! The one place that reads the monotonic clock for measuring.
//!
//! Waiting uses tokio's clock, so that tests can pause it; what is measured is
//! real time, even in such a test.

use std::sync::LazyLock;
use std::time::{Instant, SystemTime};

#[expect(clippy::disallowed_methods, reason = "this is the clock")]
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Nanoseconds since the first call in this process. Never runs backwards.
pub fn now_ns() -> u64 {
    // 2^64 ns are 584 years.
    u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Nanoseconds since 1970, for spans, which lie beside those of other processes.
/// Intervals are taken from [`now_ns`].
pub fn unix_ns() -> u64 {
    // A clock before 1970 or after 2554 is not a clock.
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX)
}
