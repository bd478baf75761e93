//! Why a call of the client failed.

/// An error of [`Client`](super::Client): what was attempted, and why it failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The base URL is none.
    #[error("{url:?} is not the URL of a Toxiproxy API: {why}")]
    BaseUrl {
        /// As given.
        url: String,
        /// In words.
        why: String,
    },
    /// No answer, or a broken one.
    #[error("cannot {action} at {base}: {why}; is the proxy server running there?")]
    Transport {
        /// What was attempted.
        action: String,
        /// The API's URL.
        base: String,
        /// The error with its causes.
        why: String,
    },
    /// No whole answer within the deadline. Whether it was done is unknown.
    #[error("cannot {action} at {base}: no answer within {deadline_ms} ms")]
    Deadline {
        /// What was attempted.
        action: String,
        /// The API's URL.
        base: String,
        /// The call's deadline.
        deadline_ms: u128,
    },
    /// The server says no.
    #[error("cannot {action}: the proxy server answers {status}: {message}")]
    Refused {
        /// What was attempted.
        action: String,
        /// HTTP status.
        status: u16,
        /// `error` of the body, or its beginning.
        message: String,
    },
    /// The status says success, the body does not.
    #[error("cannot {action}: the answer is not understood ({why}): {excerpt}")]
    Undecodable {
        /// What was attempted.
        action: String,
        /// What is wrong with the body.
        why: String,
        /// Its beginning.
        excerpt: String,
    },
    /// The server made something else than asked.
    #[error("cannot {action}: asked for {asked}, the proxy server made {made}")]
    Disagrees {
        /// What was attempted.
        action: String,
        /// As JSON.
        asked: String,
        /// As JSON.
        made: String,
    },
    /// It takes an extension, and the server is a stock one.
    #[error(
        "cannot {action}: {extension} takes the bundled proxy server (dropbed toxiproxy), and this \
         is Toxiproxy {version}"
    )]
    NotBundled {
        /// What was attempted.
        action: String,
        /// What of it the server lacks, in words.
        extension: String,
        /// The server's version.
        version: String,
    },
}

impl ClientError {
    /// The server's status, where it answered with an error.
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// What became of the call.
    pub(super) const fn outcome(&self) -> Outcome {
        match self {
            Self::BaseUrl { .. }
            | Self::NotBundled { .. }
            | Self::Refused { status: 400..=499, .. } => Outcome::Refused,
            Self::Undecodable { .. } | Self::Disagrees { .. } => Outcome::Done,
            // Also refused with 503, which says that it may be done later.
            Self::Transport { .. } | Self::Deadline { .. } | Self::Refused { .. } => {
                Outcome::Unknown
            }
        }
    }
}

/// What became of a call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing was done.
    Refused,
    /// It was done, but not as asked.
    Done,
    /// The answer does not tell.
    Unknown,
}
