//! One case of the API: a request, and what its answer must be.

use reqwest::{Client, Method};
use serde_json::Value;

use super::super::super::testing::TestServer;

/// What an answer must hold.
pub(super) enum Holds {
    /// No body.
    Nothing,
    /// At least these members and elements.
    Json(Value),
    /// An error body whose text begins so, with the status, as `text/plain`.
    Error(&'static str),
    /// This text.
    Text(&'static str),
    /// Any body.
    Anything,
}
use Holds::{Anything, Error, Json, Nothing, Text};

pub(super) struct Case {
    method: Method,
    path: &'static str,
    body: String,
    status: u16,
    holds: Holds,
    elsewhere: Option<(u16, Holds)>,
}

pub(super) fn case(
    method: Method,
    path: &'static str,
    body: &str,
    status: u16,
    holds: Holds,
) -> Case {
    Case { method, path, body: body.to_owned(), status, holds, elsewhere: None }
}

impl Case {
    /// What the stock server answers, where that is known to differ.
    pub(super) fn elsewhere(self, status: u16, holds: Holds) -> Self {
        Self { elsewhere: Some((status, holds)), ..self }
    }
}

pub(super) fn http() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

/// Makes the requests in order and checks each answer.
pub(super) async fn check_all(server: &TestServer, cases: impl IntoIterator<Item = Case>) {
    let http = http();
    for case in cases {
        check(&http, server, case).await;
    }
}

async fn check(http: &Client, server: &TestServer, case: Case) {
    let Case { method, path, body, mut status, mut holds, elsewhere } = case;
    if let (false, Some(other)) = (server.is_bundled, elsewhere) {
        (status, holds) = other;
    }
    let what = format!("{method} {path} {body}");
    let request = http.request(method, format!("{}{path}", server.url)).body(body);
    let response = request.send().await.unwrap();
    let headers = response.headers().clone();
    let (answered, text) = (response.status().as_u16(), response.text().await.unwrap());
    assert_eq!(answered, status, "{what}: {text}");
    match holds {
        Anything => {}
        Nothing => assert_eq!(text, "", "{what}"),
        Text(expected) => assert_eq!(text, expected, "{what}"),
        Json(expected) => {
            let found: Value = serde_json::from_str(&text).unwrap();
            assert!(holds_json(&found, &expected), "{what}: {text}");
            let kind = headers["content-type"].to_str().unwrap();
            assert!(kind.starts_with("application/json"), "{what}: {kind}");
        }
        Error(begin) => {
            let error: Value = serde_json::from_str(&text).unwrap();
            assert!(error["error"].as_str().unwrap().starts_with(begin), "{what}: {text}");
            assert_eq!(error["status"], status, "{what}");
            let kind = headers["content-type"].to_str().unwrap();
            assert!(kind.starts_with("text/plain"), "{what}: {kind}");
        }
    }
}

pub(super) fn holds_json(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => expected
            .iter()
            .all(|(key, value)| found.get(key).is_some_and(|found| holds_json(found, value))),
        (Value::Array(found), Value::Array(expected)) => {
            found.len() == expected.len()
                && found.iter().zip(expected).all(|(found, value)| holds_json(found, value))
        }
        (Value::Number(found), Value::Number(expected)) => found.as_f64() == expected.as_f64(),
        _ => found == expected,
    }
}
