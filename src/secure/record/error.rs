//! Why records are refused.

use super::super::fold::FoldError;
use super::super::frame::LengthError;
use super::super::rekey::{EpochsExhausted, FutureEpoch};
use super::EMPTY_RUN_RECORDS_MAX;

/// Why a session's records cannot go on. None of these is ever repaired: the
/// session ends, and a new one begins with a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Something follows the last record of its direction.
    #[error("a record after the close of its direction")]
    AfterClose,
    /// No epoch left.
    #[error(transparent)]
    Epochs(#[from] EpochsExhausted),
    /// The tag does not fit: altered on the way, or not from the peer.
    #[error(
        "record {counter} of epoch {epoch} was altered on the way or is not from the peer \
         (its authentication tag does not fit)"
    )]
    Forged {
        /// Epoch in its header.
        epoch: u32,
        /// Counter in its header.
        counter: u64,
    },
    /// A fold that makes no sense.
    #[error(transparent)]
    Fold(#[from] FoldError),
    /// A peer that has seen more than there was.
    #[error(transparent)]
    FutureEpoch(#[from] FutureEpoch),
    /// The hard limit of records or bytes under one key.
    #[error("epoch {epoch} has used up its key without an update: the sender is broken")]
    KeyUsedUp {
        /// Which epoch.
        epoch: u32,
    },
    /// A length that no record has.
    #[error(transparent)]
    Length(#[from] LengthError),
    /// An authentic record of the wrong size for its content.
    #[error("a record of content type {content} cannot have {bytes} bytes: the peer is broken")]
    Malformed {
        /// Content type.
        content: u8,
        /// Bytes of its payload.
        bytes: usize,
    },
    /// A run of records without data.
    #[error("{EMPTY_RUN_RECORDS_MAX} records without data in a row: the peer only keeps us busy")]
    NothingButControl,
    /// Replayed, moved, dropped or from another session.
    #[error(
        "expected record {expected_counter} of epoch {expected_epoch}, got record \
         {found_counter} of epoch {found_epoch}: records were dropped, repeated or moved"
    )]
    OutOfOrder {
        /// Epoch of the next record.
        expected_epoch: u32,
        /// Its counter.
        expected_counter: u64,
        /// Epoch in the header.
        found_epoch: u32,
        /// Counter in the header.
        found_counter: u64,
    },
    /// The transport takes nothing.
    #[error("the other end has taken no byte for {deadline_ms} ms: it is stuck, or the network is")]
    Stalled {
        /// The deadline that passed.
        deadline_ms: u64,
    },
    /// The stream ended without `Close`.
    #[error("the stream ended without the peer's authenticated close: bytes are missing")]
    Truncated,
    /// A content type from a future version.
    #[error("unknown content type {0}: the peer is newer than its handshake says, or broken")]
    UnknownContent(u8),
}
