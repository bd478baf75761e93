//! Peers that misbehave: what a client makes of them.

use futures::StreamExt as _;
use tokio::time::{Duration, Instant, advance};
use tonic::{Code, Request, Response, Status, Streaming};

use super::*;
use crate::proto::drop as wire;
use crate::proto::drop::drop_server::Drop as DropCalls;
use crate::transfer::direct::Direct;

const UNARY_MS: u64 = 3_000;
const STALL_MS: u64 = 4_000;

/// A peer that misbehaves as told.
struct Fake(Misdeed);

#[derive(Clone, Copy)]
enum Misdeed {
    Silent,
    FailsReads,
    ForeignId,
    OtherVersion,
    /// Answers all reads but the first.
    Withholds,
    /// Fails the first read, then the stream, with more words than anybody wants.
    Rambles,
}

/// More than is kept of a reason, and nothing for a terminal.
fn rambling() -> String {
    "\u{1b}[31mgone\r\n".repeat(200)
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
                Misdeed::FailsReads | Misdeed::Withholds if request.id == 0 => None,
                Misdeed::FailsReads => Some(Err(Status::data_loss("disk on fire"))),
                Misdeed::Withholds => Some(Ok(reply)),
                Misdeed::Rambles if request.id == 0 => {
                    let (code, message) = (Code::DataLoss as u32, rambling());
                    Some(Ok(wire::ReadReply { code, message, ..reply }))
                }
                Misdeed::Rambles => Some(Err(Status::data_loss(rambling()))),
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
    let deadlines = Deadlines { unary_ms: UNARY_MS, stall_ms: STALL_MS };
    connect(Direct::new(Fake(misdeed)), deadlines).await
}

#[tokio::test(start_paused = true)]
async fn silence_is_a_timeout() {
    let client = connect_fake(Misdeed::Silent).await;
    let path = "f".to_owned();
    let request = client::PushRequest { path, ..Default::default() };
    let deadline = |result: FetchError| match result {
        FetchError::TimedOut { deadline_ms, .. } => deadline_ms,
        other => panic!("{other}"),
    };
    assert_eq!(deadline(client.stat("f").await.unwrap_err()), UNARY_MS);
    let mut push = client.push(request).await.unwrap();
    assert_eq!(deadline(push.next().await.unwrap_err()), STALL_MS);
    assert_eq!(deadline(Remote::read(&client, "f", VERSION, 0, 1).await.unwrap_err()), STALL_MS);
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

/// Answers that never stop do not keep a read waiting that is left out.
#[tokio::test(start_paused = true)]
async fn a_read_that_is_left_out_is_a_timeout_though_others_are_answered() {
    const STEP: Duration = Duration::from_millis(100);
    let client = connect_fake(Misdeed::Withholds).await;
    let read = |path: &str| Remote::read(&client, path, VERSION, 0, 1);
    let (mut first, mut others, began) = (read("f"), 0, Instant::now());
    let error = loop {
        tokio::select! {
            // In this order they are asked for, too.
            biased;
            ended = &mut first => break ended.unwrap_err(),
            other = read("g") => assert_eq!(other.unwrap(), "x"),
        }
        others += 1;
        // So many may overtake it, and then the stall begins.
        assert!(began.elapsed() < Duration::from_millis(2 * STALL_MS), "{others} answers");
        advance(STEP).await;
    };
    assert!(matches!(error, FetchError::TimedOut { deadline_ms: STALL_MS, .. }), "{error}");
    // They overtake it, and then comes the stall, in which some are answered, too.
    let least = limits::READ_IN_FLIGHT_MAX as u64 + STALL_MS / 100 - 2;
    assert!(others >= least, "only {others} answers");
}

#[tokio::test]
async fn what_a_peer_says_of_an_error_is_cut_and_printable() {
    let client = connect_fake(Misdeed::Rambles).await;
    for way in ["in an answer", "at the end of the stream"] {
        let reason = match Remote::read(&client, "f", VERSION, 0, 1).await.unwrap_err() {
            FetchError::Failed { reason, .. } => reason,
            other => panic!("{way}: {other}"),
        };
        assert!(reason.starts_with("\u{fffd}[31mgone\u{fffd}\u{fffd}"), "{way}: {reason:?}");
        assert!(!reason.contains(char::is_control), "{way}: {reason:?}");
        // What is kept, and the code.
        assert!((512..550).contains(&reason.chars().count()), "{way}: {reason:?}");
    }
}
