//! Pulls over several connections of a session.

use super::*;

const SIZE_BYTES: u64 = 8 << 20;

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
    let sample = wire::MakeSampleRequest {
        path: "f".to_owned(),
        size_bytes: SIZE_BYTES,
        seed: 3,
        entropy: wire::Entropy::Unspecified.into(),
    };
    let want = at_bob.make_sample(sample).await.unwrap().into_inner().blake3;

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
