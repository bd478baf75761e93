//! When the sending direction updates. Pure; time is an argument.

use super::{CONTROL_RUN_MAX, FutureEpoch, KeyUpdate, RekeyLimits};
use crate::secure::suite::KeyLimits;

/// When the sending direction updates, and when a fold is due.
#[derive(Debug)]
pub struct Schedule {
    limits: RekeyLimits,
    data_bytes: u64,
    data_records: u64,
    epoch_began_ns: u64,
    fold_began_ns: u64,
    data_since_fold: bool,
    /// Somebody here wants both directions to move.
    requested: bool,
    /// The peer wants our direction to move.
    owed: bool,
    /// Somebody here wants a fold.
    fold_requested: bool,
    /// Records without data since the last one with data.
    control_run: u32,
}

impl Schedule {
    /// A schedule for a direction whose epoch 0 begins at `now_ns`. Limits below
    /// their minimum are raised to it, and those beyond the soft limits of `key` lowered.
    pub fn new(limits: RekeyLimits, key: KeyLimits, now_ns: u64) -> Self {
        let limits = limits.raised_to_minimum();
        let limits = RekeyLimits {
            bytes: limits.bytes.min(key.bytes_soft),
            records: limits.records.min(key.records_soft),
            ..limits
        };
        Self {
            limits,
            data_bytes: 0,
            data_records: 0,
            epoch_began_ns: now_ns,
            fold_began_ns: now_ns,
            data_since_fold: false,
            requested: false,
            owed: false,
            fold_requested: false,
            control_run: 0,
        }
    }

    /// Both directions are to move.
    pub const fn request(&mut self) {
        self.requested = true;
    }

    /// A fold is to be made.
    pub const fn request_fold(&mut self) {
        self.fold_requested = true;
    }

    /// The peer's `update` arrived while we send in epoch `sent`.
    ///
    /// # Errors
    /// When the peer says it has seen an epoch that we have not reached.
    pub const fn handle_update(&mut self, update: KeyUpdate, sent: u32) -> Result<(), FutureEpoch> {
        if update.seen_epoch > sent {
            return Err(FutureEpoch { seen: update.seen_epoch, sent });
        }
        if update.asks && update.seen_epoch == sent {
            self.owed = true;
        }
        Ok(())
    }

    /// An update that must not wait for data: whether it asks the peer.
    pub const fn urgent(&self) -> Option<bool> {
        if (self.requested || self.owed) && self.may_send_control() {
            Some(self.requested)
        } else {
            None
        }
    }

    /// Whether the receiver will still take a record without data.
    pub const fn may_send_control(&self) -> bool {
        self.control_run < CONTROL_RUN_MAX
    }

    /// Whether an update goes before the next record, which has so many bytes.
    pub const fn is_due(&self, record_bytes: u64, now_ns: u64) -> bool {
        debug_assert!(record_bytes <= self.record_bytes_max());
        self.data_bytes + record_bytes > self.limits.bytes
            || self.data_records >= self.limits.records
            || (age_ms(now_ns, self.epoch_began_ns) >= self.limits.interval_ms
                && self.data_records > 0)
    }

    /// Whether a fold is wanted, by somebody or by time. An idle session stays quiet.
    pub const fn is_fold_due(&self, now_ns: u64) -> bool {
        self.fold_requested
            || (self.data_since_fold
                && age_ms(now_ns, self.fold_began_ns) >= self.limits.fold_interval_ms)
    }

    /// Whether somebody waits for a fold.
    pub const fn is_fold_requested(&self) -> bool {
        self.fold_requested
    }

    /// Data bytes that one record may have: all that one key may seal.
    pub const fn record_bytes_max(&self) -> u64 {
        self.limits.bytes
    }

    /// A record with so many data bytes was sealed.
    pub const fn data_sealed(&mut self, bytes: u64) {
        self.data_bytes += bytes;
        self.data_records += 1;
        self.data_since_fold = true;
        if bytes > 0 {
            self.control_run = 0;
        }
    }

    /// An offer or an answer was sealed. Whoever wants fresh keys from now on wants
    /// others than those.
    pub const fn fold_sealed(&mut self) {
        self.fold_requested = false;
        self.control_run += 1;
    }

    /// Fresh keys are agreed; the next fold is counted from here.
    pub const fn folded(&mut self, now_ns: u64) {
        self.fold_began_ns = now_ns;
        self.data_since_fold = false;
    }

    /// The peer has closed: it will not answer an offer.
    pub const fn forget_folds(&mut self) {
        self.fold_requested = false;
        self.limits.fold_interval_ms = u64::MAX;
    }

    /// A `KeyUpdate` was sealed: a new epoch begins.
    pub const fn update_sealed(&mut self, now_ns: u64) {
        self.data_bytes = 0;
        self.data_records = 0;
        self.epoch_began_ns = now_ns;
        self.requested = false;
        self.owed = false;
        self.control_run += 1;
    }
}

const fn age_ms(now_ns: u64, began_ns: u64) -> u64 {
    now_ns.saturating_sub(began_ns) / 1_000_000
}
