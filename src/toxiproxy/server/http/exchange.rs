//! What a request holds, and what an answer looks like.

use std::time::Duration;

use axum::body::{HttpBody as _, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::time::timeout;

use super::super::json::Input;
use super::super::refusal::Refusal;

/// A request's body is there within this; the stock server's value.
const BODY_DEADLINE: Duration = Duration::from_secs(15);

/// Of a handler.
pub(super) type Answer = Result<Response, Refusal>;

/// The names in a path. What is no text is the name of nothing.
pub(super) struct Names<const N: usize>(pub(super) [String; N]);

impl<const N: usize, S: Send + Sync> FromRequestParts<S> for Names<N> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let names = Path::<Vec<String>>::from_request_parts(parts, state).await;
        let names = names.map_err(|_| Refusal::ProxyNotFound)?.0;
        names.try_into().map(Self).map_err(|_| Refusal::NoSuchPage)
    }
}

/// A JSON body, whatever its content type says.
pub(super) struct Body<T>(pub(super) T);

impl<T: Input, S: Sync> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Refusal> {
        let too_long = || Refusal::BodyTooLong { max_bytes: T::BYTES_MAX };
        let body = request.into_body();
        if body.size_hint().lower() > T::BYTES_MAX as u64 {
            return Err(too_long());
        }
        let bytes = match timeout(BODY_DEADLINE, to_bytes(body, T::BYTES_MAX)).await {
            Ok(bytes) => bytes.map_err(|_| too_long())?,
            Err(_) => return Err(Refusal::BodyTooSlow { deadline_s: BODY_DEADLINE.as_secs() }),
        };
        T::read(&bytes).map(Self).map_err(|e| Refusal::BadBody(e.to_string()))
    }
}

pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Answer {
    let text = serde_json::to_vec(body).map_err(|e| Refusal::BadBody(e.to_string()))?;
    Ok((status, [(header::CONTENT_TYPE, "application/json")], text).into_response())
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut text = match &self {
            // Those that the stock server's libraries write.
            Self::Browser | Self::NoSuchPage => self.to_string(),
            _ => {
                let body = self.body();
                serde_json::json!({ "error": body.error, "status": body.status }).to_string()
            }
        };
        text.push('\n');
        let kind = [
            (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        let mut response = (self.status(), kind, text).into_response();
        end_unread(&self, &mut response);
        response
    }
}

/// A connection is of no more use when a body on it was not read to its end.
pub(super) fn end_unread(refusal: &Refusal, answer: &mut Response) {
    if let Refusal::BodyTooLong { .. } | Refusal::BodyTooSlow { .. } = refusal {
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
}
