//! Why a call of the API is refused, with the status and words of the stock
//! server where it has them.

use axum::http::StatusCode;

use super::super::api::{AttributeError, ErrorBody};

/// Longest name of a proxy or toxic; names are printed and sent in paths.
pub(super) const NAME_BYTES_MAX: usize = 255;

/// An error answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("bad request body: {0}")]
    BadBody(String),
    #[error("bad request body: {0}")]
    Attribute(#[from] AttributeError),
    #[error("bad request body: toxicity must be a number from 0 to 1, got {0}")]
    Toxicity(f64),
    #[error("bad request body: a name has at most {NAME_BYTES_MAX} bytes")]
    NameTooLong,
    #[error("missing required field: {0}")]
    MissingField(String),
    #[error("proxy not found")]
    ProxyNotFound,
    #[error("proxy already exists")]
    ProxyAlreadyExists,
    #[error("stream was invalid, can be either upstream or downstream")]
    InvalidStream,
    #[error("invalid toxic type")]
    InvalidToxicType,
    #[error("toxic already exists")]
    ToxicAlreadyExists,
    #[error("toxic not found")]
    ToxicNotFound,
    #[error("at most {max} {what}")]
    TooMany { what: &'static str, max: usize },
    #[error("listen tcp {listen}: {why}")]
    CannotListen { listen: String, why: String },
    #[error("User agent not allowed")]
    Browser,
    #[error("404 page not found")]
    NoSuchPage,
    #[error("request body has more than {max_bytes} bytes or broke off")]
    BodyTooLong { max_bytes: usize },
    #[error("bad request body: not sent within {deadline_s} s")]
    BodyTooSlow { deadline_s: u64 },
    #[error("not done within {deadline_s} s; it may still be done later")]
    TooSlow { deadline_s: u64 },
    #[error("the server is ending")]
    Ending,
}

impl Refusal {
    pub(super) const fn status(&self) -> StatusCode {
        match self {
            Self::BadBody(_)
            | Self::BodyTooSlow { .. }
            | Self::Attribute(_)
            | Self::Toxicity(_)
            | Self::NameTooLong
            | Self::MissingField(_)
            | Self::InvalidStream
            | Self::InvalidToxicType
            | Self::TooMany { .. } => StatusCode::BAD_REQUEST,
            Self::Browser => StatusCode::FORBIDDEN,
            Self::ProxyNotFound | Self::ToxicNotFound | Self::NoSuchPage => StatusCode::NOT_FOUND,
            Self::ProxyAlreadyExists | Self::ToxicAlreadyExists => StatusCode::CONFLICT,
            Self::BodyTooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::CannotListen { .. } => StatusCode::INTERNAL_SERVER_ERROR,
            Self::TooSlow { .. } | Self::Ending => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    pub(super) fn body(&self) -> ErrorBody {
        ErrorBody { error: self.to_string(), status: self.status().as_u16() }
    }
}
