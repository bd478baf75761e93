//! What the two messages carry beside keys: what is offered, and what is chosen.
//!
//! ```text
//! offer:  u8 count, versions | u8 count, suites | 1184 B ML-KEM-768 key
//! answer: u8 0 | u8 version | u8 suite | 1088 B ciphertext
//!     or: u8 reason | zeros, as long as the other
//! ```

use super::super::fold::{KEM_CIPHERTEXT_BYTES, KEM_KEY_BYTES};
use super::super::suite::Suite;
use super::error::{HandshakeError, Refusal};
use super::message::VERSION;

/// Versions or suites that one offer can name; more than will ever be.
const NAMES_MAX: usize = 16;

const ACCEPTED: u8 = 0;
const ANSWER_BYTES: usize = 3 + KEM_CIPHERTEXT_BYTES;

pub(super) fn encode(suites: &[Suite], kem_key: &[u8]) -> Vec<u8> {
    let count = u8::try_from(suites.len()).expect("a handful of suites");
    let mut offer = vec![1, VERSION, count];
    offer.extend(suites.iter().map(|&suite| suite as u8));
    offer.extend_from_slice(kem_key);
    offer
}

/// The initiator's offer, as the responder reads it.
pub(super) struct Offer<'a> {
    versions: &'a [u8],
    suites: &'a [u8],
    pub(super) kem_key: [u8; KEM_KEY_BYTES],
}

impl<'a> Offer<'a> {
    pub(super) fn decode(payload: &'a [u8]) -> Result<Self, HandshakeError> {
        let (versions, rest) = names(payload)?;
        let (suites, kem_key) = names(rest)?;
        let kem_key = kem_key.try_into().map_err(|_| HandshakeError::Malformed)?;
        Ok(Self { versions, suites, kem_key })
    }

    /// The first of `ours` that is offered.
    pub(super) fn choose(&self, ours: &[Suite]) -> Result<Suite, Refusal> {
        if !self.versions.contains(&VERSION) {
            return Err(Refusal::Version);
        }
        ours.iter()
            .copied()
            .find(|&suite| self.suites.contains(&(suite as u8)))
            .ok_or(Refusal::Suite)
    }
}

fn names(bytes: &[u8]) -> Result<(&[u8], &[u8]), HandshakeError> {
    let (&count, rest) = bytes.split_first().ok_or(HandshakeError::Malformed)?;
    let count = usize::from(count);
    if count > NAMES_MAX {
        return Err(HandshakeError::Malformed);
    }
    rest.split_at_checked(count).ok_or(HandshakeError::Malformed)
}

/// The responder's answer.
pub(super) enum Answer {
    Accepted { suite: Suite, ciphertext: Box<[u8; KEM_CIPHERTEXT_BYTES]> },
    Refused(Refusal),
}

impl Answer {
    pub(super) fn encode(&self) -> [u8; ANSWER_BYTES] {
        let mut bytes = [0; ANSWER_BYTES];
        match self {
            Self::Accepted { suite, ciphertext } => {
                bytes[..3].copy_from_slice(&[ACCEPTED, VERSION, *suite as u8]);
                bytes[3..].copy_from_slice(ciphertext.as_slice());
            }
            Self::Refused(reason) => bytes[0] = *reason as u8,
        }
        bytes
    }

    pub(super) fn decode(payload: &[u8]) -> Result<Self, HandshakeError> {
        let bytes: &[u8; ANSWER_BYTES] =
            payload.try_into().map_err(|_| HandshakeError::Malformed)?;
        let (&[status, version, suite], ciphertext) =
            bytes.split_first_chunk().ok_or(HandshakeError::Malformed)?;
        if status != ACCEPTED {
            let reason = Refusal::from_byte(status).ok_or(HandshakeError::Malformed)?;
            return Ok(Self::Refused(reason));
        }
        let suite = Suite::from_byte(suite).filter(|_| version == VERSION);
        Ok(Self::Accepted {
            suite: suite.ok_or(HandshakeError::NotOffered)?,
            ciphertext: Box::new(ciphertext.try_into().map_err(|_| HandshakeError::Malformed)?),
        })
    }
}
