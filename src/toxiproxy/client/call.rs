//! One HTTP exchange.

use std::error::Error;

use reqwest::{Method, StatusCode, Url, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::super::api::ErrorBody;
use super::{Client, ClientError};

/// Longest answer: thousands of proxies with their toxics.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How much of an answer that is not understood is shown.
const EXCERPT_CHARS: usize = 200;

/// A call that is being put together.
pub(super) struct Call<'a> {
    client: &'a Client,
    action: &'a str,
    method: Method,
    url: Url,
    body: Option<serde_json::Result<Vec<u8>>>,
}

impl Client {
    /// `path` as segments, which are escaped here.
    pub(super) fn call<'a>(&'a self, action: &'a str, method: Method, path: &[&str]) -> Call<'a> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        Call { client: self, action, method, url, body: None }
    }
}

impl Call<'_> {
    pub(super) fn body(mut self, body: &impl Serialize) -> Self {
        self.body = Some(serde_json::to_vec(body));
        self
    }

    /// Makes the call; any status but `success` is an error.
    pub(super) async fn expect_json<T: DeserializeOwned>(
        self,
        success: StatusCode,
    ) -> Result<T, ClientError> {
        let action = self.action.to_owned();
        let answer = self.exchange(success).await?;
        serde_json::from_slice(&answer).map_err(|e| ClientError::Undecodable {
            action,
            why: e.to_string(),
            excerpt: excerpt(&answer),
        })
    }

    /// The same for an answer without a body.
    pub(super) async fn expect_nothing(self, success: StatusCode) -> Result<(), ClientError> {
        self.exchange(success).await.map(drop)
    }

    async fn exchange(self, success: StatusCode) -> Result<Vec<u8>, ClientError> {
        let Self { client, action, method, url, body } = self;
        let (action, base) = (action.to_owned(), client.base.to_string());
        let mut request = client.http.request(method, url);
        if let Some(body) = body {
            let body = body.map_err(|e| ClientError::Transport {
                action: action.clone(),
                base: base.clone(),
                why: e.to_string(),
            })?;
            request = request.header(header::CONTENT_TYPE, "application/json").body(body);
        }
        let (status, answer) = match timeout(client.deadline, answer(request)).await {
            Ok(Ok(answered)) => answered,
            Ok(Err(why)) => return Err(ClientError::Transport { action, base, why }),
            Err(_) => {
                let deadline_ms = client.deadline.as_millis();
                return Err(ClientError::Deadline { action, base, deadline_ms });
            }
        };
        if status == success {
            return Ok(answer);
        }
        let told = serde_json::from_slice::<ErrorBody>(&answer);
        let message = told.map_or_else(|_| excerpt(&answer), |told| told.error);
        Err(ClientError::Refused { action, status: status.as_u16(), message })
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Result<(StatusCode, Vec<u8>), String> {
    let mut response = request.send().await.map_err(|e| with_causes(&e))?;
    let mut answer = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| with_causes(&e))? {
        if answer.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(format!("the answer has more than {ANSWER_BYTES_MAX} bytes"));
        }
        answer.extend_from_slice(&chunk);
    }
    Ok((response.status(), answer))
}

/// reqwest's own text leaves out why: "connection refused" is two causes down.
fn with_causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn excerpt(answer: &[u8]) -> String {
    String::from_utf8_lossy(answer).trim().chars().take(EXCERPT_CHARS).collect()
}
