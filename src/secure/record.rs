//! Records: sealed in the order of the stream, opened in exactly that order.
//!
//! The receiver knows the nonce of the next record before it arrives. A record
//! that was replayed, moved, dropped or reflected has another one, or another
//! key, and ends the session; so does a stream that ends without `Close`.

use std::io::IoSlice;
use std::ops::Range;

use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::{AeadInOut as _, ChaCha20Poly1305, Key, KeyInit as _, Nonce, Tag};

use super::frame::{CONTENT_TYPE_BYTES, HEADER_BYTES, Header, RECORD_PAYLOAD_BYTES_MAX, TAG_BYTES};
use super::rekey::{EMPTY_RUN_RECORDS_MAX, KeyUpdate, Ratchet, Secret};

mod error;

pub use error::RecordError;

/// Records under one key, whatever the limits say: sixteen times their default. A
/// sender that gets here forgot to update, so this is an error, not a rekey.
pub const RECORDS_PER_KEY_MAX: u64 = 1 << 24;

/// A `KeyUpdate` record on the wire: flag and epoch.
pub const KEY_UPDATE_WIRE_BYTES: usize =
    HEADER_BYTES + CONTENT_TYPE_BYTES + KEY_UPDATE_BYTES + TAG_BYTES;

const KEY_UPDATE_BYTES: usize = 5;

/// First byte of a plaintext. 4 and 5 are kept for the offer and the answer of a
/// fresh key exchange within the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ContentType {
    /// Bytes of the stream; may be empty.
    Data = 1,
    /// The last record of its epoch.
    KeyUpdate = 2,
    /// The last record of its direction.
    Close = 3,
}

impl ContentType {
    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Data),
            2 => Some(Self::KeyUpdate),
            3 => Some(Self::Close),
            _ => None,
        }
    }
}

/// The sending end of a direction.
#[derive(Debug)]
pub struct Sealer(Direction);

impl Sealer {
    /// Epoch 0 of this secret.
    pub fn new(secret: Secret) -> Self {
        Self(Direction::new(secret))
    }

    /// The epoch of the next record.
    pub const fn epoch(&self) -> u32 {
        self.0.ratchet.epoch()
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
        out: &mut Vec<u8>,
    ) -> Result<usize, RecordError> {
        self.seal(ContentType::Data, parts, bytes_max.min(RECORD_PAYLOAD_BYTES_MAX), out)
    }

    /// Appends a `KeyUpdate` to `out` and moves to the next epoch.
    ///
    /// # Errors
    /// As [`seal_data`](Self::seal_data), and when there is no next epoch.
    pub fn seal_key_update(
        &mut self,
        update: KeyUpdate,
        out: &mut Vec<u8>,
    ) -> Result<(), RecordError> {
        let mut payload = [0; KEY_UPDATE_BYTES];
        payload[0] = u8::from(update.asks);
        payload[1..].copy_from_slice(&update.seen_epoch.to_be_bytes());
        self.seal(ContentType::KeyUpdate, &[IoSlice::new(&payload)], payload.len(), out)?;
        self.0.advance()
    }

    /// Appends the last record of this direction.
    ///
    /// # Errors
    /// As [`seal_data`](Self::seal_data).
    pub fn seal_close(&mut self, out: &mut Vec<u8>) -> Result<(), RecordError> {
        self.seal(ContentType::Close, &[], 0, out)?;
        self.0.closed = true;
        Ok(())
    }

    fn seal(
        &mut self,
        content: ContentType,
        parts: &[IoSlice<'_>],
        bytes_max: usize,
        out: &mut Vec<u8>,
    ) -> Result<usize, RecordError> {
        let total = parts.iter().fold(0usize, |sum, part| sum.saturating_add(part.len()));
        let payload_bytes = total.min(bytes_max);
        let (epoch, counter) = self.0.next_nonce()?;
        let header = Header::new(epoch, counter, CONTENT_TYPE_BYTES + payload_bytes);
        let associated = header.to_bytes();
        out.reserve(header.wire_bytes());
        out.extend_from_slice(&associated);
        let plaintext_start = out.len();
        out.push(content as u8);
        let mut rest = payload_bytes;
        for part in parts {
            let taken = part.len().min(rest);
            out.extend_from_slice(&part[..taken]);
            rest -= taken;
        }
        let plaintext = InOutBuf::from(&mut out[plaintext_start..]);
        let tag = self
            .0
            .cipher
            .encrypt_inout_detached(&Nonce::from(header.nonce()), &associated, plaintext)
            .expect("a record is far below the 256 GiB that one nonce can seal");
        out.extend_from_slice(&tag);
        self.0.counter += 1;
        Ok(payload_bytes)
    }
}

/// What a record said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// The direction is over.
    Close,
    /// Where in the record its data stands.
    Data(Range<usize>),
    /// The next record comes under the next key.
    KeyUpdate(KeyUpdate),
}

/// The receiving end of a direction. After an error it gives nothing but errors.
#[derive(Debug)]
pub struct Opener {
    direction: Direction,
    /// Records without data since the last one with data.
    empty_run: u32,
    failed: Option<RecordError>,
}

impl Opener {
    /// Epoch 0 of this secret.
    pub fn new(secret: Secret) -> Self {
        Self { direction: Direction::new(secret), empty_run: 0, failed: None }
    }

    /// The epoch of the next record.
    pub const fn epoch(&self) -> u32 {
        self.direction.ratchet.epoch()
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
        let tag = Tag::try_from(&*tag).expect("split off with the length of a tag");
        let nonce = Nonce::from(header.nonce());
        self.direction
            .cipher
            .decrypt_inout_detached(&nonce, associated, InOutBuf::from(&mut *text), &tag)
            .map_err(|_| RecordError::Forged { epoch: header.epoch, counter: header.counter })?;
        self.direction.counter += 1;
        self.interpret(text)
    }

    /// The record is authentic; what the peer says may still make no sense.
    fn interpret(&mut self, plaintext: &[u8]) -> Result<Opened, RecordError> {
        let (&content, payload) = plaintext.split_first().ok_or(RecordError::Truncated)?;
        let kind = ContentType::from_byte(content).ok_or(RecordError::UnknownContent(content))?;
        self.count_empty(kind == ContentType::Data && !payload.is_empty())?;
        match (kind, payload) {
            (ContentType::Data, _) => {
                let start = HEADER_BYTES + CONTENT_TYPE_BYTES;
                Ok(Opened::Data(start..start + payload.len()))
            }
            (ContentType::KeyUpdate, &[asks @ (0 | 1), e0, e1, e2, e3]) => {
                self.direction.advance()?;
                let seen_epoch = u32::from_be_bytes([e0, e1, e2, e3]);
                Ok(Opened::KeyUpdate(KeyUpdate { asks: asks == 1, seen_epoch }))
            }
            (ContentType::Close, []) => {
                self.direction.closed = true;
                Ok(Opened::Close)
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

/// What both ends of a direction keep.
struct Direction {
    ratchet: Ratchet,
    /// One per epoch, never one per record.
    cipher: ChaCha20Poly1305,
    counter: u64,
    closed: bool,
}

impl Direction {
    fn new(secret: Secret) -> Self {
        let ratchet = Ratchet::new(secret);
        let cipher = cipher(&ratchet);
        Self { ratchet, cipher, counter: 0, closed: false }
    }

    const fn next_nonce(&self) -> Result<(u32, u64), RecordError> {
        if self.closed {
            return Err(RecordError::AfterClose);
        }
        if self.counter >= RECORDS_PER_KEY_MAX {
            return Err(RecordError::KeyUsedUp { epoch: self.ratchet.epoch() });
        }
        Ok((self.ratchet.epoch(), self.counter))
    }

    fn advance(&mut self) -> Result<(), RecordError> {
        self.ratchet.advance()?;
        self.cipher = cipher(&self.ratchet);
        self.counter = 0;
        Ok(())
    }
}

impl std::fmt::Debug for Direction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Direction")
            .field("epoch", &self.ratchet.epoch())
            .field("counter", &self.counter)
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}

fn cipher(ratchet: &Ratchet) -> ChaCha20Poly1305 {
    let key = ratchet.key();
    ChaCha20Poly1305::new(<&Key>::from(&*key))
}

fn parse_header(record: &[u8]) -> Result<Header, RecordError> {
    let header = record.first_chunk::<HEADER_BYTES>().ok_or(RecordError::Truncated)?;
    Ok(Header::parse(header)?)
}

#[cfg(test)]
mod tests;
