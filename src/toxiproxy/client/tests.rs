use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::super::api::{Millis, Stream, VERSION};
use super::super::server::Options;
use super::super::testing::{TestServer, latency, spec};
use super::*;

fn nowhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9))
}

#[tokio::test]
async fn every_call_against_the_bundled_server() {
    let server = TestServer::start(Options::default()).await;
    let client = &server.client;
    assert_eq!(client.version().await.unwrap().text, VERSION);
    assert!(client.version().await.unwrap().is_bundled);

    let (asked, toxics) = (spec("a:b", &nowhere()), [latency(Stream::Upstream, 500)]);
    let made = client.create_shaped(&asked, &toxics).await.unwrap();
    assert!(made.enabled && !made.listen.ends_with(":0"));
    assert_eq!(client.get("a:b").await.unwrap(), made);
    assert_eq!(client.proxies().await.unwrap()["a:b"], made);

    let toxic = latency(Stream::Downstream, 1_250);
    assert_eq!(client.add_toxic("a:b", &toxic).await.unwrap(), toxic);
    assert_eq!(client.toxics("a:b").await.unwrap(), [latency(Stream::Upstream, 500), toxic]);
    let slower = Toxic { toxicity: 0.3, ..latency(Stream::Downstream, 2_000) };
    assert_eq!(client.update_toxic("a:b", &slower).await.unwrap(), slower);
    assert_eq!(client.remove_toxic_surely("a:b", &slower).await.unwrap(), Removal::Removed);
    assert_eq!(client.remove_toxic_surely("a:b", &slower).await.unwrap(), Removal::Removed);
    client.reset().await.unwrap();
    assert_eq!(client.toxics("a:b").await.unwrap(), []);

    let populated = client.populate(&[spec("x/y z", &nowhere())]).await.unwrap();
    assert_eq!(client.get("x/y z").await.unwrap(), populated[0]);
    client.delete("x/y z").await.unwrap();
    assert_eq!(client.delete("x/y z").await.unwrap_err().status(), Some(404));
    assert_eq!(client.counters().await.unwrap().keys().collect::<Vec<_>>(), ["a:b"]);
    server.end().await;
}

#[tokio::test]
async fn a_refusal_says_what_where_and_why() {
    let server = TestServer::start(Options::default()).await;
    let text = server.client.get("nobody").await.unwrap_err().to_string();
    assert_eq!(
        text,
        r#"cannot show proxy "nobody": the proxy server answers 404: proxy not found"#
    );
    server.end().await;
}

#[tokio::test]
async fn a_failed_shaping_leaves_no_proxy() {
    let server = TestServer::start(Options::default()).await;
    let twice = [latency(Stream::Upstream, 1), latency(Stream::Upstream, 2)];
    let error = server.client.create_shaped(&spec("p", &nowhere()), &twice).await.unwrap_err();
    assert_eq!(error.status(), Some(409));
    assert_eq!(server.client.proxies().await.unwrap().len(), 0);
    server.end().await;
}

#[tokio::test]
async fn nobody_there() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = Client::new(&url).unwrap().reset().await.unwrap_err();
    assert!(matches!(error, ClientError::Transport { .. }));
    assert!(error.to_string().to_lowercase().contains("connection refused"), "{error}");
    assert!(matches!(Client::new("localhost:8474"), Err(ClientError::BaseUrl { .. })));
}

/// A server that gives prepared answers, by the first line of the request; none
/// means it never answers that one.
async fn scripted(answer: fn(&str) -> Option<(u16, &'static str)>) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(answer_one(socket, answer));
        }
    });
    Client::new(&url).unwrap().with_deadline(Duration::from_millis(500))
}

async fn answer_one(mut socket: TcpStream, answer: fn(&str) -> Option<(u16, &'static str)>) {
    let (mut request, mut block) = (Vec::new(), [0; 4096]);
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        let read = socket.read(&mut block).await.unwrap();
        request.extend_from_slice(&block[..read]);
    }
    let line = String::from_utf8_lossy(&request).lines().next().unwrap().to_owned();
    let Some((status, body)) = answer(&line) else {
        return std::future::pending().await;
    };
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: text/plain\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
}

#[tokio::test]
async fn a_stock_server_gets_neither_fractions_nor_extensions() {
    let client = scripted(|line| match line {
        "GET /version HTTP/1.1" => Some((200, r#"{"version": "2.12.0"}"#)),
        _ => Some((
            200,
            r#"{"attributes":{"latency":5,"jitter":0},"name":"latency_upstream","type":"latency",
                "stream":"upstream","toxicity":1}"#,
        )),
    })
    .await;
    let half = Toxic::latency(Stream::Upstream, Millis::from_micros(5_500));
    let error = client.add_toxic("p", &half).await.unwrap_err();
    assert!(matches!(error, ClientError::FractionalMillis { .. }), "{error}");
    client.add_toxic("p", &latency(Stream::Upstream, 5_000)).await.unwrap();
    assert!(matches!(client.counters().await.unwrap_err(), ClientError::NotBundled { .. }));
}

#[tokio::test]
async fn what_was_made_must_be_what_was_asked() {
    let client = scripted(|_| {
        Some((
            200,
            r#"{"attributes":{"latency":5,"jitter":0},"name":"latency_upstream","type":"latency",
                "stream":"downstream","toxicity":1}"#,
        ))
    })
    .await;
    let error = client.add_toxic("p", &latency(Stream::Upstream, 5_000)).await.unwrap_err();
    assert!(matches!(error, ClientError::Disagrees { .. }), "{error}");
}

#[tokio::test]
async fn success_in_words_but_not_in_status_is_no_success() {
    let client = scripted(|_| Some((200, "{}"))).await;
    assert_eq!(client.reset().await.unwrap_err().status(), Some(200));
    let error = client.get("p").await.unwrap_err();
    assert!(matches!(error, ClientError::Undecodable { .. }), "{error}");
}

#[tokio::test]
async fn a_hanging_removal_escalates() {
    let toxic = latency(Stream::Upstream, 5_000);
    let client = scripted(|line| match line.split(' ').next() {
        Some("PATCH") => Some((
            200,
            r#"{"attributes":{"latency":0,"jitter":0},"name":"latency_upstream","type":"latency",
                "stream":"upstream","toxicity":0}"#,
        )),
        _ => None,
    })
    .await;
    assert_eq!(client.remove_toxic_surely("p", &toxic).await.unwrap(), Removal::Neutralised);

    let client = scripted(|line| match line {
        "DELETE /proxies/p HTTP/1.1" => Some((204, "")),
        _ => Some((503, "")),
    })
    .await;
    assert_eq!(client.remove_toxic_surely("p", &toxic).await.unwrap(), Removal::ProxyDeleted);

    let client = scripted(|_| None).await;
    let error = client.remove_toxic_surely("p", &toxic).await.unwrap_err();
    assert!(matches!(error, ClientError::Deadline { deadline_ms: 500, .. }), "{error}");
}
