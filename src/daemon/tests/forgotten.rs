//! Peers that are no longer known.

use super::*;
use crate::transfer::client::{Client, PushRequest};
use crate::transfer::limits::{Deadlines, WINDOW_BYTES};

/// Two that know each other, both of which dial.
struct Pair {
    _places: [Place; 2],
    alice: Daemon,
    at_alice: ControlClient,
    bob: Daemon,
    at_bob: ControlClient,
}

impl Pair {
    async fn start() -> Self {
        let places = [Place::new(), Place::new()];
        let (alice, mut at_alice) = places[0].start("alice").await;
        let (bob, mut at_bob) = places[1].start("bob").await;
        introduce(&mut at_alice, "bob", &bob, true).await;
        introduce(&mut at_bob, "alice", &alice, true).await;
        Self { _places: places, alice, at_alice, bob, at_bob }
    }
}

fn ping(peer: &str) -> wire::PingRequest {
    wire::PingRequest { peer: peer.to_owned(), count: 1 }
}

async fn remove(at: &mut ControlClient, name: &str) -> Result<(), tonic::Status> {
    let request = wire::RemovePeerRequest { name: name.to_owned() };
    at.remove_peer(request).await.map(|_| ())
}

async fn sessions(at: &mut ControlClient) -> usize {
    at.sessions(wire::SessionsRequest {}).await.unwrap().into_inner().sessions.len()
}

/// A pull from bob that is under way, in requests of 4 KiB, one after the other.
async fn begin_slow_pull(
    at: &mut ControlClient,
    path: &str,
) -> tonic::Streaming<wire::TransferEvent> {
    let request = wire::PullRequest {
        peer: "bob".to_owned(),
        path: path.to_owned(),
        mode: wire::Mode::RequestResponse.into(),
        chunk_bytes: 4096,
        depth: 1,
        destination: Some(wire::Destination { to: Some(To::HashOnly(true)) }),
        rekey_at_bytes: Vec::new(),
        lanes: 0,
    };
    let mut events = at.pull(request).await.unwrap().into_inner();
    let first = events.message().await.unwrap().unwrap().event;
    assert!(matches!(first, Some(Event::Progress(_))), "{first:?}");
    events
}

/// It ends with an error before all has come.
async fn assert_is_cut(events: &mut tonic::Streaming<wire::TransferEvent>) {
    let ended = loop {
        match events.message().await {
            Ok(Some(event)) => assert!(!matches!(event.event, Some(Event::Done(_))), "all came"),
            ended => break ended,
        }
    };
    assert!(ended.is_err(), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_peer_is_cut_off_hidden_and_refused() {
    let Pair { _places, alice, mut at_alice, bob, mut at_bob } = Pair::start().await;
    at_alice.ping(ping("bob")).await.unwrap();
    at_bob.ping(ping("alice")).await.unwrap();
    assert_eq!(sessions(&mut at_bob).await, 2, "one each way");
    let open = bob.core.shares.remote("alice").unwrap();

    remove(&mut at_bob, "alice").await.unwrap();
    assert_eq!(sessions(&mut at_bob).await, 0);
    assert!(bob.core.shares.names().is_empty(), "the mount shows nobody");
    let peers = at_bob.peers(wire::PeersRequest {}).await.unwrap().into_inner().peers;
    assert!(peers.is_empty(), "{peers:?}");
    let gone = open.list("").await.unwrap_err().to_string();
    assert!(gone.contains("removed"), "what was open does not dial again: {gone}");
    assert_eq!(at_bob.ping(ping("alice")).await.unwrap_err().code(), Code::NotFound);
    let refused = at_alice.ping(ping("bob")).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");
    let again = remove(&mut at_bob, "alice").await.unwrap_err();
    assert_eq!(again.code(), Code::NotFound, "{again}");

    // Known again, it is served again.
    introduce(&mut at_bob, "alice", &alice, true).await;
    at_alice.ping(ping("bob")).await.unwrap();
}

/// Bytes that are under way stop, too.
#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_of_a_removed_peer_ends() {
    let Pair { _places, alice: _alice, mut at_alice, bob: _bob, mut at_bob } = Pair::start().await;
    let sample = wire::MakeSampleRequest {
        path: "dir/f".to_owned(),
        // In requests of 4 KiB, one after the other: seconds, and the removal takes less.
        size_bytes: 64 << 20,
        seed: 0,
        entropy: wire::Entropy::Zeros.into(),
    };
    at_bob.make_sample(sample).await.unwrap();
    let mut events = begin_slow_pull(&mut at_alice, "dir/f").await;
    remove(&mut at_bob, "alice").await.unwrap();
    assert_is_cut(&mut events).await;
}

/// Who is forgotten takes nobody else's bytes along.
#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_of_another_peer_goes_on() {
    let Pair { _places: places, alice: _alice, mut at_alice, bob, mut at_bob } =
        Pair::start().await;
    // More than a window and all buffers: what is not read is not over.
    let size_bytes = 2 * u64::from(WINDOW_BYTES);
    let file = std::fs::File::create(places[1].path("share").join("f")).unwrap();
    file.set_len(size_bytes).unwrap();
    let carol = Identity::generate().unwrap();
    know(&mut at_bob, "carol", &carol).await;
    let stream = dial_as(&carol, &bob).await;
    let session = stream.handle();
    let client = Client::over(stream, "bob", Account::new(), Deadlines::default()).await.unwrap();
    let request = PushRequest { path: "f".to_owned(), ..PushRequest::default() };
    let mut push = client.push(request).await.unwrap();
    let mut bytes = push.next().await.unwrap().unwrap().len() as u64;

    let mut events = begin_slow_pull(&mut at_alice, "f").await;
    remove(&mut at_bob, "alice").await.unwrap();
    assert_is_cut(&mut events).await;
    while let Some(data) = push.next().await.unwrap() {
        bytes += data.len() as u64;
    }
    assert_eq!(bytes, size_bytes);
    client.ping().await.unwrap();
    assert!(!session.is_closed());
}

/// `AddPeer` with another id under a known name takes the old id's sessions with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_id_is_cut_off_and_a_new_address_is_not() {
    let Pair { _places, alice, mut at_alice, bob, mut at_bob } = Pair::start().await;
    at_alice.ping(ping("bob")).await.unwrap();
    // The same id: only dialled from now on.
    introduce(&mut at_bob, "alice", &alice, false).await;
    let before = at_alice.sessions(wire::SessionsRequest {}).await.unwrap().into_inner().sessions;
    at_alice.ping(ping("bob")).await.unwrap();
    let after = at_alice.sessions(wire::SessionsRequest {}).await.unwrap().into_inner().sessions;
    assert_eq!(before[0].session_id, after[0].session_id, "it went on");

    let accepted = bob.core.accepted.all();
    assert_eq!(accepted.len(), 1);
    let (name, id) = ("alice".to_owned(), other_id());
    at_bob.add_peer(wire::AddPeerRequest { name, id, address: String::new() }).await.unwrap();
    accepted[0].closed().await;
    let refused = at_alice.ping(ping("bob")).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");
}
