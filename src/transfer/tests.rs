use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;
use tonic::{Request, Response, Status, Streaming};

use super::burst::WireCounter;
use super::client::Client;
use super::direct::Direct;
use super::limits::{self, Deadlines};
use super::pull::{PullError, PullMode, Target, pull};
use super::service::{Caller, Service};
use super::*;
use crate::proto::drop as wire;
use crate::proto::drop::drop_server::Drop as DropCalls;
use crate::sample::Sample;
use crate::source::Source;
use crate::telemetry::layers::{Account, Layer};

mod lanes;
mod stock;

const PIPE_BYTES: usize = 1 << 20;

/// A client of `service` over a pipe in memory.
async fn connect<S>(service: Direct<S>, deadlines: Deadlines) -> Client
where
    S: DropCalls,
{
    let (near, far) = tokio::io::duplex(PIPE_BYTES);
    let incoming = futures::stream::iter([Ok::<_, std::io::Error>(far)]);
    tokio::spawn(limits::server().add_service(service).serve_with_incoming(incoming));
    Client::over(near, "peer", Account::new(), deadlines).await.unwrap()
}

async fn connect_share(share: &Path) -> Client {
    let source = Arc::new(Source::open(share).unwrap());
    let find = |_: &http::Extensions| {
        let received = WireCounter::new(|| 0);
        Some(Caller { peer: "reader".to_owned(), account: Account::new(), received })
    };
    connect(Service::server(source, find), Deadlines::default()).await
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

/// A peer that misbehaves as told.
struct Fake(Misdeed);

#[derive(Clone, Copy)]
enum Misdeed {
    Silent,
    FailsReads,
    ForeignId,
    OtherVersion,
}

type Replies<T> = futures::stream::BoxStream<'static, Result<T, Status>>;

#[tonic::async_trait]
impl DropCalls for Fake {
    type ListStream = Replies<wire::ListReply>;
    type StreamFileStream = Replies<wire::FilePart>;
    type ReadStream = Replies<wire::ReadReply>;
    type BurstDownStream = Replies<wire::BurstPart>;

    async fn list(
        &self,
        _: Request<wire::ListRequest>,
    ) -> Result<Response<Self::ListStream>, Status> {
        let names = ["..", "a/b", ""];
        let entries = names.map(|name| wire::Entry { name: name.to_owned(), ..Default::default() });
        let reply = wire::ListReply { entries: entries.to_vec() };
        Ok(Response::new(Box::pin(futures::stream::iter([Ok(reply)]))))
    }

    async fn stat(
        &self,
        _: Request<wire::StatRequest>,
    ) -> Result<Response<wire::StatReply>, Status> {
        std::future::pending().await
    }

    async fn stream_file(
        &self,
        _: Request<wire::StreamFileRequest>,
    ) -> Result<Response<Self::StreamFileStream>, Status> {
        Ok(Response::new(Box::pin(futures::stream::pending())))
    }

    async fn read(
        &self,
        request: Request<Streaming<wire::ReadRequest>>,
    ) -> Result<Response<Self::ReadStream>, Status> {
        use futures::StreamExt as _;
        let misdeed = self.0;
        let replies = request.into_inner().filter_map(move |request| async move {
            let request = request.ok()?;
            let reply = wire::ReadReply {
                id: request.id,
                version: request.version,
                data: Bytes::from_static(b"x"),
                ..Default::default()
            };
            match misdeed {
                Misdeed::Silent => None,
                // The first request stays unanswered and dies with the stream.
                Misdeed::FailsReads if request.id == 0 => None,
                Misdeed::FailsReads => Some(Err(Status::data_loss("disk on fire"))),
                Misdeed::ForeignId => Some(Ok(wire::ReadReply { id: request.id + 9, ..reply })),
                Misdeed::OtherVersion => {
                    let version = Some(wire::Version { size_bytes: 2, ..Default::default() });
                    Some(Ok(wire::ReadReply { version, ..reply }))
                }
            }
        });
        Ok(Response::new(Box::pin(replies)))
    }

    async fn ping(
        &self,
        _: Request<wire::PingRequest>,
    ) -> Result<Response<wire::PingReply>, Status> {
        Ok(Response::new(wire::PingReply { payload: Bytes::from_static(b"q") }))
    }

    /// A part too many, or none for ever.
    async fn burst_down(
        &self,
        request: Request<wire::BurstRequest>,
    ) -> Result<Response<Self::BurstDownStream>, Status> {
        let data = vec![0; usize::try_from(request.into_inner().bytes).unwrap()].into();
        let part = Ok(wire::BurstPart { data, timed: true });
        Ok(Response::new(match self.0 {
            Misdeed::Silent => Box::pin(futures::stream::pending()),
            _ => Box::pin(futures::stream::iter([part.clone(), part])),
        }))
    }

    async fn burst_up(
        &self,
        _: Request<Streaming<wire::BurstPart>>,
    ) -> Result<Response<wire::BurstReply>, Status> {
        Ok(Response::new(wire::BurstReply { bytes: 1, wire_bytes: 1, span_ns: 1 }))
    }
}

async fn connect_fake(misdeed: Misdeed) -> Client {
    let deadlines = Deadlines { unary_ms: 3_000, stall_ms: 4_000 };
    connect(Direct::new(Fake(misdeed)), deadlines).await
}

const VERSION: Version =
    Version { size_bytes: 1, mtime_s: 0, mtime_ns: 0, inode: 0, ctime_s: 0, ctime_ns: 0 };

#[tokio::test(start_paused = true)]
async fn silence_is_a_timeout() {
    let client = connect_fake(Misdeed::Silent).await;
    let path = "f".to_owned();
    let request = client::PushRequest { path, ..Default::default() };
    let deadline = |result: FetchError| match result {
        FetchError::TimedOut { deadline_ms, .. } => deadline_ms,
        other => panic!("{other}"),
    };
    assert_eq!(deadline(client.stat("f").await.unwrap_err()), 3_000);
    let mut push = client.push(request).await.unwrap();
    assert_eq!(deadline(push.next().await.unwrap_err()), 4_000);
    assert_eq!(deadline(Remote::read(&client, "f", VERSION, 0, 1).await.unwrap_err()), 4_000);
    let burst = client.burst_down(10, &WireCounter::new(|| 0)).await;
    assert_eq!(deadline(burst.unwrap_err()), limits::BURST_DEADLINE_MS);
}

#[tokio::test]
async fn failed_stream_fails_every_pending_read_and_the_next_opens_another() {
    let client = connect_fake(Misdeed::FailsReads).await;
    for _round in 0..2 {
        let first = Remote::read(&client, "f", VERSION, 0, 1);
        let second = Remote::read(&client, "g", VERSION, 0, 1);
        let (first, second) = futures::join!(first, second);
        for error in [first.unwrap_err(), second.unwrap_err()] {
            assert!(
                matches!(&error, FetchError::Failed { reason, .. } if reason.contains("fire")),
                "{error}"
            );
        }
    }
}

#[tokio::test]
async fn nonsense_is_refused() {
    let client = connect_fake(Misdeed::ForeignId).await;
    let error = Remote::read(&client, "f", VERSION, 0, 1).await.unwrap_err();
    assert!(error.to_string().contains("not asked for"), "{error}");
    assert!(client.list("").await.unwrap_err().to_string().contains("it lists \"..\""));
    assert!(client.ping().await.unwrap_err().to_string().contains("other bytes"));
    let counter = WireCounter::new(|| 0);
    let error = client.burst_down(10, &counter).await.unwrap_err().to_string();
    assert!(error.contains("more than the 10 bytes"), "{error}");
    let error = client.burst_up(10).await.unwrap_err().to_string();
    assert!(error.contains("1 of the 10 bytes"), "{error}");
    let client = connect_fake(Misdeed::OtherVersion).await;
    let error = Remote::read(&client, "f", VERSION, 0, 1).await.unwrap_err();
    assert!(error.to_string().contains("another version"), "{error}");
}

#[tokio::test]
async fn lost_session_is_unreachable() {
    let (near, far) = tokio::io::duplex(PIPE_BYTES);
    let incoming = futures::stream::iter([Ok::<_, std::io::Error>(far)]);
    let service = Direct::new(Fake(Misdeed::Silent));
    let server = runtime();
    server.spawn(limits::server().add_service(service).serve_with_incoming(incoming));
    let client = Client::over(near, "peer", Account::new(), Deadlines::default()).await.unwrap();
    let read = Remote::read(&client, "f", VERSION, 0, 1);
    let (error, ()) = futures::join!(read, async {
        assert!(client.list("").await.is_err(), "the session works: the peer answers");
        server.shutdown_background();
    });
    assert!(matches!(error, Err(FetchError::Unreachable { .. })), "{error:?}");
    assert!(matches!(client.stat("f").await, Err(FetchError::Unreachable { .. })));
}
