//! The sending direction: what is to be said, as sealed records in a buffer.

use std::io::IoSlice;

use crate::secure::fold::{FoldError, Folds};
use crate::secure::frame::{RECORD_PAYLOAD_BYTES_MAX, RECORD_WIRE_BYTES_MAX};
use crate::secure::record::{CONTROL_WIRE_BYTES_MAX, RecordError, Sealed, Sealer};
use crate::secure::rekey::{FutureEpoch, KeyUpdate, RekeyLimits, Schedule};
use crate::secure::suite::{Provider, Suite};

/// Control rides in the same write as the record after it.
const BUFFER_BYTES: usize = CONTROL_WIRE_BYTES_MAX + RECORD_WIRE_BYTES_MAX;

pub(super) struct Outgoing {
    sealer: Sealer,
    pub(super) schedule: Schedule,
    /// Whole records, of which the transport has taken `taken` bytes. Sealing
    /// appends, and only when the transport has taken all: it never grows.
    buffer: Sealed,
    taken: usize,
    records: u64,
    closed: bool,
}

impl Outgoing {
    pub(super) fn new(sealer: Sealer, limits: RekeyLimits, now_ns: u64) -> Self {
        let schedule = Schedule::new(limits, sealer.suite().key_limits(), now_ns);
        let buffer = Sealed::with_capacity(BUFFER_BYTES);
        Self { sealer, schedule, buffer, taken: 0, records: 0, closed: false }
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn limit(&mut self, limits: RekeyLimits) {
        self.schedule = Schedule::new(limits, self.sealer.suite().key_limits(), 0);
    }

    pub(super) fn set_provider(&mut self, provider: Provider) {
        self.sealer.set_provider(provider);
    }

    pub(super) const fn suite(&self) -> Suite {
        self.sealer.suite()
    }

    pub(super) const fn epoch(&self) -> u32 {
        self.sealer.epoch()
    }

    pub(super) const fn closed(&self) -> bool {
        self.closed
    }

    pub(super) const fn records(&self) -> u64 {
        self.records
    }

    pub(super) const fn handle_update(&mut self, update: KeyUpdate) -> Result<(), FutureEpoch> {
        self.schedule.handle_update(update, self.sealer.epoch())
    }

    pub(super) fn output(&self) -> &[u8] {
        &self.buffer[self.taken..]
    }

    pub(super) fn handle_sent(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.buffer.len() - self.taken);
        self.taken += bytes;
        if self.taken == self.buffer.len() {
            self.buffer.clear();
            self.taken = 0;
        }
    }

    /// Whether [`seal_control`](Self::seal_control) has something to seal.
    pub(super) fn has_control(&self, folds: &Folds, now_ns: u64) -> bool {
        let free = !self.closed && self.buffer.is_empty() && self.schedule.may_send_control();
        free && (folds.owes() || self.schedule.urgent().is_some() || self.offers(folds, now_ns))
    }

    fn offers(&self, folds: &Folds, now_ns: u64) -> bool {
        self.schedule.is_fold_due(now_ns)
            && folds.may_offer_from_ns().is_some_and(|from_ns| now_ns >= from_ns)
    }

    /// Answers, offers and updates that must not wait for data.
    pub(super) fn seal_control(
        &mut self,
        folds: &mut Folds,
        seen_epoch: u32,
        now_ns: u64,
    ) -> Result<(), RecordError> {
        if !self.has_control(folds, now_ns) {
            return Ok(());
        }
        if let Some(answer) = folds.take_answer() {
            self.sealer.seal_answer(&answer, &mut self.buffer)?;
            self.fold_sealed();
        } else if self.offers(folds, now_ns) {
            let offer = folds.offer().map_err(FoldError::from)?;
            self.sealer.seal_offer(offer, &mut self.buffer)?;
            self.fold_sealed();
        }
        if folds.owes() || self.schedule.urgent().is_some() {
            self.update(folds, seen_epoch, now_ns)?;
        }
        Ok(())
    }

    /// One data record; call it when [`seal_control`](Self::seal_control) is done.
    pub(super) fn seal(
        &mut self,
        parts: &[IoSlice<'_>],
        folds: &mut Folds,
        seen_epoch: u32,
        now_ns: u64,
    ) -> Result<usize, RecordError> {
        debug_assert_eq!(self.taken, 0, "records are sealed when the transport has all");
        if self.closed {
            return Err(RecordError::AfterClose);
        }
        let key_bytes = usize::try_from(self.schedule.record_bytes_max()).unwrap_or(usize::MAX);
        let ready_bytes = parts.iter().fold(0usize, |sum, part| sum.saturating_add(part.len()));
        // A record is not cut for what is left of a key: the cut costs a write more.
        let record_bytes = ready_bytes.min(RECORD_PAYLOAD_BYTES_MAX).min(key_bytes);
        if self.schedule.is_due(record_bytes as u64, now_ns) {
            self.update(folds, seen_epoch, now_ns)?;
        }
        let bytes = self.sealer.seal_data(parts, record_bytes, &mut self.buffer)?;
        debug_assert_eq!(bytes, record_bytes);
        self.records += 1;
        self.schedule.data_sealed(bytes as u64);
        Ok(bytes)
    }

    pub(super) fn close(&mut self) -> Result<(), RecordError> {
        if !self.closed {
            self.sealer.seal_close(&mut self.buffer)?;
            self.records += 1;
            self.closed = true;
        }
        Ok(())
    }

    /// When an offer that is held back may be made.
    pub(super) fn wake_at_ns(&self, folds: &Folds) -> Option<u64> {
        let held =
            !self.closed && self.schedule.is_fold_requested() && self.schedule.may_send_control();
        if held { folds.may_offer_from_ns() } else { None }
    }

    pub(super) fn note_folds(&mut self, folds: &Folds, now_ns: u64) {
        if folds.may_offer_from_ns().is_some() {
            self.schedule.folded(now_ns);
        }
    }

    fn fold_sealed(&mut self) {
        self.records += 1;
        self.schedule.fold_sealed();
    }

    /// The key update: also what a fold has agreed on enters here.
    fn update(
        &mut self,
        folds: &mut Folds,
        seen_epoch: u32,
        now_ns: u64,
    ) -> Result<(), RecordError> {
        let asks = self.schedule.urgent().unwrap_or(false);
        let folded = folds.mix(now_ns);
        let update = KeyUpdate { asks, folds: folded.is_some(), seen_epoch };
        self.sealer.seal_key_update(update, folded.as_deref(), &mut self.buffer)?;
        self.records += 1;
        self.schedule.update_sealed(now_ns);
        if folded.is_some() {
            self.note_folds(folds, now_ns);
        }
        Ok(())
    }
}

#[cfg(any(test, fuzzing))]
impl Outgoing {
    pub(super) const fn sealer(&mut self) -> &mut Sealer {
        &mut self.sealer
    }
}

#[cfg(test)]
impl Outgoing {
    pub(super) fn skip_to_epoch(&mut self, epoch: u32) {
        self.sealer.skip_to_epoch(epoch);
    }

    /// An update that asks, whatever the schedule says.
    pub(super) fn force_update(&mut self, out: &mut Sealed) {
        let update = KeyUpdate { asks: true, folds: false, seen_epoch: 0 };
        self.sealer.seal_key_update(update, None, out).unwrap();
    }
}
