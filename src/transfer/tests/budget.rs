//! A peer that asks and does not read: the service takes what it needs from a budget, and
//! says so when that is used up.

use futures::stream;
use hyper_util::rt::TokioIo;
use tonic::transport::{Channel, Endpoint};

use super::*;
use crate::proto::drop as wire;
use crate::proto::drop::drop_client::DropClient;

/// Streams of the largest answers, more than the budget of a peer is for.
const STREAMS: usize = 24;

/// Reads of each: more than one stream may hold.
const READS: u64 = 8;

/// As many as are served at once; a call more has to wait.
const LISTINGS: usize = 4;

/// The least that HTTP/2 begins with.
const WINDOW_BYTES: u32 = 65_535;

/// So many calls may still succeed while the unread ones come to hold their memory.
const TRIES_MAX: u32 = 1_000;

/// tonic's own client, whose windows leave answers at the serving end. Each is used for one
/// call: a second one would find the connection's window taken, and not be begun.
async fn narrow(service: Direct<Service>) -> DropClient<Channel> {
    let (near, far) = tokio::io::duplex(PIPE_BYTES);
    let incoming = stream::iter([Ok::<_, std::io::Error>(far)]);
    tokio::spawn(limits::server().add_service(service).serve_with_incoming(incoming));
    let mut near = Some(TokioIo::new(near));
    let connector = tower::service_fn(move |_: http::Uri| {
        std::future::ready(near.take().ok_or_else(|| std::io::Error::other("used")))
    });
    let endpoint = Endpoint::from_static("http://peer")
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES);
    DropClient::new(endpoint.connect_with_connector(connector).await.unwrap())
        .max_decoding_message_size(limits::MESSAGE_BYTES_MAX)
}

/// A share with a large file, which has no blocks on disk.
fn share() -> tempfile::TempDir {
    let share = tempfile::tempdir().unwrap();
    let file = std::fs::File::create(share.path().join("f")).unwrap();
    file.set_len(1 << 30).unwrap();
    share
}

/// Asks until there is no memory for an answer.
async fn until_busy<T>(ask: impl AsyncFn() -> Result<T, FetchError>) {
    for _ in 0..TRIES_MAX {
        match ask().await {
            Ok(_) => tokio::task::yield_now().await,
            Err(error) => {
                assert!(matches!(error, FetchError::Busy { .. }), "{error}");
                return;
            }
        }
    }
    panic!("it is served however much is held");
}

#[tokio::test(start_paused = true)]
async fn reads_that_nobody_takes_use_up_the_budget_and_give_it_back() {
    let share = share();
    let service = service(share.path());
    let client = connect(service.clone(), Deadlines::default()).await;
    let version = client.stat("f").await.unwrap().version;
    let length_bytes = limits::CHUNK_BYTES_MAX;
    let read = async || Remote::read(&client, "f", version, 0, length_bytes).await;
    // What is given back is all that was taken, or the budget would shrink.
    for _ in 0..3 {
        let mut unread = Vec::new();
        for _ in 0..STREAMS {
            let requests = (0..READS).map(|id| wire::ReadRequest {
                id,
                path: "f".into(),
                length_bytes,
                ..Default::default()
            });
            let requests: Vec<_> = requests.collect();
            let mut hoarder = narrow(service.clone()).await;
            let replies = hoarder.read(stream::iter(requests)).await.unwrap().into_inner();
            unread.push((hoarder, replies));
        }
        until_busy(read).await;
        drop(unread);
        assert_eq!(read().await.unwrap().len(), length_bytes as usize);
    }
}

#[tokio::test(start_paused = true)]
async fn so_do_pushes() {
    let share = share();
    let service = service(share.path());
    let client = connect(service.clone(), Deadlines::default()).await;
    let version = client.stat("f").await.unwrap().version;
    let mut unread = Vec::new();
    for _ in 0..STREAMS {
        let mut hoarder = narrow(service.clone()).await;
        let (path, part_bytes) = ("f".to_owned(), limits::CHUNK_BYTES_MAX);
        let request = wire::StreamFileRequest { path, part_bytes, ..Default::default() };
        let parts = hoarder.stream_file(request).await.unwrap().into_inner();
        unread.push((hoarder, parts));
    }
    let push = async || {
        let request = client::PushRequest {
            path: "f".to_owned(),
            length_bytes: Some(1),
            ..Default::default()
        };
        client.push(request).await?.next().await
    };
    until_busy(push).await;
    drop(unread);
    assert_eq!(Remote::read(&client, "f", version, 0, 1).await.unwrap().len(), 1);
    assert_eq!(push().await.unwrap().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn listings_that_nobody_takes_leave_no_turn_for_another() {
    let share = share();
    for number in 0..3_000 {
        std::fs::write(share.path().join(format!("a rather long name {number}")), "").unwrap();
    }
    let service = service(share.path());
    let client = connect(service.clone(), Deadlines::default()).await;
    let mut hoarder = narrow(service).await;
    let mut unread = Vec::new();
    for _ in 0..LISTINGS {
        let request = wire::ListRequest { path: String::new() };
        unread.push(hoarder.list(request).await.unwrap().into_inner());
    }
    let error = client.list("").await.map(|listing| listing.len()).unwrap_err();
    assert!(matches!(error, FetchError::Busy { .. }), "{error}");
    drop((unread, hoarder));
    assert_eq!(client.list("").await.unwrap().len(), 3_001);
}
