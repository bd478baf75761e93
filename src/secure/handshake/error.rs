//! Why there is no session.

use std::fmt;
use std::io;

use super::super::identity::PeerId;
use super::super::record::RecordError;
use super::message::{BODY_BYTES_MAX, VERSION};

/// Why a peer refused a handshake, in its own unauthenticated words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Refusal {
    /// Too many handshakes at once.
    Busy = 1,
    /// It could not read the first message with its key.
    NotForMe = 2,
    /// Our id is not among its peers.
    UnknownPeer = 3,
    /// No common version of the protocol, or no common suite.
    Version = 4,
}

impl Refusal {
    /// The reason with this code.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Busy),
            2 => Some(Self::NotForMe),
            3 => Some(Self::UnknownPeer),
            4 => Some(Self::Version),
            _ => None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Busy => "it has too many handshakes under way; try again later",
            Self::NotForMe => {
                "the handshake is not for it: it has another id than the one pinned here; \
                 compare with `dropd id` over there"
            }
            Self::UnknownPeer => "it does not know our id; add the id that `dropd id` prints here",
            Self::Version => "it speaks another version of the protocol; update the older end",
        })
    }
}

/// Why a handshake failed. The session does not exist, nothing was served.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The other end hung up.
    #[error("the other end closed the connection in the middle of the handshake")]
    Closed,
    /// The transport failed.
    #[error("the connection failed in the middle of the handshake: {0}")]
    Io(io::Error),
    /// Not what the protocol says.
    #[error("the other end's handshake message is malformed: it is broken, or not dropd")]
    Malformed,
    /// Nothing that both can do.
    #[error("the other end has no cipher suite in common with us; update the older end")]
    NoCommonSuite,
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
    /// Something else than dropd.
    #[error("what is at the other end does not speak our protocol; check address and port")]
    NotOurProtocol,
    /// The system's generator failed.
    #[error("the system gives no random bytes: {reason}")]
    Random {
        /// The system's words.
        reason: String,
    },
    /// The other end refused. Anybody on the way can say so: a hint.
    #[error("the peer says: {0}")]
    Refused(Refusal),
    /// No end within the deadline.
    #[error("no handshake within {deadline_ms} ms: the other end is silent or too slow")]
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
    /// An id that is not pinned.
    #[error("{remote} is not among our peers; add it if it should be")]
    UnknownPeer {
        /// Who asked.
        remote: PeerId,
    },
    /// Another version.
    #[error(
        "the other end speaks version {theirs} of the protocol, we speak {VERSION}; update the older end"
    )]
    Version {
        /// Its version.
        theirs: u8,
    },
}

impl HandshakeError {
    /// What the accepting end tells the dialling one, if anything. Nobody who does
    /// not speak the protocol gets an answer.
    pub const fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::NotForUs => Some(Refusal::NotForMe),
            Self::NoCommonSuite | Self::Version { .. } => Some(Refusal::Version),
            Self::UnknownPeer { .. } => Some(Refusal::UnknownPeer),
            _ => None,
        }
    }
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
            snow::Error::Rng => Self::Random { reason: error.to_string() },
            _ => Self::Malformed,
        }
    }
}
