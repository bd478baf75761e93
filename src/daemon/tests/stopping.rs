//! A daemon that stops while a peer does not.

use std::io;

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;

use super::*;
use crate::proto::drop::ReadRequest;
use crate::proto::drop::drop_client::DropClient;
use crate::secure::SessionHandle;
use crate::transfer::client::Client;
use crate::transfer::limits::{self, Deadlines};
use crate::transfer::{FetchError, Remote};

/// Less than a daemon waits for those that do not hear it (`CLOSE_DEADLINE`).
const SOON: Duration = Duration::from_secs(4);

const PIPE_BYTES: usize = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_never_closes_keeps_no_daemon() {
    let place = Place::new();
    let (alice, mut at_alice) = place.start("alice").await;
    let bob = Identity::generate().unwrap();
    know(&mut at_alice, "bob", &bob).await;
    // It neither speaks HTTP/2 nor answers a close.
    let mut silent = dial_as(&bob, &alice).await;
    // It is served from when the daemon has said its first byte.
    timeout(STUCK, silent.read_u8()).await.expect("nobody serves it").unwrap();
    timeout(STUCK, alice.close()).await.expect("the daemon waits for a silent peer");
    // What the daemon said last is there, and after that its authenticated close.
    let mut heard = Vec::new();
    let ended = timeout(STUCK, silent.read_to_end(&mut heard)).await;
    ended.expect("the connection stays").expect("it was cut without a word");
}

/// A session, and what a client has of it.
struct Line {
    io: DuplexStream,
    handle: SessionHandle,
    /// How the session was heard to end: an error unless it was closed.
    heard: JoinHandle<io::Result<()>>,
}

impl Line {
    async fn dial(peer: &Identity, daemon: &Daemon) -> Self {
        let session = dial_as(peer, daemon).await;
        let handle = session.handle();
        let (io, far) = tokio::io::duplex(PIPE_BYTES);
        Self { io, handle, heard: tokio::spawn(carry(session, far)) }
    }
}

async fn carry(session: SecureStream<TcpStream>, client: DuplexStream) -> io::Result<()> {
    let (mut from_peer, mut to_peer) = tokio::io::split(session);
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let said = async {
        // A peer that has closed does not take what the client says last.
        let _ = tokio::io::copy(&mut from_client, &mut to_peer).await;
        let _ = to_peer.shutdown().await;
    };
    let heard = async {
        let mut buffer = vec![0; 64 << 10];
        let ended = loop {
            match from_peer.read(&mut buffer).await {
                Ok(0) => break Ok(()),
                // A client that has gone does not hear it; the end is heard all the same.
                Ok(bytes) => drop(to_client.write_all(&buffer[..bytes]).await),
                Err(error) => break Err(error),
            }
        };
        let _ = to_client.shutdown().await;
        ended
    };
    tokio::join!(said, heard).1
}

/// What shows the last word of a stream, which the client keeps to itself.
async fn calls_over(io: DuplexStream) -> DropClient<tonic::transport::Channel> {
    let mut io = Some(TokioIo::new(io));
    let connector = tower::service_fn(move |_: http::Uri| {
        std::future::ready(io.take().ok_or_else(|| io::Error::other("used")))
    });
    DropClient::new(limits::endpoint().connect_with_connector(connector).await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_reads_that_wait_are_told_and_keep_no_daemon() {
    let place = Place::new();
    std::fs::write(place.path("share").join("f"), "shared").unwrap();
    let (alice, mut at_alice) = place.start("alice").await;
    let bob = Identity::generate().unwrap();
    know(&mut at_alice, "bob", &bob).await;
    let (own, bare) = (Line::dial(&bob, &alice).await, Line::dial(&bob, &alice).await);

    let client = Client::over(own.io, "alice", Account::new(), Deadlines::default()).await.unwrap();
    let version = client.stat("f").await.unwrap().version;
    let read = || Remote::read(&client, "f", version, 0, 6);
    assert_eq!(read().await.unwrap(), "shared");

    let mut calls = calls_over(bare.io).await;
    let (asks, asked) = mpsc::channel(1);
    let (path, length_bytes) = ("f".to_owned(), 6);
    asks.send(ReadRequest { path, length_bytes, ..Default::default() }).await.unwrap();
    let mut replies = calls.read(ReceiverStream::new(asked)).await.unwrap().into_inner();
    assert_eq!(replies.message().await.unwrap().unwrap().data, "shared");

    // Both clients stay, and their streams are open.
    timeout(SOON, alice.close()).await.expect("the daemon waits for streams that wait for it");
    let told = replies.message().await.unwrap_err();
    assert_eq!((told.code(), told.message()), (Code::Unavailable, "this daemon stops"));
    let refused = read().await.unwrap_err();
    assert!(matches!(refused, FetchError::Unreachable { .. }), "{refused}");
    for (heard, handle) in [(own.heard, own.handle), (bare.heard, bare.handle)] {
        let ended = timeout(STUCK, heard).await.expect("the connection stays").unwrap();
        ended.expect("it was cut off");
        assert!(handle.is_closed());
    }
    drop((client, calls, asks));
}
