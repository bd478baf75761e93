//! The outside of a record: what anybody on the wire can see.
//!
//! ```text
//! u32 length | u32 epoch, u64 counter | ciphertext | 16 B tag      (big endian)
//! ```
//!
//! `length` counts everything after itself. Epoch and counter are the nonce
//! (RFC 8439 wants 96 bits that never repeat under one key). The first 16 bytes
//! are the associated data, so no bit of a record is free to change.

/// Length, epoch and counter.
pub const HEADER_BYTES: usize = 16;

/// Poly1305 (RFC 8439).
pub const TAG_BYTES: usize = 16;

/// The content type, first byte of every plaintext.
pub const CONTENT_TYPE_BYTES: usize = 1;

/// File bytes that go into one record: one HTTP/2 DATA frame of the size that was
/// worth most of all (16 KiB to 512 KiB: 1.7 times on loopback), so that a frame
/// is one record is one write.
pub const RECORD_DATA_BYTES: usize = 512 * 1024;

/// What may stand before those bytes in the same write: the frame's own header of
/// 9 bytes and the small frames (headers, window updates) queued ahead of it.
const RECORD_ROOM_BYTES: usize = 1024 - CONTENT_TYPE_BYTES;

/// Payload of a record, without the content type.
pub const RECORD_PAYLOAD_BYTES_MAX: usize = RECORD_ROOM_BYTES + RECORD_DATA_BYTES;

/// Plaintext of a record. A receiver holds one record of this size per session.
pub const RECORD_PLAINTEXT_BYTES_MAX: usize = CONTENT_TYPE_BYTES + RECORD_PAYLOAD_BYTES_MAX;

/// A whole record on the wire.
pub const RECORD_WIRE_BYTES_MAX: usize = HEADER_BYTES + RECORD_PLAINTEXT_BYTES_MAX + TAG_BYTES;

const LENGTH_BYTES: usize = 4;
/// Epoch and counter: the 96 bits that both suites want.
pub const NONCE_BYTES: usize = HEADER_BYTES - LENGTH_BYTES;
const LENGTH_MIN: usize = NONCE_BYTES + CONTENT_TYPE_BYTES + TAG_BYTES;
const LENGTH_MAX: usize = RECORD_WIRE_BYTES_MAX - LENGTH_BYTES;

/// The first 16 bytes of a record, with a length within its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Which key of its direction.
    pub epoch: u32,
    /// Which record under that key, from 0.
    pub counter: u64,
    wire_bytes: usize,
}

impl Header {
    /// The header of a record with `plaintext_bytes`, content type included.
    ///
    /// # Panics
    /// When that is not within 1 and [`RECORD_PLAINTEXT_BYTES_MAX`]: senders cut.
    pub fn new(epoch: u32, counter: u64, plaintext_bytes: usize) -> Self {
        assert!(
            (CONTENT_TYPE_BYTES..=RECORD_PLAINTEXT_BYTES_MAX).contains(&plaintext_bytes),
            "a record cannot hold {plaintext_bytes} bytes"
        );
        Self { epoch, counter, wire_bytes: HEADER_BYTES + plaintext_bytes + TAG_BYTES }
    }

    /// Reads a header and checks its length, before anything is allocated or
    /// awaited for it. Nothing in it is authentic yet.
    ///
    /// # Errors
    /// When no record can have this length.
    pub fn parse(bytes: &[u8; HEADER_BYTES]) -> Result<Self, LengthError> {
        let [l0, l1, l2, l3, e0, e1, e2, e3, c0, c1, c2, c3, c4, c5, c6, c7] = *bytes;
        let found = u32::from_be_bytes([l0, l1, l2, l3]);
        let length = usize::try_from(found).unwrap_or(usize::MAX);
        if !(LENGTH_MIN..=LENGTH_MAX).contains(&length) {
            return Err(LengthError { found });
        }
        Ok(Self {
            epoch: u32::from_be_bytes([e0, e1, e2, e3]),
            counter: u64::from_be_bytes([c0, c1, c2, c3, c4, c5, c6, c7]),
            wire_bytes: LENGTH_BYTES + length,
        })
    }

    /// The header as it goes over the wire: the associated data.
    pub fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let length = u32::try_from(self.wire_bytes - LENGTH_BYTES)
            .expect("both constructors keep it below RECORD_WIRE_BYTES_MAX");
        let mut bytes = [0; HEADER_BYTES];
        bytes[..LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
        bytes[LENGTH_BYTES..].copy_from_slice(&self.nonce());
        bytes
    }

    /// The nonce: epoch, then counter.
    pub fn nonce(self) -> [u8; NONCE_BYTES] {
        let mut nonce = [0; NONCE_BYTES];
        nonce[..4].copy_from_slice(&self.epoch.to_be_bytes());
        nonce[4..].copy_from_slice(&self.counter.to_be_bytes());
        nonce
    }

    /// Bytes of the whole record, header and tag included.
    pub const fn wire_bytes(self) -> usize {
        self.wire_bytes
    }
}

/// A length field that no record can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a record says it has {found} bytes, possible are {LENGTH_MIN} to {LENGTH_MAX}")]
pub struct LengthError {
    /// What the field says.
    pub found: u32,
}

#[cfg(test)]
mod tests;
