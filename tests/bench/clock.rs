//! One clock for all processes of this machine.

use rustix::io::Errno;
use rustix::thread::clock_nanosleep_absolute;
use rustix::time::{ClockId, Timespec, clock_gettime};

pub(crate) const NS_PER_S: u64 = 1_000_000_000;
pub(crate) const NS_PER_MS: f64 = 1e6;

/// CLOCK_MONOTONIC, in nanoseconds: the same in every process.
pub(crate) fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    // Neither is ever negative on this clock.
    now.tv_sec.unsigned_abs() * NS_PER_S + now.tv_nsec.unsigned_abs()
}

/// Waits for a time of [`now_ns`].
pub(crate) fn sleep_until(ns: u64) {
    let until =
        Timespec { tv_sec: (ns / NS_PER_S).cast_signed(), tv_nsec: (ns % NS_PER_S).cast_signed() };
    // A signal ends the wait early; the time is absolute, so it is waited for again.
    while clock_nanosleep_absolute(ClockId::Monotonic, &until) == Err(Errno::INTR) {}
}

/// A span of [`now_ns`] in milliseconds, negative when `to` is before `from`.
pub(crate) fn millis(from: u64, to: u64) -> f64 {
    to.wrapping_sub(from).cast_signed() as f64 / NS_PER_MS
}
