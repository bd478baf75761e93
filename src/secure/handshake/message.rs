//! How a handshake message is framed, and how a refusal looks.
//!
//! ```text
//! 4 B magic | u8 version | u8 type | u16 length (big endian) | body
//! ```

use super::error::{HandshakeError, Refusal};

/// Magic, version, type and length.
pub const HEADER_BYTES: usize = 8;

/// Version of the protocol. Bound into the keys by the prologue.
pub const VERSION: u8 = 1;

/// Both messages take less than 1400 bytes: Noise's keys and tags, one ML-KEM-768
/// key or ciphertext, and a few suites.
pub const BODY_BYTES_MAX: usize = 2048;

const MAGIC: [u8; 4] = *b"drop";

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Type {
    /// First Noise message.
    Initiate = 1,
    /// Second Noise message.
    Respond = 2,
    /// One byte: a [`Refusal`]. In clear and from anybody: a hint, no more.
    Refuse = 3,
}

/// A message with its header.
///
/// # Panics
/// When `body` is longer than [`BODY_BYTES_MAX`].
pub fn encode(kind: Type, body: &[u8]) -> Vec<u8> {
    assert!(body.len() <= BODY_BYTES_MAX, "our own messages are small");
    let length = u16::try_from(body.len()).expect("BODY_BYTES_MAX fits");
    let mut message = Vec::with_capacity(HEADER_BYTES + body.len());
    message.extend_from_slice(&MAGIC);
    message.extend_from_slice(&[VERSION, kind as u8]);
    message.extend_from_slice(&length.to_be_bytes());
    message.extend_from_slice(body);
    message
}

/// The message that refuses.
pub fn refusal(reason: Refusal) -> Vec<u8> {
    encode(Type::Refuse, &[reason as u8])
}

/// Reads a header: what follows, and how many bytes. Checked before any of them
/// is awaited.
///
/// # Errors
/// When it is not ours, of another version, or too long.
pub fn decode_header(header: [u8; HEADER_BYTES]) -> Result<(Type, usize), HandshakeError> {
    let [m0, m1, m2, m3, version, kind, l0, l1] = header;
    if [m0, m1, m2, m3] != MAGIC {
        return Err(HandshakeError::NotOurProtocol);
    }
    let kind = match kind {
        1 => Type::Initiate,
        2 => Type::Respond,
        3 => Type::Refuse,
        _ => return Err(HandshakeError::Malformed),
    };
    // A refusal is readable in every version: it may say that ours is the problem.
    if version != VERSION && kind != Type::Refuse {
        return Err(HandshakeError::Version { theirs: version });
    }
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    if length > BODY_BYTES_MAX {
        return Err(HandshakeError::TooLong { length });
    }
    Ok((kind, length))
}
