//! The API, case by case. `DROPBED_TOXIPROXY_URL` runs the same table against
//! another server, a stock one for instance; it must have no proxies that matter.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::testing::TestServer;
use super::*;

/// What an answer must hold.
enum Holds {
    /// No body.
    Nothing,
    /// At least these members and elements.
    Json(Value),
    /// An error body whose text begins so, with the status, as `text/plain`.
    Error(&'static str),
    /// Any body.
    Anything,
}
use Holds::{Anything, Error, Json, Nothing};

struct Case(Method, &'static str, &'static str, u16, Holds);

const UPSTREAM: &str = r#"{"name":"c1","listen":"127.0.0.1:0","upstream":"127.0.0.1:9"}"#;

fn proxy_cases() -> Vec<Case> {
    let (get, post, patch, delete) = (Method::GET, Method::POST, Method::PATCH, Method::DELETE);
    vec![
        Case(get.clone(), "/version", "", 200, Json(json!({}))),
        Case(
            post.clone(),
            "/proxies",
            UPSTREAM,
            201,
            Json(json!({
            "name": "c1", "upstream": "127.0.0.1:9", "enabled": true, "toxics": []})),
        ),
        Case(get.clone(), "/proxies", "", 200, Json(json!({"c1": {"name": "c1", "toxics": []}}))),
        Case(get.clone(), "/proxies/c1", "", 200, Json(json!({"name": "c1", "enabled": true}))),
        Case(post.clone(), "/proxies", UPSTREAM, 409, Error("proxy already exists")),
        Case(post.clone(), "/proxies", "{", 400, Error("bad request body: ")),
        Case(post.clone(), "/proxies", "", 400, Error("bad request body: ")),
        Case(post.clone(), "/proxies", r#"{"name":5}"#, 400, Error("bad request body: ")),
        Case(
            post.clone(),
            "/proxies",
            r#"{"upstream":"127.0.0.1:9"}"#,
            400,
            Error("missing required field: name"),
        ),
        Case(
            post.clone(),
            "/proxies",
            r#"{"name":"c2"}"#,
            400,
            Error("missing required field: upstream"),
        ),
        Case(
            post.clone(),
            "/proxies",
            r#"{"name":"c2","listen":"192.0.2.1:1","upstream":"127.0.0.1:9"}"#,
            500,
            Error("listen tcp 192.0.2.1:1: "),
        ),
        Case(get, "/proxies/c2", "", 404, Error("proxy not found")),
        Case(
            patch.clone(),
            "/proxies/c1",
            r#"{"enabled":false}"#,
            200,
            Json(json!({"enabled": false, "upstream": "127.0.0.1:9"})),
        ),
        Case(
            post.clone(),
            "/proxies/c1",
            r#"{"upstream":"127.0.0.1:10"}"#,
            200,
            Json(json!({"enabled": false, "upstream": "127.0.0.1:10"})),
        ),
        Case(
            patch.clone(),
            "/proxies/c1",
            r#"{"enabled":true,"listen":"192.0.2.1:1"}"#,
            500,
            Error("listen tcp 192.0.2.1:1: "),
        ),
        Case(
            patch.clone(),
            "/proxies/c1",
            r#"{"enabled":true,"listen":"127.0.0.1:0"}"#,
            200,
            Json(json!({"enabled": true, "name": "c1"})),
        ),
        Case(patch.clone(), "/proxies/c1", "[", 400, Error("bad request body: ")),
        Case(patch, "/proxies/nobody", "{}", 404, Error("proxy not found")),
        Case(
            post.clone(),
            "/populate",
            r#"[{"name":"c3","listen":"127.0.0.1:0","upstream":"127.0.0.1:9","enabled":false}]"#,
            201,
            Json(json!({"proxies": [{"name": "c3", "enabled": false}]})),
        ),
        Case(post.clone(), "/populate", "{}", 400, Anything),
        Case(
            post,
            "/populate",
            r#"[{"name":"c4"}]"#,
            400,
            Json(json!({
            "error": "missing required field: upstream at proxy 1", "status": 400})),
        ),
        Case(delete.clone(), "/proxies/c3", "", 204, Nothing),
        Case(delete, "/proxies/c3", "", 404, Error("proxy not found")),
    ]
}

fn toxic_cases() -> Vec<Case> {
    let (get, post, patch, delete) = (Method::GET, Method::POST, Method::PATCH, Method::DELETE);
    let all = "/proxies/c1/toxics";
    let one = "/proxies/c1/toxics/latency_downstream";
    vec![
        Case(get.clone(), all, "", 200, Json(json!([]))),
        Case(
            post.clone(),
            all,
            r#"{"type":"latency","attributes":{"latency":20}}"#,
            200,
            Json(json!({"name": "latency_downstream", "type": "latency", "stream": "downstream",
                "attributes": {"latency": 20, "jitter": 0}})),
        ),
        Case(post.clone(), all, r#"{"type":"latency"}"#, 409, Error("toxic already exists")),
        Case(
            post.clone(),
            all,
            r#"{"type":"latency","stream":"upstream","toxicity":0.5,"name":"slow"}"#,
            200,
            Json(json!({"name": "slow", "stream": "upstream", "toxicity": 0.5,
                "attributes": {"latency": 0, "jitter": 0}})),
        ),
        // Names are unique over both streams.
        Case(
            post.clone(),
            all,
            r#"{"type":"latency","stream":"downstream","name":"slow"}"#,
            409,
            Error("toxic already exists"),
        ),
        Case(
            post.clone(),
            all,
            r#"{"type":"latency","stream":"sideways"}"#,
            400,
            Error("stream was invalid, can be either upstream or downstream"),
        ),
        Case(post.clone(), all, r#"{"type":"molasses"}"#, 400, Error("invalid toxic type")),
        Case(post.clone(), all, "nonsense", 400, Error("bad request body: ")),
        Case(
            post.clone(),
            "/proxies/nobody/toxics",
            r#"{"type":"latency"}"#,
            404,
            Error("proxy not found"),
        ),
        Case(get.clone(), "/proxies/nobody/toxics", "", 404, Error("proxy not found")),
        Case(get.clone(), one, "", 200, Json(json!({"name": "latency_downstream"}))),
        Case(get.clone(), "/proxies/c1/toxics/nothing", "", 404, Error("toxic not found")),
        Case(
            patch.clone(),
            one,
            r#"{"attributes":{"jitter":3},"toxicity":0.25,
            "type":"timeout","stream":"upstream","name":"other"}"#,
            200,
            Json(json!({"name": "latency_downstream", "type": "latency", "stream": "downstream",
                "toxicity": 0.25, "attributes": {"latency": 20, "jitter": 3}})),
        ),
        Case(
            post.clone(),
            one,
            r#"{"attributes":{"latency":40}}"#,
            200,
            Json(json!({"attributes": {"latency": 40, "jitter": 3}, "toxicity": 0.25})),
        ),
        Case(patch.clone(), one, "nonsense", 400, Error("bad request body: ")),
        Case(patch.clone(), "/proxies/c1/toxics/nothing", "{}", 404, Error("toxic not found")),
        Case(patch, "/proxies/nobody/toxics/x", "{}", 404, Error("proxy not found")),
        Case(delete.clone(), one, "", 204, Nothing),
        Case(delete.clone(), one, "", 404, Error("toxic not found")),
        Case(delete.clone(), "/proxies/nobody/toxics/x", "", 404, Error("proxy not found")),
        Case(
            Method::PATCH,
            "/proxies/c1",
            r#"{"enabled":false}"#,
            200,
            Json(json!({"toxics": [{"name": "slow"}]})),
        ),
        Case(post, "/reset", "", 204, Nothing),
        Case(get.clone(), "/proxies/c1", "", 200, Json(json!({"enabled": true, "toxics": []}))),
        Case(get, "/metrics", "", 404, Anything),
        Case(delete, "/proxies/c1", "", 204, Nothing),
    ]
}

#[tokio::test]
async fn the_api_table() {
    let (url, own) = match std::env::var("DROPBED_TOXIPROXY_URL") {
        Ok(url) => (url, None),
        Err(_) => {
            let server = TestServer::start(Options::default()).await;
            (server.url.clone(), Some(server))
        }
    };
    let http = http();
    for case in proxy_cases().into_iter().chain(toxic_cases()) {
        check(&http, &url, case).await;
    }
    if let Some(server) = own {
        server.end().await;
    }
}

fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

async fn check(http: &reqwest::Client, url: &str, case: Case) {
    let Case(method, path, body, status, holds) = case;
    let what = format!("{method} {path} {body}");
    let request = http.request(method, format!("{url}{path}")).body(body);
    let response = request.send().await.unwrap();
    let headers = response.headers().clone();
    let (answered, text) = (response.status().as_u16(), response.text().await.unwrap());
    assert_eq!(answered, status, "{what}: {text}");
    match holds {
        Anything => {}
        Nothing => assert_eq!(text, "", "{what}"),
        Json(expected) => {
            assert!(holds_json(&serde_json::from_str(&text).unwrap(), &expected), "{what}: {text}");
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

fn holds_json(found: &Value, expected: &Value) -> bool {
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

#[tokio::test]
async fn a_value_out_of_range_is_named_and_changes_nothing() {
    let server = TestServer::start(Options::default()).await;
    let http = http();
    let all = "/proxies/c1/toxics";
    let one = "/proxies/c1/toxics/latency_downstream";
    for case in [
        Case(Method::POST, "/proxies", UPSTREAM, 201, Anything),
        Case(
            Method::POST,
            all,
            r#"{"type":"latency","attributes":{"latency":-1}}"#,
            400,
            Error("bad request body: latency must be a number of milliseconds from 0 to 3600000"),
        ),
        Case(Method::GET, all, "", 200, Json(json!([]))),
        Case(
            Method::POST,
            all,
            r#"{"type":"latency","attributes":{"latency":0.5}}"#,
            200,
            Json(json!({"attributes": {"latency": 0.5}})),
        ),
        Case(
            Method::PATCH,
            one,
            r#"{"toxicity":0,"attributes":{"latency":"9"}}"#,
            400,
            Error("bad request body: latency must be"),
        ),
        Case(
            Method::PATCH,
            one,
            r#"{"attributes":{"latency":9},"toxicity":1.5}"#,
            400,
            Error("bad request body: toxicity must be a number from 0 to 1"),
        ),
        Case(
            Method::GET,
            one,
            "",
            200,
            Json(json!({"attributes": {"latency": 0.5}, "toxicity": 1})),
        ),
        Case(Method::GET, "/nowhere", "", 404, Error("page not found")),
    ] {
        check(&http, &server.url, case).await;
    }
    server.end().await;
}

#[tokio::test]
async fn populate_leaves_alone_replaces_and_stops_at_the_first_error() {
    let server = TestServer::start(Options::default()).await;
    let client = &server.client;
    let toxic = super::super::testing::latency(super::super::api::Stream::Upstream, 1_000);
    let spec = |name: &str, listen: &str, upstream: &str| ProxySpec {
        name: name.to_owned(),
        listen: listen.to_owned(),
        upstream: upstream.to_owned(),
        enabled: None,
    };
    let first = client.populate(&[spec("a", "127.0.0.1:0", "127.0.0.1:9")]).await.unwrap();
    client.add_toxic("a", &toxic).await.unwrap();
    let same = client.populate(&[spec("a", &first[0].listen, "127.0.0.1:9")]).await.unwrap();
    assert_eq!(same[0].toxics, [toxic], "an identical proxy keeps its toxics");
    let other = client.populate(&[spec("a", &first[0].listen, "127.0.0.1:10")]).await.unwrap();
    assert_eq!((other[0].toxics.len(), &other[0].listen), (0, &first[0].listen));
    let body = json!([
        {"name": "b", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9"},
        {"name": "c", "listen": "192.0.2.1:1", "upstream": "127.0.0.1:9"},
        {"name": "d", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9"},
    ]);
    let request = http().post(format!("{}/populate", server.url)).body(body.to_string());
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 500);
    let answer: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert!(holds_json(&answer, &json!({"status": 500, "proxies": [{"name": "b"}]})), "{answer}");
    assert_eq!(client.proxies().await.unwrap().keys().collect::<Vec<_>>(), ["a", "b"]);
    server.end().await;
}

#[tokio::test]
async fn browsers_are_kept_out() {
    let server = TestServer::start(Options::default()).await;
    let request = http().get(format!("{}/proxies", server.url)).header("User-Agent", "Mozilla/5.0");
    assert_eq!(request.send().await.unwrap().status(), 403);
    server.end().await;
}

#[tokio::test]
async fn metrics_show_what_was_asked_for() {
    let metrics = MetricsOptions { proxies: true, runtime: true };
    let server = TestServer::start(Options { metrics, ..Options::default() }).await;
    let (mut client, mut upstream) = server.connection(&[]).await;
    client.write_all(b"seven b").await.unwrap();
    client.shutdown().await.unwrap();
    upstream.read_to_end(&mut Vec::new()).await.unwrap();
    let proxy = server.client.get("p").await.unwrap();
    let response = http().get(format!("{}/metrics", server.url)).send().await.unwrap();
    let text = response.text().await.unwrap();
    for metric in ["received", "sent"] {
        let line = format!(
            "toxiproxy_proxy_{metric}_bytes_total{{direction=\"upstream\",listener=\"{}\",\
             proxy=\"p\",upstream=\"{}\"}} 7\n",
            proxy.listen, proxy.upstream
        );
        assert!(text.contains(&line), "{text}");
    }
    assert!(text.contains("\nprocess_open_fds "), "{text}");
    server.end().await;
}

#[tokio::test]
async fn configured_proxies_are_there_or_the_server_is_not() {
    let spec = |listen: &str| ProxySpec {
        name: "a".to_owned(),
        listen: listen.to_owned(),
        upstream: "127.0.0.1:9".to_owned(),
        enabled: None,
    };
    let proxies = vec![spec("127.0.0.1:0")];
    let server = TestServer::start(Options { proxies, ..Options::default() }).await;
    assert!(server.client.get("a").await.unwrap().enabled);
    server.end().await;

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = Options { proxies: vec![spec("192.0.2.1:1")], ..Options::default() };
    let error = serve(listener, options, std::future::pending()).await.unwrap_err();
    assert!(error.to_string().contains("192.0.2.1:1"), "{error}");
}

#[tokio::test]
async fn ending_closes_proxies_and_connections() {
    let server = TestServer::start(Options::default()).await;
    let (mut client, _upstream) = server.connection(&[]).await;
    let listen = server.client.get("p").await.unwrap().listen;
    server.end().await;
    assert!(client.read_u8().await.is_err());
    tokio::net::TcpStream::connect(&listen).await.unwrap_err();
}
