//! How a handshake message is framed.
//!
//! ```text
//! 4 B magic | u8 layout | u8 type | u16 length (big endian) | body
//! ```

use super::error::HandshakeError;

/// Magic, layout, type and length.
pub const HEADER_BYTES: usize = 8;

/// Version of the protocol, negotiated inside the messages.
pub const VERSION: u8 = 1;

/// How the messages themselves are made; another layout is another protocol.
const LAYOUT: u8 = 1;

/// Both messages take less than 1400 bytes: Noise's keys and tags, one ML-KEM-768
/// key or ciphertext, and a few names.
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
    /// Ticket of a further connection.
    Join = 3,
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
    message.extend_from_slice(&[LAYOUT, kind as u8]);
    message.extend_from_slice(&length.to_be_bytes());
    message.extend_from_slice(body);
    message
}

/// Reads the header of a message that must be of one of these types: which, and how many
/// bytes follow. Checked before any of them is awaited.
///
/// # Errors
/// When it is not ours, of another layout or type, or too long.
pub fn decode_header(
    header: [u8; HEADER_BYTES],
    kinds: &[Type],
) -> Result<(Type, usize), HandshakeError> {
    let [m0, m1, m2, m3, layout, found, l0, l1] = header;
    if [m0, m1, m2, m3] != MAGIC {
        return Err(HandshakeError::NotOurProtocol);
    }
    if layout != LAYOUT {
        return Err(HandshakeError::Layout { theirs: layout });
    }
    let kind = kinds.iter().copied().find(|&kind| kind as u8 == found);
    let kind = kind.ok_or(HandshakeError::Malformed)?;
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    if length == 0 {
        return Err(HandshakeError::Malformed);
    }
    if length > BODY_BYTES_MAX {
        return Err(HandshakeError::TooLong { length });
    }
    Ok((kind, length))
}
