//! What the stream measures: real time, and bytes.

use std::sync::atomic::Ordering;

use super::super::session::Shared;
use crate::telemetry::clock;
use crate::telemetry::layers::Layer;

/// When the latest data record came, and in which epoch.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    latest: Option<(u32, u64)>,
}

impl Gaps {
    /// A data record of `epoch` with so many bytes was opened.
    pub(super) fn data_received(&mut self, epoch: u32, bytes: usize, shared: &Shared) {
        let tally = &shared.tally;
        tally.plain_bytes_received.fetch_add(bytes as u64, Ordering::Relaxed);
        let now_ns = clock::now_ns();
        if let Some((_, latest_ns)) = self.latest.filter(|&(latest, _)| latest != epoch) {
            let from_ns = latest_ns.max(tally.gaps_from_ns.load(Ordering::Relaxed));
            let gap_ns = now_ns.saturating_sub(from_ns);
            tally.rekey_gap_ns_max.fetch_max(gap_ns, Ordering::Relaxed);
        }
        self.latest = Some((epoch, now_ns));
    }
}

/// Charges what `work` takes to sealing.
pub(super) fn sealing<T>(shared: &Shared, work: impl FnOnce() -> T) -> T {
    let _at_work = shared.account().enter(Layer::Seal);
    let began_ns = clock::now_ns();
    let done = work();
    let spent_ns = clock::now_ns().saturating_sub(began_ns);
    shared.tally.seal_ns.fetch_add(spent_ns, Ordering::Relaxed);
    done
}

/// Charges what `work` takes to opening.
pub(super) fn opening<T>(shared: &Shared, work: impl FnOnce() -> T) -> T {
    let _at_work = shared.account().enter(Layer::Open);
    let began_ns = clock::now_ns();
    let done = work();
    let spent_ns = clock::now_ns().saturating_sub(began_ns);
    shared.tally.open_ns.fetch_add(spent_ns, Ordering::Relaxed);
    done
}
