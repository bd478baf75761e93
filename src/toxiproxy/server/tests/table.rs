//! The rows of the API: methods, paths, bodies, statuses. Runs against another
//! server, too: see `testing::URL_VARIABLE`.

use reqwest::Method;
use serde_json::json;

use super::super::super::testing::TestServer;
use super::case::Holds::{Anything, Error, Json, Nothing, Text};
use super::case::{Case, case, check_all};

const UPSTREAM: &str = r#"{"name":"c1","listen":"127.0.0.1:0","upstream":"127.0.0.1:9"}"#;

fn proxy_cases() -> Vec<Case> {
    let (get, post, patch, delete) = (Method::GET, Method::POST, Method::PATCH, Method::DELETE);
    vec![
        case(get.clone(), "/version", "", 200, Json(json!({}))),
        case(Method::HEAD, "/version", "", 405, Nothing),
        case(post.clone(), "/version", "", 405, Nothing),
        case(delete.clone(), "/proxies", "", 405, Nothing),
        case(get.clone(), "/reset", "", 405, Nothing),
        case(get.clone(), "/nowhere", "", 404, Text("404 page not found\n")),
        case(get.clone(), "/proxies/", "", 404, Text("404 page not found\n")),
        case(post.clone(), "/proxies", "null", 400, Error("missing required field: name")),
        case(
            post.clone(),
            "/proxies",
            UPSTREAM,
            201,
            Json(json!({
            "name": "c1", "upstream": "127.0.0.1:9", "enabled": true, "toxics": []})),
        ),
        case(get.clone(), "/proxies", "", 200, Json(json!({"c1": {"name": "c1", "toxics": []}}))),
        case(get.clone(), "/proxies/c1", "", 200, Json(json!({"name": "c1", "enabled": true}))),
        case(post.clone(), "/proxies", UPSTREAM, 409, Error("proxy already exists")),
        case(post.clone(), "/proxies", "{", 400, Error("bad request body: ")),
        case(post.clone(), "/proxies", "", 400, Error("bad request body: ")),
        case(post.clone(), "/proxies", r#"{"name":5}"#, 400, Error("bad request body: ")),
        case(
            post.clone(),
            "/proxies",
            r#"{"upstream":"127.0.0.1:9"}"#,
            400,
            Error("missing required field: name"),
        ),
        case(
            post.clone(),
            "/proxies",
            r#"{"name":"c2"}"#,
            400,
            Error("missing required field: upstream"),
        ),
        case(
            post.clone(),
            "/proxies",
            r#"{"name":"c2","listen":"192.0.2.1:1","upstream":"127.0.0.1:9"}"#,
            500,
            Error("listen tcp 192.0.2.1:1: "),
        ),
        case(get, "/proxies/c2", "", 404, Error("proxy not found")),
        case(
            patch.clone(),
            "/proxies/c1",
            r#"{"enabled":false}"#,
            200,
            Json(json!({"enabled": false, "upstream": "127.0.0.1:9"})),
        ),
        case(
            post.clone(),
            "/proxies/c1",
            r#"{"upstream":"127.0.0.1:10"}"#,
            200,
            Json(json!({"enabled": false, "upstream": "127.0.0.1:10"})),
        ),
        case(
            patch.clone(),
            "/proxies/c1",
            r#"{"enabled":true,"listen":"192.0.2.1:1"}"#,
            500,
            Error("listen tcp 192.0.2.1:1: "),
        ),
        case(
            patch.clone(),
            "/proxies/c1",
            r#"{"enabled":true,"listen":"127.0.0.1:0"}"#,
            200,
            Json(json!({"enabled": true, "name": "c1"})),
        ),
        case(patch.clone(), "/proxies/c1", "[", 400, Error("bad request body: ")),
        case(patch, "/proxies/nobody", "{}", 404, Error("proxy not found")),
        case(
            post.clone(),
            "/populate",
            r#"[{"name":"c3","listen":"127.0.0.1:0","upstream":"127.0.0.1:9","enabled":false}]"#,
            201,
            Json(json!({"proxies": [{"name": "c3", "enabled": false}]})),
        ),
        case(post.clone(), "/populate", "{}", 400, Anything),
        case(
            post,
            "/populate",
            r#"[{"name":"c4"}]"#,
            400,
            Json(json!({
            "error": "missing required field: upstream at proxy 1", "status": 400})),
        ),
        case(delete.clone(), "/proxies/c3", "", 204, Nothing),
        case(delete, "/proxies/c3", "", 404, Error("proxy not found")),
    ]
}

fn toxic_cases() -> Vec<Case> {
    let (get, post, patch, delete) = (Method::GET, Method::POST, Method::PATCH, Method::DELETE);
    let all = "/proxies/c1/toxics";
    let one = "/proxies/c1/toxics/latency_downstream";
    vec![
        case(get.clone(), all, "", 200, Json(json!([]))),
        case(
            post.clone(),
            all,
            r#"{"type":"latency","attributes":{"latency":20}}"#,
            200,
            Json(json!({"name": "latency_downstream", "type": "latency", "stream": "downstream",
                "attributes": {"latency": 20, "jitter": 0}})),
        ),
        case(post.clone(), all, r#"{"type":"latency"}"#, 409, Error("toxic already exists")),
        case(
            post.clone(),
            all,
            r#"{"type":"latency","stream":"upstream","toxicity":0.5,"name":"slow"}"#,
            200,
            Json(json!({"name": "slow", "stream": "upstream", "toxicity": 0.5,
                "attributes": {"latency": 0, "jitter": 0}})),
        ),
        // Names are unique over both streams.
        case(
            post.clone(),
            all,
            r#"{"type":"latency","stream":"downstream","name":"slow"}"#,
            409,
            Error("toxic already exists"),
        ),
        case(
            post.clone(),
            all,
            r#"{"type":"latency","stream":"sideways"}"#,
            400,
            Error("stream was invalid, can be either upstream or downstream"),
        ),
        case(post.clone(), all, r#"{"type":"molasses"}"#, 400, Error("invalid toxic type")),
        case(post.clone(), all, "nonsense", 400, Error("bad request body: ")),
        case(
            post.clone(),
            "/proxies/nobody/toxics",
            r#"{"type":"latency"}"#,
            404,
            Error("proxy not found"),
        ),
        case(get.clone(), "/proxies/nobody/toxics", "", 404, Error("proxy not found")),
        case(get.clone(), one, "", 200, Json(json!({"name": "latency_downstream"}))),
        case(get.clone(), "/proxies/c1/toxics/nothing", "", 404, Error("toxic not found")),
        case(
            patch.clone(),
            one,
            r#"{"attributes":{"jitter":3},"toxicity":0.25,
            "type":"timeout","stream":"upstream","name":"other"}"#,
            200,
            Json(json!({"name": "latency_downstream", "type": "latency", "stream": "downstream",
                "toxicity": 0.25, "attributes": {"latency": 20, "jitter": 3}})),
        ),
        case(
            post.clone(),
            one,
            r#"{"attributes":{"latency":40}}"#,
            200,
            Json(json!({"attributes": {"latency": 40, "jitter": 3}, "toxicity": 0.25})),
        ),
        case(patch.clone(), one, "nonsense", 400, Error("bad request body: ")),
        case(patch.clone(), "/proxies/c1/toxics/nothing", "{}", 404, Error("toxic not found")),
        case(patch, "/proxies/nobody/toxics/x", "{}", 404, Error("proxy not found")),
        case(delete.clone(), one, "", 204, Nothing),
        case(delete.clone(), one, "", 404, Error("toxic not found")),
        case(delete.clone(), "/proxies/nobody/toxics/x", "", 404, Error("proxy not found")),
        case(
            Method::PATCH,
            "/proxies/c1",
            r#"{"enabled":false}"#,
            200,
            Json(json!({"toxics": [{"name": "slow"}]})),
        ),
        case(post, "/reset", "", 204, Nothing),
        case(get.clone(), "/proxies/c1", "", 200, Json(json!({"enabled": true, "toxics": []}))),
        case(get, "/metrics", "", 404, Anything),
        case(delete, "/proxies/c1", "", 204, Nothing),
    ]
}

/// What Go's decoder accepts, and what its router makes of names.
fn decoder_cases() -> Vec<Case> {
    let (get, post, patch, delete) = (Method::GET, Method::POST, Method::PATCH, Method::DELETE);
    let folded = r#"{"Name":"d 1","LISTEN":"127.0.0.1:0","upStream":"127.0.0.1:9","Extra":[1]}"#;
    let toxic = r#"{"Type":"latency","Stream":"UPSTREAM","Name":"t","Attributes":{"LATENCY":7}}"#;
    let slash = r#"{"name":"d/2","upstream":"127.0.0.1:9","enabled":false}"#;
    vec![
        case(post.clone(), "/proxies", folded, 201, Json(json!({"name": "d 1", "enabled": true}))),
        case(get.clone(), "/proxies/d%201", "", 200, Json(json!({"name": "d 1"}))),
        case(
            post.clone(),
            "/proxies/d%201/toxics",
            toxic,
            200,
            Json(json!({
            "name": "t", "type": "latency", "attributes": {"latency": 7, "jitter": 0}})),
        ),
        case(
            patch.clone(),
            "/proxies/d%201/toxics/t",
            r#"{"Attributes":{"Jitter":2}} and more"#,
            200,
            Json(json!({"attributes": {"latency": 7, "jitter": 2}, "toxicity": 1})),
        ),
        case(
            patch.clone(),
            "/proxies/d%201/toxics/t",
            r#"{"attributes":null,"toxicity":null}"#,
            200,
            Json(json!({"attributes": {"latency": 7, "jitter": 2}, "toxicity": 1})),
        ),
        case(
            patch.clone(),
            "/proxies/d%201/toxics/t",
            r#"{"attributes":{"latency":null}}"#,
            200,
            Json(json!({"attributes": {"latency": 7, "jitter": 2}})),
        ),
        case(patch.clone(), "/proxies/d%201/toxics/t", "", 400, Error("bad request body: ")),
        case(patch.clone(), "/proxies/d%201", "", 400, Error("bad request body: ")),
        case(post.clone(), "/proxies/d%201/toxics", "", 400, Error("bad request body: ")),
        case(post.clone(), "/populate", "", 400, Anything),
        case(patch.clone(), "/proxies/d%201", "null", 200, Json(json!({"name": "d 1"}))),
        case(
            patch,
            "/proxies/d%201",
            r#"{"enabled":null,"listen":null,"upstream":null}"#,
            200,
            Json(json!({"enabled": true, "upstream": "127.0.0.1:9"})),
        ),
        case(
            post.clone(),
            "/proxies/d%201/toxics",
            r#"{"type":null}"#,
            400,
            Error("invalid toxic type"),
        ),
        case(post.clone(), "/populate", "null", 201, Anything),
        case(
            post.clone(),
            "/populate",
            "[null]",
            400,
            Json(json!({
            "error": "missing required field: name at proxy 1"})),
        ),
        case(delete.clone(), "/proxies/d%201", "", 204, Nothing),
        // The stock router cuts decoded paths, so that such a proxy is out of reach.
        case(post, "/proxies", slash, 201, Json(json!({"name": "d/2"}))),
        case(get.clone(), "/proxies/d%2F2", "", 200, Json(json!({"name": "d/2"})))
            .elsewhere(404, Text("404 page not found\n")),
        case(delete, "/proxies/d%2F2", "", 204, Nothing)
            .elsewhere(404, Text("404 page not found\n")),
        case(get, "/proxies/%FF", "", 404, Error("proxy not found")),
    ]
}

#[tokio::test]
async fn the_api_table() {
    let server = TestServer::conforming().await;
    let cases = proxy_cases().into_iter().chain(toxic_cases()).chain(decoder_cases());
    check_all(&server, cases).await;
    server.end().await;
}
