//! Keys as text: lower-case base32 (RFC 4648 section 6, no padding) of the key
//! and a 24-bit checksum. 35 bytes are exactly 56 characters.

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::KEY_BYTES;

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const CHECKSUM_BYTES: usize = 3;
const RAW_BYTES: usize = KEY_BYTES + CHECKSUM_BYTES;
const TEXT_CHARS: usize = RAW_BYTES * 8 / 5;

/// What a text stands for. Each has a checksum of its own, so that a secret is
/// never taken for an id, nor an id for a secret.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    PeerId,
    Secret,
}

impl Kind {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::PeerId => b"dropbed peer id 1",
            Self::Secret => b"dropbed secret key 1",
        }
    }
}

/// Why a text is not a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// A character outside the alphabet.
    #[error("character {position} is {found:?}: only a to z and 2 to 7 occur in it")]
    Character {
        /// Counted from 1.
        position: usize,
        /// What stands there.
        found: char,
    },
    /// The characters are fine, together they are not: a typing error.
    #[error("the checksum does not fit: there is a typing error in it, copy it again")]
    Checksum,
    /// Too short or too long.
    #[error("it has {found} characters instead of {TEXT_CHARS}: copy all of it")]
    Length {
        /// How many there are.
        found: usize,
    },
}

pub(super) fn encode(kind: Kind, key: &[u8; KEY_BYTES]) -> String {
    let mut raw = Zeroizing::new([0u8; RAW_BYTES]);
    raw[..KEY_BYTES].copy_from_slice(key);
    raw[KEY_BYTES..].copy_from_slice(&checksum(kind, key));
    let mut text = String::with_capacity(TEXT_CHARS);
    for group in raw.chunks_exact(5) {
        let bits = group.iter().fold(0u64, |bits, &byte| bits << 8 | u64::from(byte));
        for digit in (0..8).rev() {
            let index = usize::try_from(bits >> (digit * 5) & 31).expect("five bits");
            text.push(char::from(ALPHABET[index]));
        }
    }
    text
}

pub(super) fn decode(kind: Kind, text: &str) -> Result<Zeroizing<[u8; KEY_BYTES]>, TextError> {
    let found = text.chars().count();
    if found != TEXT_CHARS {
        return Err(TextError::Length { found });
    }
    let mut digits = Zeroizing::new([0u8; TEXT_CHARS]);
    for (i, found) in text.chars().enumerate() {
        digits[i] = match found.to_ascii_lowercase() {
            letter @ 'a'..='z' => letter as u8 - b'a',
            number @ '2'..='7' => number as u8 - b'2' + 26,
            _ => return Err(TextError::Character { position: i + 1, found }),
        };
    }
    let mut raw = Zeroizing::new([0u8; RAW_BYTES]);
    for (group, bytes) in digits.chunks_exact(8).zip(raw.chunks_exact_mut(5)) {
        let bits = group.iter().fold(0u64, |bits, &digit| bits << 5 | u64::from(digit));
        bytes.copy_from_slice(&bits.to_be_bytes()[3..]);
    }
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    key.copy_from_slice(&raw[..KEY_BYTES]);
    if raw[KEY_BYTES..] != checksum(kind, &key) {
        return Err(TextError::Checksum);
    }
    Ok(key)
}

fn checksum(kind: Kind, key: &[u8; KEY_BYTES]) -> [u8; CHECKSUM_BYTES] {
    let hash = Sha256::new().chain_update(kind.label()).chain_update(key).finalize();
    [hash[0], hash[1], hash[2]]
}
