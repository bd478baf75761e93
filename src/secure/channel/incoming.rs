//! The receiving direction: bytes of the transport, records out of them.

use std::ops::Range;

use crate::secure::frame::{HEADER_BYTES, Header, RECORD_WIRE_BYTES_MAX};
use crate::secure::record::{Opened, Opener, RecordError};
use crate::secure::rekey::Kept;
use crate::secure::suite::Provider;

/// Small records are taken many at a time. A large one is read up to its end and
/// the next header, so that little has to be moved to make room for the next.
const READ_AHEAD_BYTES: usize = 64 * 1024;

/// One record and the header that tells how much to read next. The buffer is this large
/// from the first large record on: a session that never sees one has no use for it.
const BUFFER_BYTES: usize = RECORD_WIRE_BYTES_MAX + HEADER_BYTES;

pub(super) struct Incoming {
    opener: Opener,
    /// `start <= filled <= buffer.len()`: what is between them is not opened yet.
    /// `record` and `plain` are before `start`: opened, and not given out yet.
    buffer: Vec<u8>,
    start: usize,
    filled: usize,
    /// Where the latest record begins.
    record: usize,
    plain: Range<usize>,
    closed: bool,
    records: u64,
    failed: Option<RecordError>,
}

impl Incoming {
    pub(super) fn new(opener: Opener) -> Self {
        Self {
            opener,
            buffer: vec![0; READ_AHEAD_BYTES],
            start: 0,
            filled: 0,
            record: 0,
            plain: 0..0,
            closed: false,
            records: 0,
            failed: None,
        }
    }

    pub(super) fn set_provider(&mut self, provider: Provider) {
        self.opener.set_provider(provider);
    }

    pub(super) const fn epoch(&self) -> u32 {
        self.opener.epoch()
    }

    pub(super) const fn records(&self) -> u64 {
        self.records
    }

    pub(super) const fn failure(&self) -> Option<RecordError> {
        self.failed
    }

    /// The first failure is the one that counts.
    pub(super) const fn fail(&mut self, error: RecordError) {
        if self.failed.is_none() {
            self.failed = Some(error);
        }
        self.plain = 0..0;
    }

    pub(super) fn expect_fold(&mut self, secret: Kept) {
        self.opener.expect_fold(secret);
    }

    pub(super) fn data(&self) -> &[u8] {
        &self.buffer[self.plain.start..self.plain.end]
    }

    pub(super) const fn consume(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.plain.end - self.plain.start);
        self.plain.start += bytes;
    }

    /// A payload of the latest record, whose length the opener has checked.
    pub(super) fn payload<const N: usize>(&self, range: Range<usize>) -> &[u8; N] {
        let payload = &self.buffer[self.record + range.start..self.record + range.end];
        payload.try_into().expect("the opener checks the length by content type")
    }

    /// Whether there is something to open, or to fail at.
    pub(super) fn has_record(&self) -> bool {
        self.failed.is_none()
            && self.header().map_or(true, |header| {
                header.is_some_and(|header| self.filled - self.start >= header.wire_bytes())
            })
    }

    pub(super) fn next_record(&mut self) -> Result<Option<Opened>, RecordError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let opened = self.try_next_record();
        if let Err(error) = opened {
            self.fail(error);
        }
        opened
    }

    fn try_next_record(&mut self) -> Result<Option<Opened>, RecordError> {
        if self.closed {
            let nothing = self.start == self.filled;
            return if nothing { Ok(Some(Opened::Close)) } else { Err(RecordError::AfterClose) };
        }
        let Some(header) = self.header()? else { return Ok(None) };
        self.opener.check(header)?;
        let end = self.start + header.wire_bytes();
        if self.filled < end {
            return Ok(None);
        }
        let opened = self.opener.open(&mut self.buffer[self.start..end])?;
        self.records += 1;
        self.record = std::mem::replace(&mut self.start, end);
        match &opened {
            Opened::Data(range) => {
                self.plain = self.record + range.start..self.record + range.end;
            }
            Opened::Close => {
                self.closed = true;
                if self.start != self.filled {
                    return Err(RecordError::AfterClose);
                }
            }
            Opened::FoldAnswer(_) | Opened::FoldOffer(_) | Opened::KeyUpdate(_) => {}
        }
        Ok(Some(opened))
    }

    /// Room for as much as is wanted next; moves what is not opened to the front
    /// when it must. Data that nobody has taken stays where it is.
    pub(super) fn room(&mut self) -> &mut [u8] {
        // next_record has looked at the header already and would have failed.
        let record_bytes = self.header().ok().flatten().map_or(0, Header::wire_bytes);
        let wanted_bytes = (record_bytes + HEADER_BYTES).max(READ_AHEAD_BYTES);
        let keep = if self.plain.is_empty() { self.start } else { self.plain.start };
        if keep > 0 && (keep == self.filled || self.start + wanted_bytes > self.buffer.len()) {
            self.buffer.copy_within(keep..self.filled, 0);
            self.filled -= keep;
            self.start -= keep;
            self.plain = self.plain.start.saturating_sub(keep)..self.plain.end.saturating_sub(keep);
        }
        if self.start + wanted_bytes > self.buffer.len() {
            self.buffer.resize(BUFFER_BYTES, 0);
        }
        let limit = (self.start + wanted_bytes).min(self.buffer.len());
        &mut self.buffer[self.filled..limit]
    }

    pub(super) const fn handle_input(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.buffer.len() - self.filled);
        self.filled += bytes;
    }

    pub(super) fn handle_end(&mut self) -> Result<(), RecordError> {
        let ended = if self.start == self.filled {
            self.opener.handle_end()
        } else {
            Err(RecordError::Truncated)
        };
        if let Err(error) = ended {
            self.fail(error);
        }
        self.failed.map_or(ended, Err)
    }

    fn header(&self) -> Result<Option<Header>, RecordError> {
        let bytes = self.buffer[self.start..self.filled].first_chunk::<HEADER_BYTES>();
        Ok(bytes.map(Header::parse).transpose()?)
    }
}

#[cfg(test)]
impl Incoming {
    pub(super) fn skip_to_epoch(&mut self, epoch: u32) {
        self.opener.skip_to_epoch(epoch);
    }
}
