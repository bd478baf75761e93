//! The sending half: sealed records in a buffer, and the buffer to the transport.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use super::super::frame::RECORD_WIRE_BYTES_MAX;
use super::super::record::{KEY_UPDATE_WIRE_BYTES, RecordError, Sealer};
use super::super::rekey::{FutureEpoch, KeyUpdate, RekeyLimits, Schedule};
use super::super::session::Shared;
use super::wait::Wait;
use crate::telemetry::clock;
use crate::telemetry::layers::Layer;

/// An update rides in the same write as the record after it.
const BUFFER_BYTES: usize = KEY_UPDATE_WIRE_BYTES + RECORD_WIRE_BYTES_MAX;

#[derive(Debug)]
pub(super) struct Outgoing {
    sealer: Sealer,
    schedule: Schedule,
    /// Whole records, of which the transport has taken `taken` bytes. Sealing
    /// appends, and only when the buffer is empty: it never grows.
    buffer: Vec<u8>,
    taken: usize,
    closed: bool,
    wait: Wait,
}

impl Outgoing {
    pub(super) fn new(sealer: Sealer, limits: RekeyLimits) -> Self {
        Self {
            sealer,
            schedule: Schedule::new(limits, clock::now_ns()),
            buffer: Vec::with_capacity(BUFFER_BYTES),
            taken: 0,
            closed: false,
            wait: Wait::default(),
        }
    }

    pub(super) const fn handle_update(&mut self, update: KeyUpdate) -> Result<(), FutureEpoch> {
        self.schedule.handle_update(update, self.sealer.epoch())
    }

    /// Ready when the transport has everything and no urgent update is left.
    pub(super) fn poll_pending<IO: AsyncWrite + Unpin>(
        &mut self,
        io: &mut IO,
        seen_epoch: u32,
        shared: &Shared,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_drain(io, shared, cx))?;
            if shared.take_rekey_request() {
                self.schedule.request();
            }
            match self.schedule.urgent() {
                Some(asks) if !self.closed => {
                    self.update(KeyUpdate { asks, seen_epoch }, shared).map_err(super::broken)?;
                }
                _ => return Poll::Ready(Ok(())),
            }
        }
    }

    /// Seals one data record of what stands in `parts`; call it with an empty
    /// buffer. Returns how many bytes are in it.
    pub(super) fn seal(
        &mut self,
        parts: &[IoSlice<'_>],
        seen_epoch: u32,
        shared: &Shared,
    ) -> Result<usize, RecordError> {
        debug_assert!(self.buffer.is_empty(), "records are sealed into an empty buffer");
        if self.closed {
            return Err(RecordError::AfterClose);
        }
        if self.schedule.is_due(clock::now_ns()) {
            self.update(KeyUpdate { asks: false, seen_epoch }, shared)?;
        }
        let room_bytes = usize::try_from(self.schedule.room_bytes()).unwrap_or(usize::MAX);
        let bytes =
            self.measured(shared, |sealer, buffer| sealer.seal_data(parts, room_bytes, buffer))?;
        self.schedule.data_sealed(bytes as u64);
        shared.tally.plain_bytes_sent.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(bytes)
    }

    /// Seals the `Close`, once.
    pub(super) fn close(&mut self, shared: &Shared) -> Result<(), RecordError> {
        if !self.closed {
            self.measured(shared, |sealer, buffer| sealer.seal_close(buffer))?;
            self.closed = true;
        }
        Ok(())
    }

    fn update(&mut self, update: KeyUpdate, shared: &Shared) -> Result<(), RecordError> {
        self.measured(shared, |sealer, buffer| sealer.seal_key_update(update, buffer))?;
        self.schedule.update_sealed(clock::now_ns());
        shared.epoch_sent(self.sealer.epoch());
        Ok(())
    }

    fn measured<T>(
        &mut self,
        shared: &Shared,
        seal: impl FnOnce(&mut Sealer, &mut Vec<u8>) -> Result<T, RecordError>,
    ) -> Result<T, RecordError> {
        let at_work = shared.account().enter(Layer::Seal);
        let began_ns = clock::now_ns();
        let sealed = seal(&mut self.sealer, &mut self.buffer);
        let tally = &shared.tally;
        tally.seal_ns.fetch_add(clock::now_ns().saturating_sub(began_ns), Ordering::Relaxed);
        drop(at_work);
        if sealed.is_ok() {
            tally.records_sent.fetch_add(1, Ordering::Relaxed);
        }
        sealed
    }

    fn poll_drain<IO: AsyncWrite + Unpin>(
        &mut self,
        io: &mut IO,
        shared: &Shared,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.taken < self.buffer.len() {
            let Poll::Ready(wrote) = Pin::new(&mut *io).poll_write(cx, &self.buffer[self.taken..])
            else {
                self.wait.begin(shared.account(), shared.write_wait_layer());
                return Poll::Pending;
            };
            self.wait.end(&shared.tally.write_blocked_ns);
            let wrote = wrote?;
            if wrote == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.taken += wrote;
            shared.tally.wire_bytes_sent.fetch_add(wrote as u64, Ordering::Relaxed);
        }
        self.buffer.clear();
        self.taken = 0;
        Poll::Ready(Ok(()))
    }
}
