//! Why a call of the client failed.

use super::super::api::Millis;

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
    #[error("cannot {action}: it takes the bundled proxy server, and this is Toxiproxy {version}")]
    NotBundled {
        /// What was attempted.
        action: String,
        /// The server's version.
        version: String,
    },
    /// A stock server takes whole milliseconds only.
    #[error(
        "cannot {action}: {value} ms is not a whole number of milliseconds, and only the bundled \
         proxy server takes fractions; use it, or a latency that is whole in each direction"
    )]
    FractionalMillis {
        /// What was attempted.
        action: String,
        /// The value.
        value: Millis,
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
}
