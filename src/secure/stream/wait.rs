//! How long a half of the stream waits for the transport.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::telemetry::clock;
use crate::telemetry::layers::{Account, Entered, Layer};

/// A wait that may be under way: from the poll that found nothing to the one that
/// found something, however often it was polled in between.
#[derive(Debug, Default)]
pub(super) struct Wait {
    since_ns: Option<u64>,
    entered: Option<Entered>,
}

impl Wait {
    pub(super) fn begin(&mut self, account: &Account, layer: Option<Layer>) {
        if self.since_ns.is_none() {
            self.since_ns = Some(clock::now_ns());
            self.entered = layer.map(|layer| account.enter(layer));
        }
    }

    pub(super) fn end(&mut self, total_ns: &AtomicU64) {
        if let Some(since_ns) = self.since_ns.take() {
            self.entered = None;
            total_ns.fetch_add(clock::now_ns().saturating_sub(since_ns), Ordering::Relaxed);
        }
    }
}
