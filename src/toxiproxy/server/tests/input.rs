//! Bad input: an exact error, and nothing changed.

use reqwest::Method;
use serde_json::{Value, json};

use super::super::super::api::{ProxySpec, Stream};
use super::super::super::testing::{TestServer, latency, spec};
use super::super::Options;
use super::case::Holds::{Anything, Error, Json};
use super::case::{Case, case, check_all, holds_json, http};

const ALL: &str = "/proxies/c1/toxics";
const ONE: &str = "/proxies/c1/toxics/latency_downstream";
const UPSTREAM: &str = r#"{"name":"c1","listen":"127.0.0.1:0","upstream":"127.0.0.1:9"}"#;

#[tokio::test]
async fn a_value_out_of_range_is_named_and_changes_nothing() {
    let server = TestServer::start(Options::default()).await;
    let cases = [
        case(Method::POST, "/proxies", UPSTREAM, 201, Anything),
        case(
            Method::POST,
            ALL,
            r#"{"type":"latency","attributes":{"latency":-1}}"#,
            400,
            Error("bad request body: latency must be a number of milliseconds from 0 to 3600000"),
        ),
        case(Method::GET, ALL, "", 200, Json(json!([]))),
        case(
            Method::POST,
            ALL,
            r#"{"type":"latency","attributes":{"latency":0.5}}"#,
            200,
            Json(json!({"attributes": {"latency": 0.5}})),
        ),
        case(
            Method::PATCH,
            ONE,
            r#"{"toxicity":0,"attributes":{"latency":"9"}}"#,
            400,
            Error("bad request body: latency must be"),
        ),
        case(
            Method::PATCH,
            ONE,
            r#"{"attributes":{"latency":9},"toxicity":1.5}"#,
            400,
            Error("bad request body: toxicity must be a number from 0 to 1"),
        ),
        case(
            Method::GET,
            ONE,
            "",
            200,
            Json(json!({"attributes": {"latency": 0.5}, "toxicity": 1})),
        ),
    ];
    check_all(&server, cases).await;
    server.end().await;
}

/// Type, an attribute, values that it cannot have, and what the refusal says.
const ATTRIBUTES: [(&str, &str, &[&str], &str); 16] = [
    (
        "latency",
        "latency",
        &["-1", "3600001", "1e300", "\"5\"", "true", "[]", "{}"],
        "latency must be a number of milliseconds from 0 to 3600000, got ",
    ),
    (
        "latency",
        "jitter",
        &["-0.5", "\"NaN\"", "9e9"],
        "jitter must be a number of milliseconds from 0 to 3600000, got ",
    ),
    ("latency", "jitter", &["1"], "jitter must be a number from 0 to latency, 0 here, got 1"),
    (
        "bandwidth",
        "rate",
        &["-1", "1000000001", "1e308", "\"1\"", "false"],
        "rate must be a number of KB/s (1000 bytes) from 0 to 1000000000, got ",
    ),
    ("bandwidth", "scope", &["\"universe\"", "5"], "scope must be "),
    ("bandwidth", "bucket", &["5", "{}"], "bucket must be a string, got "),
    (
        "slow_close",
        "delay",
        &["-1", "3600001", "\"1\""],
        "delay must be a number of milliseconds from 0 to 3600000, got ",
    ),
    (
        "timeout",
        "timeout",
        &["-1", "18446744073709551616"],
        "timeout must be a number of milliseconds from 0 to 3600000, got ",
    ),
    (
        "reset_peer",
        "timeout",
        &["-1", "\"never\""],
        "timeout must be a number of milliseconds from 0 to 3600000, got ",
    ),
    (
        "slicer",
        "average_size",
        &["0", "-1", "1.5", "1e300", "\"1\""],
        "average_size must be an integer from 1 to 9007199254740992, got ",
    ),
    (
        "limit_data",
        "bytes",
        &["-1", "0.5", "9007199254740993", "\"1\"", "1e300"],
        "bytes must be an integer from 0 to 9007199254740992, got ",
    ),
    (
        "cut_after",
        "bytes",
        &["-1", "1e17"],
        "bytes must be an integer from 0 to 9007199254740992, got ",
    ),
    (
        "slow_connect",
        "delay",
        &["-1", "1e10"],
        "delay must be a number of milliseconds from 0 to 3600000, got ",
    ),
    ("corrupt", "bit", &["8", "-1", "0.5"], "bit must be an integer from 0 to 7, got "),
    (
        "corrupt",
        "byte",
        &["-1", "\"0\""],
        "byte must be an integer from 0 to 9007199254740992, got ",
    ),
    ("stall", "speed", &["1"], "stall has no attribute \"speed\"; it has none"),
];

#[tokio::test]
async fn every_attribute_names_its_range_and_the_toxic_is_not_there() {
    let server = TestServer::start(Options::default()).await;
    check_all(&server, [case(Method::POST, "/proxies", UPSTREAM, 201, Anything)]).await;
    for (kind, field, values, refusal) in ATTRIBUTES {
        for value in values {
            let body = format!(r#"{{"type":"{kind}","attributes":{{"{field}":{value}}}}}"#);
            let request = http().post(format!("{}{ALL}", server.url)).body(body.clone());
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), 400, "{body}");
            let answer: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
            let text = answer["error"].as_str().unwrap();
            assert!(text.starts_with(&format!("bad request body: {refusal}")), "{body}: {text}");
        }
    }
    assert!(server.client.toxics("c1").await.unwrap().is_empty());
    server.end().await;
}

#[tokio::test]
async fn what_is_no_json_number_or_no_toxic_is_refused() {
    let server = TestServer::start(Options::default()).await;
    let bad = |body: &str, error: &'static str| case(Method::POST, ALL, body, 400, Error(error));
    let syntax = "bad request body: ";
    let cases = [
        case(Method::POST, "/proxies", UPSTREAM, 201, Anything),
        bad(r#"{"type":"latency","attributes":{"latency":1e999}}"#, syntax),
        bad(r#"{"type":"latency","attributes":{"latency":NaN}}"#, syntax),
        bad(r#"{"type":"latency","attributes":{"latency":Infinity}}"#, syntax),
        bad(r#"{"type":"latency","attributes":{"latency":01}}"#, syntax),
        bad(r#"{"type":"latency","attributes":5}"#, syntax),
        bad(r#"{"type":5}"#, syntax),
        bad(r#"{"type":"latency","toxicity":"1"}"#, syntax),
        bad(r#"{"type":"latency","toxicity":-0.1}"#, "bad request body: toxicity must be"),
        bad(r#"{"type":"latency","toxicity":1.01}"#, "bad request body: toxicity must be"),
        bad(
            r#"{"type":"latency","attributes":{"latancy":1}}"#,
            "bad request body: latency has no attribute \"latancy\"; it has latency, jitter",
        ),
        bad(r#"{"type":"slicer"}"#, "bad request body: average_size must be"),
        bad(
            r#"{"type":"slicer","attributes":{"average_size":5,"size_variation":5}}"#,
            "bad request body: size_variation must be an integer from 0 to 4, got 5",
        ),
        bad(
            r#"{"type":"bandwidth","attributes":{"scope":"connection","bucket":"b"}}"#,
            "bad request body: bucket must be absent",
        ),
        bad(r#"{"type":"Latency"}"#, "invalid toxic type"),
        bad(r#"{"type":""}"#, "invalid toxic type"),
        bad(r#"{}"#, "invalid toxic type"),
        bad(r#"{"type":"latency","stream":"both"}"#, "stream was invalid"),
        bad(r#"{"type":"latency","stream":""}"#, "stream was invalid"),
        case(Method::GET, ALL, "", 200, Json(json!([]))),
    ];
    check_all(&server, cases).await;
    for length in [256, 60_000] {
        let body = json!({"type": "latency", "name": "n".repeat(length)}).to_string();
        check_all(&server, [bad(&body, "bad request body: a name has at most 255 bytes")]).await;
        let body = json!({"name": "n".repeat(length), "upstream": "x:1"}).to_string();
        let error = Error("bad request body: a name has at most 255 bytes");
        check_all(&server, [case(Method::POST, "/proxies", &body, 400, error)]).await;
    }
    server.end().await;
}

/// One of two values is wrong: neither changes.
fn half_wrong_updates() -> Vec<Case> {
    let refused =
        |body: &str, error: &'static str| case(Method::PATCH, ONE, body, 400, Error(error));
    vec![
        case(Method::POST, "/proxies", UPSTREAM, 201, Anything),
        case(
            Method::POST,
            ALL,
            r#"{"type":"latency","attributes":{"latency":9,"jitter":3}}"#,
            200,
            Anything,
        ),
        refused(r#"{"attributes":{"latency":5,"jitter":-1}}"#, "bad request body: jitter must"),
        refused(r#"{"attributes":{"latency":2}}"#, "bad request body: jitter must"),
        refused(r#"{"attributes":{"latency":5},"toxicity":2}"#, "bad request body: toxicity"),
        refused(r#"{"attributes":{"latency":-5},"toxicity":0}"#, "bad request body: latency must"),
        refused(
            r#"{"attributes":{"latency":5,"rate":1},"toxicity":0}"#,
            "bad request body: latency has no attribute \"rate\"",
        ),
        case(
            Method::GET,
            ONE,
            "",
            200,
            Json(json!({"attributes": {"latency": 9, "jitter": 3}, "toxicity": 1})),
        ),
        case(
            Method::PATCH,
            "/proxies/c1",
            r#"{"upstream":"","enabled":false}"#,
            400,
            Error("missing required field: upstream"),
        ),
        case(Method::PATCH, "/proxies/c1", r#"{"enabled":"no"}"#, 400, Error("bad request body")),
        case(
            Method::GET,
            "/proxies/c1",
            "",
            200,
            Json(json!({"enabled": true, "upstream": "127.0.0.1:9"})),
        ),
    ]
}

#[tokio::test]
async fn an_update_is_whole_or_not_at_all() {
    let server = TestServer::start(Options::default()).await;
    check_all(&server, half_wrong_updates()).await;
    server.end().await;
}

#[tokio::test]
async fn names_and_addresses_are_taken_once() {
    let server = TestServer::start(Options::default()).await;
    let client = &server.client;
    let nowhere = "127.0.0.1:9".parse().unwrap();
    let first = client.create(&spec("a", &nowhere)).await.unwrap();
    let error = client.create(&spec("a", &nowhere)).await.unwrap_err();
    assert_eq!(error.status(), Some(409), "{error}");

    let same_address = ProxySpec { listen: first.listen.clone(), ..spec("b", &nowhere) };
    let error = client.create(&same_address).await.unwrap_err();
    assert_eq!(error.status(), Some(500));
    let text = error.to_string();
    assert!(text.contains(&format!("listen tcp {}: ", first.listen)), "{text}");
    assert!(text.to_lowercase().contains("address already in use"), "{text}");
    // Disabled it needs no address yet.
    let disabled = ProxySpec { enabled: Some(false), ..same_address };
    assert!(!client.create(&disabled).await.unwrap().enabled);
    let names: Vec<_> = client.proxies().await.unwrap().into_keys().collect();
    assert_eq!(names, ["a", "b"]);

    client.add_toxic("a", &latency(Stream::Upstream, 1_000)).await.unwrap();
    let again = client.add_toxic("a", &latency(Stream::Upstream, 2_000)).await.unwrap_err();
    assert_eq!(again.status(), Some(409));
    assert_eq!(client.toxics("a").await.unwrap(), [latency(Stream::Upstream, 1_000)]);

    // Of two of one name the later one replaces the earlier, as in the stock server.
    let body = json!([
        {"name": "t", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9"},
        {"name": "t", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:10"},
    ]);
    let request = http().post(format!("{}/populate", server.url)).body(body.to_string());
    let answer: Value =
        serde_json::from_str(&request.send().await.unwrap().text().await.unwrap()).unwrap();
    let last = json!({"name": "t", "upstream": "127.0.0.1:10"});
    assert!(holds_json(&answer["proxies"][1], &last), "{answer}");
    assert_eq!(client.get("t").await.unwrap().upstream, "127.0.0.1:10");
    server.end().await;
}
