use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::super::api::{
    BUNDLED_MARK, Bandwidth, ConnectionCounters, Effect, Millis, ProxySpec, RateBytes, RateScope,
    Stream, Toxic, VERSION,
};
use super::super::server::Options;
use super::super::testing::{TestServer, connect, latency, ms, read_bytes, spec};
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
    assert!(matches!(error, ClientError::NotBundled { .. }), "{error}");
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

/// The removal was done, and only its answer did not come: the proxy stays.
#[tokio::test]
async fn a_removal_whose_answer_is_lost_deletes_nothing_else() {
    let toxic = latency(Stream::Upstream, 5_000);
    let client = scripted(|line| match line {
        "PATCH /proxies/p/toxics/latency_upstream HTTP/1.1" => {
            Some((404, r#"{"error":"toxic not found","status":404}"#))
        }
        "DELETE /proxies/p HTTP/1.1" => Some((204, "")),
        _ => None,
    })
    .await;
    assert_eq!(client.remove_toxic_surely("p", &toxic).await.unwrap(), Removal::Removed);

    // The proxy is gone with it.
    let client = scripted(|line| match line {
        "DELETE /proxies/p HTTP/1.1" => Some((404, "")),
        _ => Some((503, "")),
    })
    .await;
    assert_eq!(client.remove_toxic_surely("p", &toxic).await.unwrap(), Removal::Removed);
}

fn rate(scope: RateScope) -> Toxic {
    let rate = RateBytes::from_bytes_per_s(5_000);
    Toxic::new(Stream::Upstream, Effect::Bandwidth(Bandwidth { rate, scope, bucket: None }))
}

/// A stock server has no scope and no counters, and writes null for no proxies.
#[tokio::test]
async fn a_stock_server_has_rates_per_connection() {
    let client = scripted(|line| match line {
        "GET /version HTTP/1.1" => Some((200, r#"{"version": "2.12.0"}"#)),
        "POST /populate HTTP/1.1" => Some((201, r#"{"proxies":null}"#)),
        "GET /proxies/p/toxics HTTP/1.1" => Some((
            200,
            r#"[{"attributes":{"rate":5},"name":"bandwidth_upstream","type":"bandwidth",
                "stream":"upstream","toxicity":1}]"#,
        )),
        _ => Some((
            200,
            r#"{"attributes":{"rate":5},"name":"bandwidth_upstream","type":"bandwidth",
                "stream":"upstream","toxicity":1}"#,
        )),
    })
    .await;
    let each = rate(RateScope::Connection);
    assert_eq!(client.add_toxic("p", &each).await.unwrap(), each);
    assert_eq!(client.update_toxic("p", &each).await.unwrap(), each);
    assert_eq!(client.toxics("p").await.unwrap(), [each]);
    let error = client.add_toxic("p", &rate(RateScope::Link)).await.unwrap_err();
    assert!(matches!(error, ClientError::NotBundled { .. }), "{error}");
    assert!(error.to_string().contains("all connections share"), "{error}");
    let error = client.connections("p").await.unwrap_err();
    assert!(matches!(error, ClientError::NotBundled { .. }), "{error}");
    assert_eq!(client.populate(&[]).await.unwrap(), []);
    assert!(!client.version().await.unwrap().text.contains(BUNDLED_MARK));
}

#[tokio::test]
async fn rates_of_both_scopes_on_the_bundled_server() {
    let server = TestServer::start(Options::default()).await;
    server.proxy(&[rate(RateScope::Link)]).await;
    assert_eq!(server.client.toxics("p").await.unwrap(), [rate(RateScope::Link)]);
    let each = rate(RateScope::Connection);
    assert_eq!(server.client.update_toxic("p", &each).await.unwrap(), each);
    assert_eq!(server.client.proxies().await.unwrap()["p"].toxics, [each]);
    server.end().await;
}

/// Resolves when the server says what `is_so` waits for.
async fn until<F: Future<Output = bool>>(is_so: impl Fn() -> F) {
    let repeat = async { while !is_so().await {} };
    timeout(ms(20_000), repeat).await.expect("it does not happen");
}

#[tokio::test]
async fn a_guard_undoes_when_asked_and_when_dropped() {
    let server = TestServer::start(Options::default()).await;
    let client = &server.client;
    let toxic = latency(Stream::Upstream, 1_000);
    let proxy = client.create_guarded(&spec("p", &nowhere()), &[]).await.unwrap();
    assert!(proxy.proxy().enabled && !proxy.proxy().listen.ends_with(":0"));

    let guard = client.add_toxic_guarded("p", &toxic).await.unwrap();
    assert_eq!((guard.toxic(), client.toxics("p").await.unwrap().len()), (&toxic, 1));
    assert_eq!(guard.undo().await.unwrap(), Removal::Removed);
    assert_eq!(client.toxics("p").await.unwrap(), []);
    drop(client.add_toxic_guarded("p", &toxic).await.unwrap());
    until(|| async { client.toxics("p").await.unwrap().is_empty() }).await;
    assert_eq!(client.add_toxic_guarded("p", &toxic).await.unwrap().keep(), toxic);

    drop(proxy);
    until(|| async { client.proxies().await.unwrap().is_empty() }).await;
    let kept = client.create_guarded(&spec("p", &nowhere()), &[toxic]).await.unwrap().keep();
    assert_eq!(client.get("p").await.unwrap(), kept, "nothing undoes it");
    let guard = client.create_guarded(&spec("q", &nowhere()), &[]).await.unwrap();
    client.delete("q").await.unwrap();
    guard.undo().await.unwrap();
    server.end().await;
}

#[tokio::test]
async fn a_guarded_proxy_that_is_wanted_disabled_stays_so() {
    let server = TestServer::start(Options::default()).await;
    let asked = ProxySpec { enabled: Some(false), ..spec("p", &nowhere()) };
    let made = server.client.create_shaped(&asked, &[rate(RateScope::Link)]).await.unwrap();
    assert_eq!((made.enabled, made.toxics.len()), (false, 1));
    server.end().await;
}

/// The shaping is given up in the midst: no disabled proxy is left.
#[tokio::test]
async fn creating_that_is_given_up_leaves_no_proxy() {
    let server = TestServer::start(Options::default()).await;
    let client = &server.client;
    let toxics: Vec<Toxic> = (0..64)
        .map(|i| Toxic { name: format!("t{i}"), ..latency(Stream::Upstream, 1_000) })
        .collect();
    let asked = spec("p", &nowhere());
    let creating = client.create_shaped(&asked, &toxics);
    let seen = until(|| async { !client.proxies().await.unwrap().is_empty() });
    tokio::select! {
        biased;
        () = seen => (),
        made = creating => panic!("made {made:?} before it was seen"),
    }
    until(|| async { client.proxies().await.unwrap().is_empty() }).await;
    server.end().await;
}

#[tokio::test]
async fn a_dropped_guard_escalates() {
    let deleted = |line: &str| match line {
        "DELETE /proxies/p HTTP/1.1" => Some((204, "")),
        "GET /version HTTP/1.1" => Some((200, r#"{"version":"2.12.0"}"#)),
        _ if line.starts_with("POST") => Some((
            200,
            r#"{"attributes":{"latency":5,"jitter":0},"name":"latency_upstream","type":"latency",
                "stream":"upstream","toxicity":1}"#,
        )),
        _ => Some((503, "")),
    };
    let client = scripted(deleted).await;
    let guard = client.add_toxic_guarded("p", &latency(Stream::Upstream, 5_000)).await.unwrap();
    assert_eq!(guard.undo().await.unwrap(), Removal::ProxyDeleted);
}

#[tokio::test]
async fn connections_are_listed_with_their_bytes() {
    let server = TestServer::start(Options::default()).await;
    let (proxy, listener) = server.proxy(&[]).await;
    let (mut first, mut first_upstream) = connect(&proxy, &listener).await;
    let (mut second, mut second_upstream) = connect(&proxy, &listener).await;
    first.write_all(b"five5").await.unwrap();
    read_bytes(&mut first_upstream, 5).await;
    second_upstream.write_all(b"seven 7").await.unwrap();
    read_bytes(&mut second, 7).await;
    let second_address = second.local_addr().unwrap().to_string();
    drop((first, first_upstream));
    let list = || server.client.connections("p");
    let of = |all: &[ConnectionCounters], ordinal: u64| {
        all.iter().find(|connection| connection.ordinal == ordinal).unwrap().clone()
    };
    until(|| async { of(&list().await.unwrap(), 0).closed_unix_us.is_some() }).await;
    let all = list().await.unwrap();
    let (closed, open) = (of(&all, 0), of(&all, 1));
    assert_eq!((all.len(), open.client), (2, second_address));
    assert_eq!((closed.upstream.sent_bytes, closed.downstream.sent_bytes), (5, 0));
    assert_eq!((open.upstream.sent_bytes, open.downstream.sent_bytes), (0, 7));
    assert!(open.closed_unix_us.is_none() && closed.closed_unix_us >= Some(closed.opened_unix_us));
    assert_eq!(server.client.connections("q").await.unwrap_err().status(), Some(404));
    server.end().await;
}

mod lost;
