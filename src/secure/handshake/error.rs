//! Why there is no session.

use std::fmt;
use std::io;

use super::super::entropy::NoEntropy;
use super::super::identity::PeerId;
use super::super::record::RecordError;
use super::message::BODY_BYTES_MAX;

/// Why a peer refuses a handshake. Said only to those who hold a key and know ours,
/// under the keys of the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Refusal {
    /// Our id is not among its peers, or no longer.
    UnknownPeer = 1,
    /// No common version of the protocol.
    Version = 2,
    /// No common suite.
    Suite = 3,
}

impl Refusal {
    /// The reason with this code.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::UnknownPeer),
            2 => Some(Self::Version),
            3 => Some(Self::Suite),
            _ => None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownPeer => {
                "the dialling end's id is not among the accepting end's peers; add the id that \
                 `dropd id` prints at the dialling end"
            }
            Self::Version => "no version of the protocol in common; update the older end",
            Self::Suite => "no cipher suite in common; set `auto` at both ends",
        })
    }
}

/// Why a handshake failed. The session does not exist, nothing was served.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The other end hung up.
    #[error(
        "the other end closed the connection in the middle of the handshake; its log may say \
         why (too many connections at once, or a restart); try again"
    )]
    Closed,
    /// The transport failed.
    #[error("the connection failed in the middle of the handshake: {0}")]
    Io(io::Error),
    /// Another layout of the messages.
    #[error("the other end uses layout {theirs} of handshake messages; update the older end")]
    Layout {
        /// Its layout.
        theirs: u8,
    },
    /// Not what the protocol says.
    #[error("the other end's handshake message is malformed: it is broken, or not dropd")]
    Malformed,
    /// A ticket that no session here has, or no longer.
    #[error(
        "it asks for a further connection of a session that is not here: the session ended, or \
         the message was replayed"
    )]
    NoTicket,
    /// All further connections of a session were made.
    #[error(
        "the session has used all the further connections of its handshake; it goes on with \
         those that are left, and a new session has as many again"
    )]
    NoTicketLeft,
    /// The first record does not open.
    #[error("the other end did not confirm the session's keys: {0}")]
    NotConfirmed(RecordError),
    /// The second message is not from the key that was dialled.
    #[error(
        "the answer is not from the peer with the pinned id, or was altered on the way; \
         compare the id with `dropd id` over there"
    )]
    NotFromRemote,
    /// The first message cannot be read with our key.
    #[error(
        "the handshake is not for our id, or was altered on the way; the dialling peer must \
         pin the id that `dropd id` prints here"
    )]
    NotForUs,
    /// A choice that was not offered.
    #[error("the peer chose a suite or version that was not offered: it is broken")]
    NotOffered,
    /// Something else than dropd.
    #[error("what is at the other end does not speak our protocol; check address and port")]
    NotOurProtocol,
    /// The system's generator failed.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    /// The other end refused.
    #[error("the peer refuses: {0}")]
    Refused(Refusal),
    /// We refuse, and have said why.
    #[error("refused {remote}: {reason}")]
    Refuses {
        /// Who asked.
        remote: PeerId,
        /// Why not.
        reason: Refusal,
    },
    /// No end within the deadline.
    #[error(
        "no handshake within {deadline_ms} ms: the other end is silent or too slow, or it has \
         another id than the pinned one (compare with `dropd id` over there)"
    )]
    TimedOut {
        /// The deadline that passed.
        deadline_ms: u64,
    },
    /// A length beyond the limit.
    #[error("a handshake message of {length} bytes, at most {BODY_BYTES_MAX} are allowed")]
    TooLong {
        /// What the header says.
        length: usize,
    },
}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Closed,
            _ => Self::Io(error),
        }
    }
}

impl From<snow::Error> for HandshakeError {
    /// Only for our own messages; what the other end sent has errors of its own.
    fn from(error: snow::Error) -> Self {
        match error {
            snow::Error::Rng => Self::NoEntropy(NoEntropy),
            _ => Self::Malformed,
        }
    }
}
