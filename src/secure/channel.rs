//! A session after its handshake: bytes in, bytes and events out, time an argument.
//!
//! Whoever drives it reads into [`input_room`](Channel::input_room), takes events
//! until there is [`Event::Nothing`], and sends what stands in
//! [`output`](Channel::output). Both buffers live as long as the session: steady
//! state allocates nothing.
//!
//! What the peer's control records ask for is sealed by
//! [`prepare_output`](Channel::prepare_output) when the send buffer is empty, so an
//! answer never lands inside another record, and at most one of each kind waits.

use std::io::IoSlice;

use super::fold::Folds;
#[cfg(any(test, fuzzing))]
use super::record::Sealed;
use super::record::{Opened, Opener, RecordError, Sealer};
use super::rekey::RekeyLimits;
use super::suite::{Provider, Suite};
use incoming::Incoming;
use outgoing::Outgoing;

mod incoming;
mod outgoing;

/// What came next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Something about keys; it is carried out.
    Control,
    /// Data, to be taken from [`Channel::data`].
    Data,
    /// The peer's `Close`; nothing follows.
    End,
    /// No whole record is here.
    Nothing,
}

/// Both directions of a session.
pub struct Channel {
    incoming: Incoming,
    outgoing: Outgoing,
    folds: Folds,
}

impl Channel {
    pub(super) fn new(
        sealer: Sealer,
        opener: Opener,
        folds: Folds,
        limits: RekeyLimits,
        now_ns: u64,
    ) -> Self {
        let outgoing = Outgoing::new(sealer, limits, now_ns);
        Self { incoming: Incoming::new(opener), outgoing, folds }
    }

    #[cfg(any(test, fuzzing))]
    pub(crate) fn limit(&mut self, limits: RekeyLimits) {
        self.outgoing.limit(limits);
    }

    /// Who implements the suite from now on, in both directions.
    pub fn set_provider(&mut self, provider: Provider) {
        self.outgoing.set_provider(provider);
        self.incoming.set_provider(provider);
    }

    /// How records are sealed, in both directions.
    pub const fn suite(&self) -> Suite {
        self.outgoing.suite()
    }

    /// Epochs now: sent, received.
    pub const fn epochs(&self) -> (u32, u32) {
        (self.outgoing.epoch(), self.incoming.epoch())
    }

    /// Folds that are complete.
    pub const fn folds(&self) -> u32 {
        self.folds.done()
    }

    /// Why nothing more can be received. What is to be sent must not be sent either.
    pub const fn failure(&self) -> Option<RecordError> {
        self.incoming.failure()
    }

    /// Ends the session with this error.
    pub const fn fail(&mut self, error: RecordError) {
        self.incoming.fail(error);
    }

    /// Both directions are to move to their next epoch.
    pub const fn request_rekey(&mut self) {
        self.outgoing.schedule.request();
    }

    /// Fresh keys are to be agreed.
    pub const fn request_fold(&mut self) {
        self.outgoing.schedule.request_fold();
    }

    /// Where to put bytes of the transport; never empty.
    pub fn input_room(&mut self) -> &mut [u8] {
        self.incoming.room()
    }

    /// So many bytes were put there.
    pub const fn handle_input(&mut self, bytes: usize) {
        self.incoming.handle_input(bytes);
    }

    /// The transport ended.
    ///
    /// # Errors
    /// When the peer has not said that it would: something was cut off.
    pub fn handle_end_of_input(&mut self) -> Result<(), RecordError> {
        self.incoming.handle_end()
    }

    /// Whether [`next_event`](Self::next_event) has a record to open.
    pub fn has_record(&self) -> bool {
        self.incoming.has_record()
    }

    /// Opens the next record, if all of it is here. Call it when
    /// [`data`](Self::data) is used up.
    ///
    /// # Errors
    /// When it is not what the peer sealed next, or the peer may not say it. So it
    /// stays: nothing more comes out.
    pub fn next_event(&mut self, now_ns: u64) -> Result<Event, RecordError> {
        let Some(opened) = self.incoming.next_record()? else { return Ok(Event::Nothing) };
        let event = self.carry_out(opened, now_ns);
        if let Err(error) = event {
            self.incoming.fail(error);
        }
        event
    }

    fn carry_out(&mut self, opened: Opened, now_ns: u64) -> Result<Event, RecordError> {
        match opened {
            Opened::Data(_) => return Ok(Event::Data),
            Opened::Close => {
                self.folds.forget_offer();
                self.outgoing.schedule.forget_folds();
                return Ok(Event::End);
            }
            Opened::KeyUpdate(update) => {
                self.outgoing.handle_update(update)?;
                if update.folds {
                    self.folds.handle_mixed(now_ns);
                    self.outgoing.note_folds(&self.folds, now_ns);
                }
            }
            // Who has closed can answer nothing, and its peer knows that.
            Opened::FoldOffer(_) if self.outgoing.closed() => {}
            Opened::FoldOffer(range) => {
                let payload = self.incoming.payload(range);
                if let Some(theirs) = self.folds.handle_offer(payload, now_ns)? {
                    self.incoming.expect_fold(theirs);
                }
            }
            Opened::FoldAnswer(range) => {
                let theirs = self.folds.handle_answer(self.incoming.payload(range))?;
                self.incoming.expect_fold(theirs);
            }
        }
        Ok(Event::Control)
    }

    /// Data of the latest record that nobody has taken yet.
    pub fn data(&self) -> &[u8] {
        self.incoming.data()
    }

    /// So much of it was taken.
    pub const fn consume(&mut self, bytes: usize) {
        self.incoming.consume(bytes);
    }

    /// Whether [`prepare_output`](Self::prepare_output) has something to seal now.
    pub fn has_control(&self, now_ns: u64) -> bool {
        self.outgoing.has_control(&self.folds, now_ns)
    }

    /// Seals what must not wait for data, when the send buffer is empty.
    ///
    /// # Errors
    /// When the session has failed or its epochs are used up.
    pub fn prepare_output(&mut self, now_ns: u64) -> Result<(), RecordError> {
        if let Some(error) = self.failure() {
            return Err(error);
        }
        let sealed = self.outgoing.seal_control(&mut self.folds, self.incoming.epoch(), now_ns);
        self.or_fail(sealed)
    }

    /// When [`prepare_output`](Self::prepare_output) has something to do that it
    /// holds back for now.
    pub fn wake_at_ns(&self) -> Option<u64> {
        self.outgoing.wake_at_ns(&self.folds)
    }

    /// Sealed bytes that the transport has not taken yet.
    pub fn output(&self) -> &[u8] {
        self.outgoing.output()
    }

    /// The transport took so many of them.
    pub fn handle_sent(&mut self, bytes: usize) {
        self.outgoing.handle_sent(bytes);
    }

    /// Seals one record of what stands in `parts`; call it with an empty
    /// [`output`](Self::output). Returns how many bytes are in it.
    ///
    /// # Errors
    /// After [`close`](Self::close), or when the session has failed or its epochs are
    /// used up.
    pub fn write(&mut self, parts: &[IoSlice<'_>], now_ns: u64) -> Result<usize, RecordError> {
        self.prepare_output(now_ns)?;
        let seen_epoch = self.incoming.epoch();
        let sealed = self.outgoing.seal(parts, &mut self.folds, seen_epoch, now_ns);
        self.or_fail(sealed)
    }

    /// A direction that cannot go on takes the session with it; one that is closed is
    /// only closed.
    fn or_fail<T>(&mut self, sealed: Result<T, RecordError>) -> Result<T, RecordError> {
        match sealed {
            Err(error) if error != RecordError::AfterClose => self.incoming.fail(error),
            _ => {}
        }
        sealed
    }

    /// Seals the `Close`, once. An offer of fresh keys that was made before stands: the
    /// peer may have answered it, and moves its own direction to them.
    ///
    /// # Errors
    /// When the session has failed.
    pub fn close(&mut self) -> Result<(), RecordError> {
        if let Some(error) = self.failure() {
            return Err(error);
        }
        let sealed = self.outgoing.close();
        self.or_fail(sealed)
    }

    /// Records that were sealed so far, control records included.
    pub const fn records_sent(&self) -> u64 {
        self.outgoing.records()
    }

    /// Records that were opened so far, control records included.
    pub const fn records_received(&self) -> u64 {
        self.incoming.records()
    }
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Channel")
            .field("epochs", &self.epochs())
            .field("folds", &self.folds())
            .finish_non_exhaustive()
    }
}

#[cfg(any(test, fuzzing))]
impl Channel {
    /// A record of any content, as a broken peer may seal it.
    pub(crate) fn force_any(&mut self, content: u8, payload: &[u8], out: &mut Sealed) {
        // Used up is used up: then nothing is sealed.
        let _ = self.outgoing.sealer().seal_any(content, payload, out);
    }
}

#[cfg(test)]
impl Channel {
    /// Both directions come to the last epoch that there is.
    pub(in crate::secure) fn skip_to_last_epoch(&mut self) {
        self.outgoing.skip_to_epoch(u32::MAX);
        self.incoming.skip_to_epoch(u32::MAX);
    }

    /// An offer, whatever the schedule says.
    fn force_offer(&mut self, out: &mut Sealed) {
        let offer = self.folds.offer().unwrap();
        self.outgoing.sealer().seal_offer(offer, out).unwrap();
    }
}

#[cfg(any(test, fuzzing))]
pub(crate) mod pair;

#[cfg(test)]
mod tests;
