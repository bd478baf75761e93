//! Pulls over several connections of a session.

use std::sync::{Arc, Mutex};

use futures::future::select_all;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;

const SIZE_BYTES: u64 = 8 << 20;

/// Carries connections to a daemon until they are cut, in the order in which they came.
#[derive(Clone, Default)]
struct Relay(Arc<Mutex<Vec<JoinHandle<()>>>>);

impl Relay {
    /// Listens, and carries each connection to `target`.
    async fn to(&self, target: &str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (relay, target) = (self.clone(), target.to_owned());
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let target = target.clone();
                let carrying = tokio::spawn(async move {
                    let mut far = TcpStream::connect(target).await.unwrap();
                    // How it ends is the ends' affair.
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                });
                relay.0.lock().unwrap().push(carrying);
            }
        });
        address
    }

    fn cut(&self, index: usize) {
        self.0.lock().unwrap()[index].abort();
    }
}

/// Makes the file `f` at a daemon; its digest.
async fn make_sample(client: &mut ControlClient) -> Vec<u8> {
    let sample = wire::MakeSampleRequest {
        path: "f".to_owned(),
        size_bytes: SIZE_BYTES,
        seed: 3,
        entropy: wire::Entropy::Unspecified.into(),
    };
    client.make_sample(sample).await.unwrap().into_inner().blake3
}

async fn pull_with(
    client: &mut ControlClient,
    mode: wire::Mode,
    lanes: u32,
) -> Result<wire::TransferDone, tonic::Status> {
    let request = wire::PullRequest {
        peer: "bob".to_owned(),
        path: "f".to_owned(),
        mode: mode.into(),
        destination: Some(wire::Destination { to: Some(To::HashOnly(true)) }),
        lanes,
        ..Default::default()
    };
    let mut events = client.pull(request).await?.into_inner();
    while let Some(event) = events.message().await? {
        if let Some(Event::Done(done)) = event.event {
            return Ok(done);
        }
    }
    panic!("the stream ended without a result");
}

/// The lanes of the sessions with this peer, as a daemon counts them.
async fn lanes(client: &mut ControlClient) -> Vec<u32> {
    let sessions = client.sessions(wire::SessionsRequest {}).await.unwrap().into_inner();
    let mut lanes: Vec<u32> = sessions.sessions.iter().map(|session| session.lane).collect();
    lanes.sort_unstable();
    lanes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_has_as_many_lanes_as_it_asks_for() {
    let (here, there) = (Place::new(), Place::new());
    let (alice, mut at_alice) = here.start("alice").await;
    let (bob, mut at_bob) = there.start("bob").await;
    introduce(&mut at_alice, "bob", &bob, true).await;
    introduce(&mut at_bob, "alice", &alice, false).await;
    let want = make_sample(&mut at_bob).await;

    let done = pull_with(&mut at_alice, wire::Mode::Push, 3).await.unwrap();
    assert_eq!((done.lanes, &done.blake3), (3, &want));
    let (before, after) = (done.before.unwrap(), done.after.unwrap());
    let received = after.plain_bytes_received - before.plain_bytes_received;
    assert!(received >= SIZE_BYTES, "{received} bytes of all lanes together");
    assert_eq!(lanes(&mut at_alice).await, [0, 1, 2]);
    assert_eq!(lanes(&mut at_bob).await, [0, 1, 2]);

    let done = pull_with(&mut at_alice, wire::Mode::Push, 0).await.unwrap();
    assert_eq!((done.lanes, &done.blake3), (1, &want), "it asked for none");
    for (mode, lanes, words) in [
        (wire::Mode::Push, 9, "not between 1 and 8"),
        (wire::Mode::Push, 300, "not between 1 and 8"),
        (wire::Mode::RequestResponse, 2, "only a push has lanes"),
    ] {
        let status = pull_with(&mut at_alice, mode, lanes).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains(words), "{}", status.message());
    }

    // Bob forgets Alice: her lanes go with the session.
    let name = "alice".to_owned();
    at_bob.remove_peer(wire::RemovePeerRequest { name }).await.unwrap();
    assert_eq!(lanes(&mut at_bob).await, [0u32; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_was_cut_is_replaced_for_the_next_pull() {
    let (here, there) = (Place::new(), Place::new());
    let (alice, mut at_alice) = here.start("alice").await;
    let (bob, mut at_bob) = there.start("bob").await;
    let relay = Relay::default();
    let address = relay.to(bob.listen_address()).await;
    let (name, id) = ("bob".to_owned(), bob.id().to_string());
    at_alice.add_peer(wire::AddPeerRequest { name, id, address }).await.unwrap();
    introduce(&mut at_bob, "alice", &alice, false).await;
    let want = make_sample(&mut at_bob).await;
    let done = pull_with(&mut at_alice, wire::Mode::Push, 3).await.unwrap();
    assert_eq!((done.lanes, &done.blake3), (3, &want));
    assert_eq!(lanes(&mut at_alice).await, [0, 1, 2]);

    let connections = alice.core.peers.find("bob").unwrap().current().unwrap().handles();
    // The first is the session's own; which lane the next is, chance says.
    relay.cut(1);
    let ended = select_all(connections.iter().map(|handle| Box::pin(handle.closed())));
    timeout(STUCK, ended).await.expect("the lane is still up");
    let mut left = lanes(&mut at_alice).await;
    assert!(left == [0, 1] || left == [0, 2], "{left:?}");

    let done = pull_with(&mut at_alice, wire::Mode::Push, 3).await.unwrap();
    assert_eq!((done.lanes, &done.blake3), (3, &want));
    left.push(3);
    assert_eq!(lanes(&mut at_alice).await, left, "a number is used once");
}
