//! Errors and gRPC status codes: the one mapping, both ways (`drop.proto`).

use std::error::Error as _;

use tonic::{Code, Status};

use super::FetchError;
use crate::source::{PathError, SourceError};

/// What is kept of a peer's reason. Our own have about 200.
const REASON_CHARS_MAX: usize = 512;

/// What a peer's answer to a request for `path` means.
pub fn fetch_error(status: &Status, peer: &str, path: &str) -> FetchError {
    if is_broken(status) {
        return unreachable(peer, &root_cause(status));
    }
    coded_error(status.code(), status.message(), peer, path)
}

/// Whether our end of the connection made this status, because the connection broke: a
/// peer's own has no source.
pub(super) fn is_broken(status: &Status) -> bool {
    status.source().is_some()
}

/// As [`fetch_error`] for a code and message that came inside of a message.
pub(super) fn coded_error(code: Code, message: &str, peer: &str, path: &str) -> FetchError {
    let (peer, path, reason) = (peer.to_owned(), path.to_owned(), printable(message));
    match code {
        Code::NotFound => FetchError::NotFound { peer, path },
        Code::PermissionDenied => FetchError::Denied { peer, path, reason },
        Code::InvalidArgument => FetchError::Invalid { peer, path, reason },
        Code::FailedPrecondition => FetchError::Changed { peer, path },
        Code::ResourceExhausted => FetchError::Busy { peer, path, reason },
        Code::Unavailable | Code::Cancelled => FetchError::Unreachable { peer, reason },
        // The peer gave up on something of its own; our deadlines are ours.
        other => FetchError::Failed { peer, path, reason: format!("{reason} ({other:?})") },
    }
}

/// A peer's words, as they may be printed and sent on: not too many, and no control
/// characters.
fn printable(message: &str) -> String {
    let shown = message.chars().take(REASON_CHARS_MAX);
    shown.map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

pub(super) fn unreachable(peer: &str, reason: &str) -> FetchError {
    FetchError::Unreachable { peer: peer.to_owned(), reason: reason.to_owned() }
}

/// Our own code for `error`, for those who ask us.
pub fn code(error: &FetchError) -> Code {
    match error {
        FetchError::NotFound { .. } => Code::NotFound,
        FetchError::Denied { .. } => Code::PermissionDenied,
        FetchError::Invalid { .. } => Code::InvalidArgument,
        FetchError::Changed { .. } => Code::FailedPrecondition,
        FetchError::Failed { .. } => Code::DataLoss,
        FetchError::Unreachable { .. } => Code::Unavailable,
        FetchError::Busy { .. } => Code::ResourceExhausted,
        FetchError::TimedOut { .. } => Code::DeadlineExceeded,
    }
}

impl From<FetchError> for Status {
    fn from(error: FetchError) -> Self {
        Self::new(code(&error), error.to_string())
    }
}

impl From<SourceError> for Status {
    fn from(error: SourceError) -> Self {
        let code = match error {
            SourceError::NotFound => Code::NotFound,
            SourceError::Denied { .. } => Code::PermissionDenied,
            SourceError::Invalid { .. } => Code::InvalidArgument,
            SourceError::Changed => Code::FailedPrecondition,
            SourceError::TooLarge { .. } => Code::ResourceExhausted,
            SourceError::Failed { .. } => Code::DataLoss,
        };
        Self::new(code, error.to_string())
    }
}

impl From<PathError> for Status {
    fn from(error: PathError) -> Self {
        Self::invalid_argument(error.to_string())
    }
}

/// The innermost cause, where the system's words are.
fn root_cause(status: &Status) -> String {
    let mut cause: &dyn std::error::Error = status;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
