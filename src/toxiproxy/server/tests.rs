//! The server as a whole, over real sockets.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::testing::TestServer;
use super::*;

mod case;
mod conformance;
mod effects;
mod exact;
mod input;
mod load;
mod partition;
mod table;

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
    let request = case::http().post(format!("{}/populate", server.url)).body(body.to_string());
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 500);
    let answer: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert!(
        case::holds_json(&answer, &json!({"status": 500, "proxies": [{"name": "b"}]})),
        "{answer}"
    );
    assert_eq!(client.proxies().await.unwrap().keys().collect::<Vec<_>>(), ["a", "b"]);
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
    let response = case::http().get(format!("{}/metrics", server.url)).send().await.unwrap();
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
    assert!(text.contains("\n# TYPE toxiproxy_proxy_sent_bytes_total counter\n"), "{text}");
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
