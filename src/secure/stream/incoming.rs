//! The receiving half: bytes from the transport, records out of them.

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

use super::super::frame::{HEADER_BYTES, Header, RECORD_WIRE_BYTES_MAX};
use super::super::record::{Opened, Opener, RecordError};
use super::super::rekey::KeyUpdate;
use super::super::session::Shared;
use super::wait::Wait;
use crate::telemetry::clock;
use crate::telemetry::layers::Layer;

/// Small records are taken many at a time. A large one is read up to its end and
/// the next header, so that little has to be moved to make room for the next.
const READ_AHEAD_BYTES: usize = 64 * 1024;

/// One record and the header that tells how much to read next.
const BUFFER_BYTES: usize = RECORD_WIRE_BYTES_MAX + HEADER_BYTES;

/// What came next.
pub(super) enum Received {
    /// Data, to be given out by [`Incoming::deliver`].
    Data,
    /// The peer's `Close`.
    End,
    /// The peer moved to its next key.
    KeyUpdate(KeyUpdate),
    /// No whole record is here.
    Nothing,
}

#[derive(Debug)]
pub(super) struct Incoming {
    opener: Opener,
    /// `start <= filled <= buffer.len()`: what is between them is not opened yet.
    /// `plain` is before `start`: opened, and not given out yet.
    buffer: Vec<u8>,
    start: usize,
    filled: usize,
    plain: Range<usize>,
    ended: bool,
    failed: Option<RecordError>,
    /// Epoch and time of the latest data record.
    latest_data: Option<(u32, u64)>,
    wait: Wait,
}

impl Incoming {
    pub(super) fn new(opener: Opener) -> Self {
        Self {
            opener,
            buffer: vec![0; BUFFER_BYTES],
            start: 0,
            filled: 0,
            plain: 0..0,
            ended: false,
            failed: None,
            latest_data: None,
            wait: Wait::default(),
        }
    }

    pub(super) const fn epoch(&self) -> u32 {
        self.opener.epoch()
    }

    /// Why nothing more can be received.
    pub(super) const fn failure(&self) -> Option<RecordError> {
        self.failed
    }

    /// An authentic record that nevertheless ends the session.
    pub(super) fn reject(&mut self, error: impl Into<RecordError>) -> RecordError {
        *self.failed.insert(error.into())
    }

    /// Gives opened data out; false when there is none.
    pub(super) fn deliver(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let bytes = self.plain.len().min(buf.remaining());
        let end = self.plain.start + bytes;
        buf.put_slice(&self.buffer[self.plain.start..end]);
        self.plain.start = end;
        bytes > 0
    }

    /// Opens the next record, if all of it is here. Call it when `deliver`
    /// (Self::deliver) has nothing left.
    pub(super) fn next_record(&mut self, shared: &Shared) -> Result<Received, RecordError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let received = self.try_next_record(shared);
        self.failed = received.as_ref().err().copied();
        received
    }

    fn try_next_record(&mut self, shared: &Shared) -> Result<Received, RecordError> {
        if self.ended {
            return if self.start == self.filled {
                Ok(Received::End)
            } else {
                Err(RecordError::AfterClose)
            };
        }
        let Some(header) = self.header()? else { return Ok(Received::Nothing) };
        self.opener.check(header)?;
        let end = self.start + header.wire_bytes();
        if self.filled < end {
            return Ok(Received::Nothing);
        }
        let opened = {
            let _at_work = shared.account().enter(Layer::Open);
            let began_ns = clock::now_ns();
            let opened = self.opener.open(&mut self.buffer[self.start..end]);
            let spent_ns = clock::now_ns().saturating_sub(began_ns);
            shared.tally.open_ns.fetch_add(spent_ns, Ordering::Relaxed);
            opened?
        };
        shared.tally.records_received.fetch_add(1, Ordering::Relaxed);
        let start = std::mem::replace(&mut self.start, end);
        Ok(match opened {
            Opened::Data(range) => {
                self.data_received(header.epoch, range.len(), shared);
                self.plain = start + range.start..start + range.end;
                Received::Data
            }
            Opened::KeyUpdate(update) => {
                shared.epoch_received(self.opener.epoch());
                Received::KeyUpdate(update)
            }
            Opened::Close => {
                self.ended = true;
                if self.start == self.filled {
                    Received::End
                } else {
                    return Err(RecordError::AfterClose);
                }
            }
        })
    }

    /// Reads as much as is wanted, at least a byte.
    pub(super) fn poll_fill<IO: AsyncRead + Unpin>(
        &mut self,
        io: &mut IO,
        shared: &Shared,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let limit = self.make_room();
        let mut buf = ReadBuf::new(&mut self.buffer[self.filled..limit]);
        let polled = Pin::new(io).poll_read(cx, &mut buf);
        let bytes = buf.filled().len();
        if polled.is_pending() {
            self.wait.begin(shared.account(), shared.read_wait_layer());
        } else {
            self.wait.end(&shared.tally.read_wait_ns);
        }
        ready!(polled)?;
        if bytes == 0 {
            let cut = self.opener.handle_end().err().unwrap_or(RecordError::Truncated);
            return Poll::Ready(Err(super::broken(self.reject(cut))));
        }
        self.filled += bytes;
        shared.tally.wire_bytes_received.fetch_add(bytes as u64, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }

    /// Up to where to read; moves what is not opened to the front when it must.
    fn make_room(&mut self) -> usize {
        // next_record has looked at the header already and would have failed.
        let record_bytes = self.header().ok().flatten().map_or(0, Header::wire_bytes);
        let wanted_bytes = (record_bytes + HEADER_BYTES).max(READ_AHEAD_BYTES);
        if self.start == self.filled || self.start + wanted_bytes > self.buffer.len() {
            self.buffer.copy_within(self.start..self.filled, 0);
            self.filled -= self.start;
            self.start = 0;
            self.plain = 0..0;
        }
        self.start + wanted_bytes
    }

    fn header(&self) -> Result<Option<Header>, RecordError> {
        let bytes = self.buffer[self.start..self.filled].first_chunk::<HEADER_BYTES>();
        Ok(bytes.map(Header::parse).transpose()?)
    }

    fn data_received(&mut self, epoch: u32, bytes: usize, shared: &Shared) {
        shared.tally.plain_bytes_received.fetch_add(bytes as u64, Ordering::Relaxed);
        let now_ns = clock::now_ns();
        if let Some((_, latest_ns)) = self.latest_data.filter(|&(latest, _)| latest != epoch) {
            let from_ns = latest_ns.max(shared.tally.gaps_from_ns.load(Ordering::Relaxed));
            let gap_ns = now_ns.saturating_sub(from_ns);
            shared.tally.rekey_gap_ns_max.fetch_max(gap_ns, Ordering::Relaxed);
        }
        self.latest_data = Some((epoch, now_ns));
    }
}
