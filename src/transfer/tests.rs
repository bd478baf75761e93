use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;
use tonic::body::Body;
use tonic::server::NamedService;

use super::burst::WireCounter;
use super::client::Client;
use super::direct::Direct;
use super::limits::{self, Deadlines};
use super::pull::{PullError, PullMode, Target, pull};
use super::service::{Caller, Service};
use super::*;
use crate::sample::Sample;
use crate::source::Source;
use crate::telemetry::layers::{Account, Layer};

mod budget;
mod details;
mod lanes;
mod misdeeds;
mod peers;
mod records;
mod stock;

const PIPE_BYTES: usize = 1 << 20;

const VERSION: Version =
    Version { size_bytes: 1, mtime_s: 0, mtime_ns: 0, inode: 0, ctime_s: 0, ctime_ns: 0 };

/// A client of `service` over a pipe in memory.
async fn connect<S>(service: S, deadlines: Deadlines) -> Client
where
    S: tower::Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S: NamedService + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    let (near, far) = tokio::io::duplex(PIPE_BYTES);
    let incoming = futures::stream::iter([Ok::<_, std::io::Error>(far)]);
    tokio::spawn(limits::server().add_service(service).serve_with_incoming(incoming));
    Client::over(near, "peer", Account::new(), deadlines).await.unwrap()
}

async fn connect_share(share: &Path) -> Client {
    connect(service(share), Deadlines::default()).await
}

/// What serves a share to one peer, over any number of connections.
fn service(share: &Path) -> Direct<Service> {
    let find = |_: &http::Extensions| {
        let received = WireCounter::new(|| 0);
        Some(Caller { peer: "reader".to_owned(), account: Account::new(), received })
    };
    Service::server(Arc::new(Source::open(share).unwrap()), find, Default::default())
}

fn write_sample(share: &Path, name: &str, size_bytes: u64) -> blake3::Hash {
    let mut data = Vec::new();
    let mut sample = Sample::new(7, size_bytes);
    while let Some(block) = sample.next_block() {
        data.extend_from_slice(block);
    }
    std::fs::write(share.join(name), &data).unwrap();
    blake3::hash(&data)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever size, chunk and depth: both modes yield the same bytes.
    #[test]
    fn both_modes_yield_the_file(
        size_bytes in prop_oneof![0_u64..5, 0_u64..2_000_000],
        chunk_bytes in prop_oneof![500_u32..5_000, 50_000_u32..limits::CHUNK_BYTES_MAX],
        depth in 1_u32..limits::DEPTH_MAX,
    ) {
        let share = tempfile::tempdir().unwrap();
        let want = write_sample(share.path(), "f", size_bytes);
        runtime().block_on(async {
            let client = connect_share(share.path()).await;
            for mode in [
                PullMode::Push { part_bytes: chunk_bytes, lanes: 1 },
                PullMode::RequestResponse { chunk_bytes, depth },
            ] {
                let mut last = 0;
                let pulled = pull(&client, "f", mode, &Target::Hash, None, |bytes, total| {
                    assert!(bytes >= last && bytes <= total && total == size_bytes);
                    last = bytes;
                }).await.unwrap();
                assert_eq!((pulled.bytes, last), (size_bytes, size_bytes));
                assert_eq!(pulled.blake3, Some(want));
            }
        });
    }
}

#[tokio::test]
async fn pulled_file_is_complete_and_charged() {
    let share = tempfile::tempdir().unwrap();
    let downloads = tempfile::tempdir().unwrap();
    let want = write_sample(share.path(), "f", 3_000_001);
    let client = connect_share(share.path()).await;
    for mode in [PullMode::PUSH, PullMode::REQUEST_RESPONSE] {
        let target = downloads.path().join(mode.name());
        let before = client.account().times();
        let pulled = pull(&client, "f", mode, &Target::File(target.clone()), None, |_, _| {}).await;
        let pulled = pulled.unwrap();
        assert_eq!(blake3::hash(&std::fs::read(&target).unwrap()), want);
        let spent = client.account().times().since(&before);
        assert!(spent.self_ns(Layer::Disk) > 0 && spent.self_ns(Layer::Grpc) > 0);
        assert!(0 < pulled.first_byte_ns && pulled.first_byte_ns < pulled.wall_ns);
        assert!(pulled.gap_ns_max < pulled.wall_ns);
    }
    assert_eq!(std::fs::read_dir(downloads.path()).unwrap().count(), 2);
}

#[tokio::test]
async fn listing_longer_than_a_batch_arrives_in_order() {
    let share = tempfile::tempdir().unwrap();
    let count = limits::LIST_BATCH_ENTRIES_MAX + 3;
    for i in 0..count {
        std::fs::write(share.path().join(format!("{i:05}")), "").unwrap();
    }
    let client = connect_share(share.path()).await;
    let entries = client.list("").await.unwrap();
    assert_eq!(entries.len(), count);
    assert_eq!(entries[count - 1].name, format!("{:05}", count - 1));
}

#[tokio::test]
async fn escapes_are_refused_over_the_wire() {
    let base = tempfile::tempdir().unwrap();
    let share = base.path().join("share");
    std::fs::create_dir(&share).unwrap();
    std::fs::write(base.path().join("secret"), "secret").unwrap();
    std::os::unix::fs::symlink("../secret", share.join("link")).unwrap();
    let client = connect_share(&share).await;
    let long = "x/".repeat(4000);
    let secret = base.path().join("secret");
    for path in ["..", "a/../../secret", secret.to_str().unwrap(), "a\0", "a//b", &long] {
        let read = Remote::read(&client, path, Version::default(), 0, 1).await.unwrap_err();
        for error in
            [read, client.stat(path).await.unwrap_err(), client.list(path).await.unwrap_err()]
        {
            assert!(matches!(error, FetchError::Invalid { .. }), "{path:?}: {error}");
        }
        let pushed = client
            .push(client::PushRequest { path: path.to_owned(), ..Default::default() })
            .await
            .unwrap_err();
        assert!(matches!(pushed, FetchError::Invalid { .. }), "{path:?}: {pushed}");
    }
    let read = Remote::read(&client, "link", Version::default(), 0, 1).await.unwrap_err();
    assert!(matches!(read, FetchError::Denied { .. }), "{read}");
    assert!(matches!(client.stat("link").await, Err(FetchError::Denied { .. })));
}

#[tokio::test]
async fn errors_keep_their_kind() {
    let share = tempfile::tempdir().unwrap();
    write_sample(share.path(), "f", 10);
    let client = connect_share(share.path()).await;
    assert!(matches!(client.stat("none").await, Err(FetchError::NotFound { .. })));
    let version = client.stat("f").await.unwrap().version;
    let too_large = limits::CHUNK_BYTES_MAX + 1;
    let read = |version, length| Remote::read(&client, "f", version, 0, length);
    assert!(matches!(read(version, too_large).await, Err(FetchError::Invalid { .. })));
    assert_eq!(read(version, 100).await.unwrap().len(), 10);
    std::fs::write(share.path().join("f"), "longer than before").unwrap();
    assert!(matches!(read(version, 10).await, Err(FetchError::Changed { .. })));
    let stale =
        client::PushRequest { path: "f".to_owned(), version: Some(version), ..Default::default() };
    assert!(matches!(client.push(stale).await, Err(FetchError::Changed { .. })));
    let directory = pull(&client, "", PullMode::PUSH, &Target::Hash, None, |_, _| {}).await;
    assert!(matches!(directory, Err(PullError::Directory { .. })));
}

/// The file changes after the first message: neither mode hands out a mix.
#[tokio::test]
async fn change_during_a_pull_fails_it() {
    for mode in [
        PullMode::Push { part_bytes: 4096, lanes: 1 },
        PullMode::RequestResponse { chunk_bytes: 4096, depth: 2 },
    ] {
        let share = tempfile::tempdir().unwrap();
        let downloads = tempfile::tempdir().unwrap();
        // More than all buffers on the way hold.
        write_sample(share.path(), "f", 96 << 20);
        let client = connect_share(share.path()).await;
        let file: PathBuf = share.path().join("f");
        let mut changed = false;
        let target = Target::File(downloads.path().join("f"));
        let result = pull(&client, "f", mode, &target, None, |_, _| {
            if !changed {
                changed = true;
                let file = std::fs::OpenOptions::new().append(true).open(&file).unwrap();
                std::io::Write::write_all(&mut &file, b"more").unwrap();
            }
        })
        .await;
        let fetch = matches!(result, Err(PullError::Fetch(FetchError::Changed { .. })));
        assert!(fetch, "{}: {result:?}", mode.name());
        drop(client);
    }
}

#[tokio::test]
async fn bursts_arrive_whole_and_bounded() {
    let share = tempfile::tempdir().unwrap();
    let client = connect_share(share.path()).await;
    let counter = WireCounter::new(|| 7);
    for bytes in [1, 5_000, 3_000_001] {
        let (up, down) =
            (client.burst_up(bytes).await, client.burst_down(bytes, &counter).await.unwrap());
        let up = up.unwrap();
        assert_eq!((up.bytes, down.bytes), (bytes, bytes));
        assert_eq!(bytes > 1, up.span_ns > 0 && down.span_ns > 0, "{up:?} {down:?}");
    }
    let too_many = limits::BURST_BYTES_MAX + 1;
    for error in [client.burst_up(too_many).await, client.burst_down(too_many, &counter).await] {
        assert!(matches!(error, Err(FetchError::Invalid { .. })), "{error:?}");
    }
}

/// A request that is larger than any has to be ends its call, and nothing else.
#[tokio::test]
async fn requests_that_are_too_large_are_refused_and_the_session_goes_on() {
    let share = tempfile::tempdir().unwrap();
    write_sample(share.path(), "f", 10);
    let client = connect_share(share.path()).await;
    let version = client.stat("f").await.unwrap().version;
    let path = "x".repeat(limits::REQUEST_BYTES_MAX);
    let read = Remote::read(&client, &path, version, 0, 10).await.unwrap_err();
    let request = client::PushRequest { path, ..Default::default() };
    let pushed = client.push(request).await.unwrap_err();
    for error in [read, pushed] {
        assert!(
            matches!(&error, FetchError::Failed { reason, .. } if reason.contains("too large")),
            "{error}"
        );
    }
    assert_eq!(Remote::read(&client, "f", version, 0, 10).await.unwrap().len(), 10);
    let request = client::PushRequest { path: "f".to_owned(), ..Default::default() };
    let mut push = client.push(request).await.unwrap();
    assert_eq!(push.next().await.unwrap().unwrap().len(), 10);
}
