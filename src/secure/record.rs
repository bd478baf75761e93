//! Records: sealed in the order of the stream, opened in exactly that order.
//!
//! The receiver knows the nonce of the next record before it arrives. A record
//! that was replayed, moved, dropped or reflected has another one, or another
//! key, and ends the session; so does a stream that ends without `Close`.

use std::io::IoSlice;
use std::ops::Range;

use super::fold::{ANSWER_BYTES, FoldError, OFFER_BYTES};
use super::frame::{CONTENT_TYPE_BYTES, HEADER_BYTES, Header, RECORD_PAYLOAD_BYTES_MAX, TAG_BYTES};
use super::rekey::{EMPTY_RUN_RECORDS_MAX, EpochsExhausted, Kept, KeyUpdate, Ratchet, Secret};
use super::suite::{Cipher, Provider, Suite};

mod direction;
mod error;
mod sealed;

use direction::Direction;
pub use error::RecordError;
pub use sealed::Sealed;

/// A `KeyUpdate` record on the wire: flag and epoch.
pub const KEY_UPDATE_WIRE_BYTES: usize =
    HEADER_BYTES + CONTENT_TYPE_BYTES + KEY_UPDATE_BYTES + TAG_BYTES;

/// What control may stand before a data record in one write: the answer of a fold,
/// and two updates.
pub const CONTROL_WIRE_BYTES_MAX: usize =
    HEADER_BYTES + CONTENT_TYPE_BYTES + OFFER_BYTES + TAG_BYTES + 2 * KEY_UPDATE_WIRE_BYTES;

const KEY_UPDATE_BYTES: usize = 5;

/// Bits of a `KeyUpdate`'s first byte.
const ASKS: u8 = 1;
const FOLDS: u8 = 2;
const FLAGS_MAX: u8 = ASKS | FOLDS;

/// Where the payload of a record stands in it.
const PAYLOAD_START: usize = HEADER_BYTES + CONTENT_TYPE_BYTES;

/// First byte of a plaintext.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ContentType {
    /// Bytes of the stream; may be empty.
    Data = 1,
    /// The last record of its epoch.
    KeyUpdate = 2,
    /// The last record of its direction.
    Close = 3,
    /// Fresh keys, to be answered.
    FoldOffer = 4,
    /// The answer to them.
    FoldAnswer = 5,
}

impl ContentType {
    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Data),
            2 => Some(Self::KeyUpdate),
            3 => Some(Self::Close),
            4 => Some(Self::FoldOffer),
            5 => Some(Self::FoldAnswer),
            _ => None,
        }
    }
}

/// The sending end of a direction.
#[derive(Debug)]
pub struct Sealer(Direction);

impl Sealer {
    /// Epoch 0 of this secret.
    pub fn new(suite: Suite, secret: Kept) -> Self {
        Self(Direction::new(Ratchet::new(suite, secret)))
    }

    /// Who seals from now on; the same bytes come out.
    pub fn set_provider(&mut self, provider: Provider) {
        self.0.set_provider(provider);
    }

    /// The epoch of the next record.
    pub const fn epoch(&self) -> u32 {
        self.0.ratchet.epoch()
    }

    /// How its records are sealed.
    pub const fn suite(&self) -> Suite {
        self.0.ratchet.suite()
    }

    /// Appends one data record to `out`: the bytes of `parts`, as many as fit into
    /// a record and into `bytes_max`. Returns how many.
    ///
    /// # Errors
    /// After `Close`, or when the key has sealed all it may. `out` is unchanged.
    pub fn seal_data(
        &mut self,
        parts: &[IoSlice<'_>],
        bytes_max: usize,
        out: &mut Sealed,
    ) -> Result<usize, RecordError> {
        self.seal(ContentType::Data as u8, parts, bytes_max.min(RECORD_PAYLOAD_BYTES_MAX), out)
    }

    /// Appends a `KeyUpdate` to `out` and moves to the next epoch, with `folded` mixed in
    /// when `update` says so.
    ///
    /// # Errors
    /// As [`seal_data`](Self::seal_data), and when there is no next epoch.
    pub fn seal_key_update(
        &mut self,
        update: KeyUpdate,
        folded: Option<&Secret>,
        out: &mut Sealed,
    ) -> Result<(), RecordError> {
        let mut payload = [0; KEY_UPDATE_BYTES];
        payload[0] = (u8::from(update.asks) * ASKS) | (u8::from(update.folds) * FOLDS);
        payload[1..].copy_from_slice(&update.seen_epoch.to_be_bytes());
        debug_assert_eq!(update.folds, folded.is_some());
        if self.epoch() == u32::MAX {
            return Err(EpochsExhausted.into());
        }
        self.seal(ContentType::KeyUpdate as u8, &[IoSlice::new(&payload)], payload.len(), out)?;
        self.0.advance(folded)
    }

    /// Appends an offer of fresh keys.
    ///
    /// # Errors
    /// As [`seal_data`](Self::seal_data).
    pub fn seal_offer(
        &mut self,
        payload: &[u8; OFFER_BYTES],
        out: &mut Sealed,
    ) -> Result<(), RecordError> {
        self.seal(ContentType::FoldOffer as u8, &[IoSlice::new(payload)], payload.len(), out)?;
        Ok(())
    }

    /// Appends the answer to one.
    ///
    /// # Errors
    /// As [`seal_data`](Self::seal_data).
    pub fn seal_answer(
        &mut self,
        payload: &[u8; ANSWER_BYTES],
        out: &mut Sealed,
    ) -> Result<(), RecordError> {
        self.seal(ContentType::FoldAnswer as u8, &[IoSlice::new(payload)], payload.len(), out)?;
        Ok(())
    }

    /// Appends the last record of this direction.
    ///
    /// # Errors
    /// As [`seal_data`](Self::seal_data).
    pub fn seal_close(&mut self, out: &mut Sealed) -> Result<(), RecordError> {
        self.seal(ContentType::Close as u8, &[], 0, out)?;
        self.0.closed = true;
        Ok(())
    }

    /// Appends a record of any content, as a broken peer may seal it.
    #[cfg(any(test, fuzzing))]
    pub(in crate::secure) fn seal_any(
        &mut self,
        content: u8,
        payload: &[u8],
        out: &mut Sealed,
    ) -> Result<usize, RecordError> {
        self.seal(content, &[IoSlice::new(payload)], RECORD_PAYLOAD_BYTES_MAX, out)
    }

    fn seal(
        &mut self,
        content: u8,
        parts: &[IoSlice<'_>],
        bytes_max: usize,
        out: &mut Sealed,
    ) -> Result<usize, RecordError> {
        let total = parts.iter().fold(0usize, |sum, part| sum.saturating_add(part.len()));
        let payload_bytes = total.min(bytes_max);
        let (epoch, counter) = self.0.next_nonce()?;
        let header = Header::new(epoch, counter, CONTENT_TYPE_BYTES + payload_bytes);
        let associated = header.to_bytes();
        let (head, rest) = out.room(header.wire_bytes()).split_at_mut(HEADER_BYTES);
        head.copy_from_slice(&associated);
        rest[0] = content;
        let room = &mut rest[CONTENT_TYPE_BYTES..];
        let (gathered, far) = gather(&self.0.cipher, parts, payload_bytes, room);
        let (near, far_and_tag) = rest.split_at_mut(CONTENT_TYPE_BYTES + gathered);
        self.0.cipher.seal_gathered(header.nonce(), &associated, near, far, far_and_tag);
        self.0.count(CONTENT_TYPE_BYTES + payload_bytes);
        Ok(payload_bytes)
    }
}

/// Copies the first bytes of `parts`, so many, to `room`; all but the last part when the
/// cipher takes that from where it lies. Returns how many were copied, and that part.
fn gather<'a>(
    cipher: &Cipher,
    parts: &'a [IoSlice<'_>],
    bytes: usize,
    room: &mut [u8],
) -> (usize, &'a [u8]) {
    let mut copied = 0;
    for part in parts {
        let taken = &part[..part.len().min(bytes - copied)];
        let end = copied + taken.len();
        if end == bytes && cipher.seals_from_afar(taken.len()) {
            return (copied, taken);
        }
        room[copied..end].copy_from_slice(taken);
        copied = end;
    }
    (copied, &[])
}

/// What a record said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// The direction is over.
    Close,
    /// Where in the record its data stands.
    Data(Range<usize>),
    /// Where an answer to our offer of fresh keys stands: `ANSWER_BYTES`.
    FoldAnswer(Range<usize>),
    /// Where an offer of fresh keys stands: `OFFER_BYTES`.
    FoldOffer(Range<usize>),
    /// The next record comes under the next key.
    KeyUpdate(KeyUpdate),
}

/// The receiving end of a direction. After an error it gives nothing but errors.
#[derive(Debug)]
pub struct Opener {
    direction: Direction,
    /// Records without data since the last one with data.
    empty_run: u32,
    /// What the next update that folds mixes in.
    folded: Option<Kept>,
    failed: Option<RecordError>,
}

impl Opener {
    /// Epoch 0 of this secret.
    pub fn new(suite: Suite, secret: Kept) -> Self {
        let direction = Direction::new(Ratchet::new(suite, secret));
        Self { direction, empty_run: 0, folded: None, failed: None }
    }

    /// Who opens from now on; the same bytes come out.
    pub fn set_provider(&mut self, provider: Provider) {
        self.direction.set_provider(provider);
    }

    /// The epoch of the next record.
    pub const fn epoch(&self) -> u32 {
        self.direction.ratchet.epoch()
    }

    /// What the sender mixes in with its next update that folds.
    pub fn expect_fold(&mut self, folded: Kept) {
        self.folded = Some(folded);
    }

    /// Whether this header is the next one. Cheap, so that a wrong record is not
    /// even waited for; [`open`](Self::open) asks again.
    ///
    /// # Errors
    /// When it is not, or the direction is closed.
    pub fn check(&self, header: Header) -> Result<(), RecordError> {
        let (epoch, counter) = self.direction.next_nonce()?;
        if (header.epoch, header.counter) != (epoch, counter) {
            return Err(RecordError::OutOfOrder {
                expected_epoch: epoch,
                expected_counter: counter,
                found_epoch: header.epoch,
                found_counter: header.counter,
            });
        }
        Ok(())
    }

    /// Opens one whole record in place.
    ///
    /// # Errors
    /// When it is not exactly what the sender sealed next. Nothing of the record
    /// may be used then.
    pub fn open(&mut self, record: &mut [u8]) -> Result<Opened, RecordError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let opened = self.open_next(record);
        self.failed = opened.as_ref().err().copied();
        opened
    }

    /// The transport ended.
    ///
    /// # Errors
    /// When the sender has not said that it would: something was cut off.
    pub const fn handle_end(&self) -> Result<(), RecordError> {
        if self.direction.closed { Ok(()) } else { Err(RecordError::Truncated) }
    }

    fn open_next(&mut self, record: &mut [u8]) -> Result<Opened, RecordError> {
        let header = parse_header(record)?;
        self.check(header)?;
        let found_bytes = record.len();
        let (associated, rest) = record.split_at_mut(HEADER_BYTES);
        if found_bytes != header.wire_bytes() {
            return Err(RecordError::Truncated);
        }
        let (text, tag) = rest.split_at_mut(rest.len() - TAG_BYTES);
        let tag = (&*tag).try_into().expect("split off with the length of a tag");
        self.direction
            .cipher
            .open(header.nonce(), associated, text, tag)
            .map_err(|_| RecordError::Forged { epoch: header.epoch, counter: header.counter })?;
        self.direction.count(text.len());
        self.interpret(text)
    }

    /// The record is authentic; what the peer says may still make no sense.
    fn interpret(&mut self, plaintext: &[u8]) -> Result<Opened, RecordError> {
        let (&content, payload) = plaintext.split_first().ok_or(RecordError::Truncated)?;
        let kind = ContentType::from_byte(content).ok_or(RecordError::UnknownContent(content))?;
        self.count_empty(kind == ContentType::Data && !payload.is_empty())?;
        match (kind, payload) {
            (ContentType::Data, _) => {
                Ok(Opened::Data(PAYLOAD_START..PAYLOAD_START + payload.len()))
            }
            (ContentType::KeyUpdate, &[flags @ 0..=FLAGS_MAX, e0, e1, e2, e3]) => {
                let (asks, folds) = (flags & ASKS != 0, flags & FOLDS != 0);
                let folded =
                    if folds { Some(self.folded.take().ok_or(FoldError::Unasked)?) } else { None };
                self.direction.advance(folded.as_deref())?;
                let seen_epoch = u32::from_be_bytes([e0, e1, e2, e3]);
                Ok(Opened::KeyUpdate(KeyUpdate { asks, folds, seen_epoch }))
            }
            (ContentType::Close, []) => {
                self.direction.closed = true;
                Ok(Opened::Close)
            }
            (ContentType::FoldOffer, payload) if payload.len() == OFFER_BYTES => {
                Ok(Opened::FoldOffer(PAYLOAD_START..PAYLOAD_START + OFFER_BYTES))
            }
            (ContentType::FoldAnswer, payload) if payload.len() == ANSWER_BYTES => {
                Ok(Opened::FoldAnswer(PAYLOAD_START..PAYLOAD_START + ANSWER_BYTES))
            }
            _ => Err(RecordError::Malformed { content, bytes: payload.len() }),
        }
    }

    fn count_empty(&mut self, has_data: bool) -> Result<(), RecordError> {
        self.empty_run = if has_data { 0 } else { self.empty_run + 1 };
        if self.empty_run > EMPTY_RUN_RECORDS_MAX {
            return Err(RecordError::NothingButControl);
        }
        Ok(())
    }
}

fn parse_header(record: &[u8]) -> Result<Header, RecordError> {
    let header = record.first_chunk::<HEADER_BYTES>().ok_or(RecordError::Truncated)?;
    Ok(Header::parse(header)?)
}

#[cfg(test)]
mod tests;
