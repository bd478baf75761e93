//! HTTP to the letter: what a client's library never sends, and what answers look
//! like on the wire.

use std::io::ErrorKind;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::super::super::testing::{TestServer, ms};
use super::super::Options;
use super::case::http;

const MIB: usize = 1024 * 1024;

async fn dial(server: &TestServer) -> TcpStream {
    TcpStream::connect(server.url.strip_prefix("http://").unwrap()).await.unwrap()
}

/// Sends `request` and reads until the server closes.
async fn raw(server: &TestServer, request: &str) -> String {
    let mut socket = dial(server).await;
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(ms(20_000), socket.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

#[tokio::test]
async fn browsers_are_kept_out() {
    let server = TestServer::conforming().await;
    let get = |path: &str| {
        http().get(format!("{}{path}", server.url)).header("User-Agent", "Mozilla/5.0")
    };
    let response = get("/proxies").send().await.unwrap();
    assert_eq!(response.status(), 403);
    assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    assert_eq!(response.text().await.unwrap(), "User agent not allowed\n");
    // The router comes first.
    assert_eq!(get("/nowhere").send().await.unwrap().status(), 404);
    let other = http().get(format!("{}/proxies", server.url)).header("User-Agent", "mozilla/5");
    assert_eq!(other.send().await.unwrap().status(), 200);
    server.end().await;
}

#[tokio::test]
async fn a_request_without_a_body_or_a_length_is_answered() {
    let server = TestServer::conforming().await;
    let answer = raw(&server, "POST /reset HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    let answer =
        raw(&server, "POST /proxies HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("bad request body"), "{answer}");
    let chunked = "POST /proxies HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
                   transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
    let answer = raw(&server, chunked).await;
    assert!(answer.contains("missing required field: name"), "{answer}");
    let old = raw(&server, "GET /version HTTP/1.0\r\n\r\n").await;
    assert!(old.starts_with("HTTP/1.0 200 ") && old.contains("\"version\""), "{old}");
    let broken = raw(&server, "nonsense\r\n\r\n").await;
    assert!(broken.starts_with("HTTP/1.1 400 "), "{broken}");
    server.end().await;
}

/// Sends a body of 100 MiB, as far as the server takes it. Returns how much that was,
/// and the answer.
async fn send_huge(server: &TestServer, framing: &str, block: &[u8]) -> (usize, String) {
    let (mut read, mut write) = dial(server).await.into_split();
    let head = format!("POST /populate HTTP/1.1\r\nhost: x\r\n{framing}");
    write.write_all(head.as_bytes()).await.unwrap();
    let send = async {
        let mut sent = 0;
        while sent < 100 * MIB {
            match write.write(block).await {
                Ok(written) => sent += written,
                Err(_) => break,
            }
        }
        sent
    };
    let receive = async {
        let mut answer = Vec::new();
        match read.read_to_end(&mut answer).await {
            Ok(_) => {}
            // What is still sent after the answer is cut off in the end.
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
        String::from_utf8(answer).unwrap()
    };
    timeout(ms(30_000), async { tokio::join!(send, receive) }).await.unwrap()
}

#[tokio::test]
async fn a_body_of_100_mib_is_refused_and_not_read() {
    let server = TestServer::start(Options::default()).await;
    let huge = format!("content-length: {}\r\n\r\n", 100 * MIB);
    let block = vec![b' '; MIB];
    // What lies in both sockets' buffers counts as sent.
    let (sent, answer) = send_huge(&server, &huge, &block).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("connection: close") && answer.contains("\"status\":413"), "{answer}");
    assert!(sent < 32 * MIB, "{sent} bytes");

    // One chunk of 100 MiB, whose length is told only in its own head.
    let framing = format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n", 100 * MIB);
    let (sent, answer) = send_huge(&server, &framing, &block).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(sent < 48 * MIB, "{sent} bytes");
    assert!(server.client.proxies().await.unwrap().is_empty());
    server.end().await;
}

#[tokio::test]
async fn idle_connections_are_closed_and_never_use_up_the_places() {
    let server = TestServer::start(Options::default()).await;
    let mut idle = Vec::new();
    for _ in 0..super::super::http::CONNECTIONS_MAX {
        idle.push(dial(&server).await);
    }
    idle[0].write_all(b"GET /version HTT").await.unwrap();
    // All places are taken; the call waits until the first of them times out.
    let started = tokio::time::Instant::now();
    assert!(server.client.version().await.unwrap().is_bundled);
    let waited = started.elapsed();
    assert!((ms(10_000)..ms(25_000)).contains(&waited), "{waited:?}");
    let mut rest = Vec::new();
    timeout(ms(5_000), idle[1].read_to_end(&mut rest)).await.unwrap().unwrap();
    server.end().await;
}
