//! A daemon that stops while a peer does not.

use std::io;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;

use super::*;
use crate::daemon::peers::PeerEntry;
use crate::daemon::run::CLOSE_DEADLINE;
use crate::proto::drop::ReadRequest;
use crate::proto::drop::drop_client::DropClient;
use crate::secure::SessionHandle;
use crate::transfer::client::Client;
use crate::transfer::limits::{self, Deadlines};
use crate::transfer::{FetchError, Remote};

/// Less than a session that says nothing lives by itself (`PREFACE_DEADLINE`).
const SOON: Duration = Duration::from_secs(20);

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
    let ended = timeout(SOON, silent.read_to_end(&mut heard)).await;
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

    // Both clients stay, and their streams are open. Later they would be cut off.
    timeout(CLOSE_DEADLINE, alice.close())
        .await
        .expect("the daemon waits for streams that wait for it");
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

/// Carries a connection to `to`, but not before it is told so. Tells when it has it.
async fn held_back(to: String) -> (String, oneshot::Receiver<()>, oneshot::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let ((came, come), (go, gone)) = (oneshot::channel(), oneshot::channel());
    tokio::spawn(async move {
        let (mut here, _) = listener.accept().await.unwrap();
        came.send(()).unwrap();
        gone.await.unwrap();
        let mut there = TcpStream::connect(to).await.unwrap();
        // Until one of the ends has gone.
        let _ = tokio::io::copy_bidirectional(&mut here, &mut there).await;
    });
    (address, come, go)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dial_that_is_under_way_brings_no_session_any_more() {
    let places = [Place::new(), Place::new()];
    let (alice, _at_alice) = places[0].start("alice").await;
    let (bob, _at_bob) = places[1].start("bob").await;
    let known = |name: &str, id, address| PeerEntry { name: name.to_owned(), id, address };
    bob.core.add_peer(known("alice", alice.id(), None)).unwrap();
    let (address, come, go) = held_back(bob.listen_address().to_owned()).await;
    alice.core.add_peer(known("bob", bob.id(), Some(address))).unwrap();
    let peer = alice.core.peers.find("bob").unwrap();
    let dialling = tokio::spawn({
        let peer = Arc::clone(&peer);
        async move { peer.session().await.map(drop) }
    });
    timeout(STUCK, come).await.expect("nobody dials").unwrap();
    timeout(STUCK, alice.close()).await.expect("the daemon waits for a dial");
    go.send(()).unwrap();
    let dialled = timeout(STUCK, dialling).await.expect("it dials for ever").unwrap();
    let error = dialled.unwrap_err();
    assert!(matches!(error, FetchError::Unreachable { .. }), "{error}");
    assert!(peer.current().is_none());
    // The peer hears a close, not a break.
    for session in bob.core.accepted.all() {
        timeout(SOON, session.closed()).await.expect("the peer still has a session");
    }
    bob.close().await;
}
