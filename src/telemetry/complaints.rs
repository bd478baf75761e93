//! Warnings that others can cause, so few that they cannot fill a disk.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use tokio::time::{Duration, Instant};

/// Lines at once: a few wrong connections are told one by one.
const LINES_MAX: u32 = 8;

/// Another line after so long: one that is written when the next stranger comes.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Writes warnings at a bounded rate, and says how many it kept to itself.
#[derive(Debug, Default)]
pub struct Complaints(Mutex<Allowance>);

#[derive(Debug, Default)]
struct Allowance {
    lines: u32,
    latest: Option<Instant>,
    silent: u64,
}

impl Complaints {
    pub(crate) fn warn(&self, what: fmt::Arguments<'_>) {
        let allowed = self.0.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now());
        match allowed {
            None => {}
            Some(0) => tracing::warn!("{what}"),
            Some(silent) => tracing::warn!("{what} (and {silent} such lines before)"),
        }
    }
}

impl Allowance {
    /// How many were kept back before this one; `None`: this one too.
    fn take(&mut self, now: Instant) -> Option<u64> {
        let since = self.latest.map(|latest| now.saturating_duration_since(latest));
        let earned = since.map_or(0, |since| since.as_secs() / LINE_EVERY.as_secs());
        self.lines = self.lines.saturating_sub(u32::try_from(earned).unwrap_or(u32::MAX));
        if self.lines >= LINES_MAX {
            self.silent += 1;
            return None;
        }
        self.lines += 1;
        self.latest = Some(now);
        Some(std::mem::take(&mut self.silent))
    }
}

#[cfg(test)]
mod tests;
