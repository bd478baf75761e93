//! Pushes over several connections of a session, over TCP.

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::*;
use crate::net::{self, Listener, SessionOptions};
use crate::secure::{Identity, SecureStream, SessionHandle};

const SIZE_BYTES: u64 = 24 << 20;
const PART_BYTES: u32 = 64 << 10;

/// A share that is served, and a session with it.
struct Peers {
    client: Client,
    session: SessionHandle,
    identity: Identity,
    address: String,
    options: SessionOptions,
}

impl Peers {
    async fn connect(share: &Path) -> Self {
        let (identity, server) = (Identity::generate().unwrap(), Identity::generate().unwrap());
        let (reader, id, options) = (identity.id(), server.id(), SessionOptions::default());
        let listener = Listener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_address().to_string();
        let known = move |id: &crate::secure::PeerId| (*id == reader).then(|| "reader".to_owned());
        let incoming = listener.incoming(Arc::new(server), Arc::new(known), options.clone());
        let find = |extensions: &http::Extensions| {
            let handle = extensions.get::<SessionHandle>()?.clone();
            let (peer, account) = (handle.peer_name().to_owned(), handle.account().clone());
            Some(Caller { peer, account, received: WireCounter::of(handle) })
        };
        let service = Service::server(Arc::new(Source::open(share).unwrap()), find);
        tokio::spawn(limits::server().add_service(service).serve_with_incoming(incoming));
        let account = Account::new();
        let dialled = net::dial(&address, "sharer", id, &identity, &options, account.clone());
        let stream = dialled.await.unwrap();
        let session = stream.handle();
        let client = Client::over(stream, "sharer", account, Deadlines::default()).await.unwrap();
        client.ping().await.unwrap();
        Self { client, session, identity, address, options }
    }

    async fn lane_over(&self, address: &str) -> SecureStream<TcpStream> {
        net::join(address, &self.session, &self.identity, &self.options).await.unwrap()
    }

    async fn add_lane_over(&self, address: &str) -> SessionHandle {
        let lane = self.lane_over(address).await;
        let handle = lane.handle();
        self.client.add_lane(lane, handle.clone()).await.unwrap();
        handle
    }

    async fn push(&self, lanes: u8) -> client::Push {
        let version = self.client.stat("f").await.unwrap().version;
        let request = client::PushRequest {
            path: "f".to_owned(),
            version: Some(version),
            part_bytes: Some(PART_BYTES),
            lanes_max: lanes.into(),
            ..Default::default()
        };
        self.client.push(request).await.unwrap()
    }
}

/// Carries one connection to `to` until it is aborted.
async fn relay(to: String) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let carrying = tokio::spawn(async move {
        let (mut here, _) = listener.accept().await.unwrap();
        let mut there = TcpStream::connect(to).await.unwrap();
        // How it ends is the ends' affair.
        let _ = tokio::io::copy_bidirectional(&mut here, &mut there).await;
    });
    (address, carrying)
}

async fn digest(mut push: client::Push) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    while let Some(data) = push.next().await.unwrap() {
        hasher.update(&data);
    }
    hasher.finalize()
}

#[tokio::test]
async fn every_lane_carries_its_share_in_order() {
    let share = tempfile::tempdir().unwrap();
    let sent = write_sample(share.path(), "f", SIZE_BYTES);
    let peers = Peers::connect(share.path()).await;
    let mut lanes = vec![peers.session.clone()];
    for number in 1..4 {
        let lane = peers.add_lane_over(&peers.address).await;
        assert_eq!((lane.lane(), lane.peer_name()), (number, "sharer"));
        assert_eq!(lane.folds(), 1);
        lanes.push(lane);
    }
    let received = |lane: &SessionHandle| lane.counters().plain_bytes_received;
    let before: Vec<u64> = lanes.iter().map(received).collect();
    assert_eq!(digest(peers.push(4).await).await, sent);
    for (lane, before) in lanes.iter().zip(before) {
        let bytes = received(lane) - before;
        let fair = SIZE_BYTES / 4;
        assert!(bytes >= fair && bytes < fair + fair / 10, "{bytes} of {fair} bytes");
    }
    let before = received(&lanes[1]);
    assert_eq!(digest(peers.push(1).await).await, sent);
    assert_eq!(received(&lanes[1]), before, "nobody asked for lanes");
}

#[tokio::test]
async fn a_lane_that_dies_leaves_its_share_to_the_others() {
    let share = tempfile::tempdir().unwrap();
    let sent = write_sample(share.path(), "f", SIZE_BYTES);
    let peers = Peers::connect(share.path()).await;
    let (address, relay) = relay(peers.address.clone()).await;
    let dying = peers.add_lane_over(&address).await;
    peers.add_lane_over(&peers.address).await;
    let mut push = peers.push(3).await;
    let mut hasher = blake3::Hasher::new();
    for _ in 0..10 {
        hasher.update(&push.next().await.unwrap().unwrap());
    }
    relay.abort();
    while let Some(data) = push.next().await.unwrap() {
        hasher.update(&data);
    }
    assert_eq!(hasher.finalize(), sent);
    dying.closed().await;
    assert_eq!(peers.client.sweep_lanes(), 2);
    // One that takes its place.
    peers.add_lane_over(&peers.address).await;
    assert_eq!(digest(peers.push(3).await).await, sent);
}

#[tokio::test]
async fn when_the_first_connection_dies_the_lanes_finish() {
    let share = tempfile::tempdir().unwrap();
    let sent = write_sample(share.path(), "f", SIZE_BYTES);
    let mut peers = Peers::connect(share.path()).await;
    // A session through a relay whose lane goes straight.
    let (address, relay) = relay(peers.address.clone()).await;
    let id = peers.session.peer_id();
    let account = Account::new();
    let dialled =
        net::dial(&address, "sharer", id, &peers.identity, &peers.options, account.clone());
    let stream = dialled.await.unwrap();
    peers.session = stream.handle();
    let client = Client::over(stream, "sharer", account, Deadlines::default());
    peers.client = client.await.unwrap();
    peers.client.ping().await.unwrap();
    peers.add_lane_over(&peers.address).await;
    let mut push = peers.push(2).await;
    let mut hasher = blake3::Hasher::new();
    hasher.update(&push.next().await.unwrap().unwrap());
    relay.abort();
    while let Some(data) = push.next().await.unwrap() {
        hasher.update(&data);
    }
    assert_eq!(hasher.finalize(), sent);
}

#[tokio::test]
async fn a_session_has_so_many_lanes_and_no_more() {
    let share = tempfile::tempdir().unwrap();
    let peers = Peers::connect(share.path()).await;
    for _ in 0..crate::secure::lane::TICKETS {
        drop(peers.lane_over(&peers.address).await);
    }
    let again = net::join(&peers.address, &peers.session, &peers.identity, &peers.options).await;
    let error = again.unwrap_err().to_string();
    assert!(error.contains("has used all"), "{error}");
    assert!(peers.client.ping().await.is_ok(), "the session goes on");
}

/// Somebody who asks and does not read holds a window, and holds nobody up.
#[tokio::test]
async fn a_push_that_nobody_reads_is_bounded_and_alone() {
    let share = tempfile::tempdir().unwrap();
    let file = std::fs::File::create(share.path().join("f")).unwrap();
    file.set_len(4 * u64::from(limits::WINDOW_BYTES)).unwrap();
    let peers = Peers::connect(share.path()).await;
    let mut unread = peers.push(1).await;
    unread.next().await.unwrap();
    let received = || peers.session.counters().plain_bytes_received;
    let window = u64::from(limits::WINDOW_BYTES);
    while received() < window * 9 / 10 {
        tokio::task::yield_now().await;
    }
    // Others go on, more than is left of a window: nothing of it is taken by the first.
    let version = peers.client.stat("f").await.unwrap().version;
    for _ in 0..8 {
        Remote::read(&peers.client, "f", version, 0, limits::CHUNK_BYTES_MAX).await.unwrap();
    }
    let others = 8 * u64::from(limits::CHUNK_BYTES_MAX);
    assert!(received() < window + others + (4 << 20), "{} bytes", received());
    drop(unread);
}
