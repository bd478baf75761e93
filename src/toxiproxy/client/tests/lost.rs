//! Creating whose answer is lost, or that nobody waits for any more.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::task::yield_now;

use super::*;

/// The proxy `p` in front of nowhere, as it is created before it is shaped.
const BARE: &str = r#"{"name":"p","listen":"127.0.0.1:1","upstream":"127.0.0.1:9",
    "enabled":false,"toxics":[]}"#;
/// The same in use.
const ENABLED: &str = r#"{"name":"p","listen":"127.0.0.1:1","upstream":"127.0.0.1:9",
    "enabled":true,"toxics":[]}"#;
const TOXIC: &str = r#"{"attributes":{"latency":5,"jitter":0},"name":"latency_upstream",
    "type":"latency","stream":"upstream","toxicity":1}"#;
const TOXICS: &str = r#"[{"attributes":{"latency":5,"jitter":0},"name":"latency_upstream",
    "type":"latency","stream":"upstream","toxicity":1}]"#;
const OTHERS_TOXICS: &str = r#"[{"attributes":{"latency":7,"jitter":0},
    "name":"latency_upstream","type":"latency","stream":"upstream","toxicity":1}]"#;

/// Polls once, which sends the call, and gives up.
async fn give_up<T: std::fmt::Debug>(creating: impl Future<Output = T>) {
    tokio::select! {
        biased;
        made = creating => panic!("made {made:?} at once"),
        () = yield_now() => (),
    }
}

async fn until_counted(count: &AtomicUsize) {
    until(|| async {
        yield_now().await;
        count.load(Ordering::SeqCst) > 0
    })
    .await;
}

#[tokio::test]
async fn a_proxy_that_nobody_waits_for_is_deleted() {
    static DELETED: AtomicUsize = AtomicUsize::new(0);
    let client = scripted(|line| match line {
        "POST /proxies HTTP/1.1" => Some((201, BARE)),
        "DELETE /proxies/p HTTP/1.1" => {
            DELETED.fetch_add(1, Ordering::SeqCst);
            Some((204, ""))
        }
        _ => None,
    })
    .await;
    give_up(client.create_guarded(&spec("p", &nowhere()), &[])).await;
    until_counted(&DELETED).await;
}

#[tokio::test]
async fn a_toxic_that_nobody_waits_for_is_removed() {
    static REMOVED: AtomicUsize = AtomicUsize::new(0);
    let client = scripted(|line| match line {
        "GET /version HTTP/1.1" => Some((200, r#"{"version":"2.12.0"}"#)),
        "POST /proxies/p/toxics HTTP/1.1" => Some((200, TOXIC)),
        "DELETE /proxies/p/toxics/latency_upstream HTTP/1.1" => {
            REMOVED.fetch_add(1, Ordering::SeqCst);
            Some((204, ""))
        }
        _ => None,
    })
    .await;
    client.version().await.unwrap();
    give_up(client.add_toxic_guarded("p", &latency(Stream::Upstream, 5_000))).await;
    until_counted(&REMOVED).await;
}

#[tokio::test]
async fn a_proxy_whose_answer_is_lost_is_deleted() {
    static DELETED: AtomicUsize = AtomicUsize::new(0);
    let client = scripted(|line| match line {
        "GET /proxies/p HTTP/1.1" => Some((200, BARE)),
        "DELETE /proxies/p HTTP/1.1" => {
            DELETED.fetch_add(1, Ordering::SeqCst);
            Some((204, ""))
        }
        _ => None,
    })
    .await;
    let error = client.create_guarded(&spec("p", &nowhere()), &[]).await.unwrap_err();
    assert!(matches!(error, ClientError::Deadline { .. }), "{error}");
    assert_eq!(DELETED.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_toxic_whose_answer_is_lost_is_removed() {
    static REMOVED: AtomicUsize = AtomicUsize::new(0);
    let client = scripted(|line| match line {
        "GET /version HTTP/1.1" => Some((200, r#"{"version":"2.12.0"}"#)),
        "GET /proxies/p/toxics HTTP/1.1" => Some((200, TOXICS)),
        "DELETE /proxies/p/toxics/latency_upstream HTTP/1.1" => {
            REMOVED.fetch_add(1, Ordering::SeqCst);
            Some((204, ""))
        }
        _ => None,
    })
    .await;
    let toxic = latency(Stream::Upstream, 5_000);
    let error = client.add_toxic_guarded("p", &toxic).await.unwrap_err();
    assert!(matches!(error, ClientError::Deadline { .. }), "{error}");
    assert_eq!(REMOVED.load(Ordering::SeqCst), 1);
}

/// Whether the answer is lost or says that the name is taken.
#[tokio::test]
async fn what_others_made_under_the_name_stays() {
    static DELETED: AtomicUsize = AtomicUsize::new(0);
    let lost = scripted(|line| match line {
        "GET /version HTTP/1.1" => Some((200, r#"{"version":"2.12.0"}"#)),
        "GET /proxies/p HTTP/1.1" => Some((200, ENABLED)),
        "GET /proxies/p/toxics HTTP/1.1" => Some((200, OTHERS_TOXICS)),
        _ if line.starts_with("DELETE") => {
            DELETED.fetch_add(1, Ordering::SeqCst);
            Some((204, ""))
        }
        _ => None,
    })
    .await;
    let toxic = latency(Stream::Upstream, 5_000);
    lost.create_guarded(&spec("p", &nowhere()), &[]).await.unwrap_err();
    lost.add_toxic_guarded("p", &toxic).await.unwrap_err();
    assert_eq!(DELETED.load(Ordering::SeqCst), 0);

    let server = TestServer::start(Options::default()).await;
    let asked = ProxySpec { enabled: Some(false), ..spec("p", &nowhere()) };
    let bare = server.client.create(&asked).await.unwrap();
    let taken = server.client.create_guarded(&asked, &[]).await.unwrap_err();
    assert_eq!(taken.status(), Some(409), "{taken}");
    assert_eq!(server.client.get("p").await.unwrap(), bare);
    server.client.add_toxic("p", &toxic).await.unwrap();
    let taken = server.client.add_toxic_guarded("p", &toxic).await.unwrap_err();
    assert_eq!(taken.status(), Some(409), "{taken}");
    assert_eq!(server.client.toxics("p").await.unwrap(), [toxic]);
    server.end().await;
}
