//! A peer that makes more connections than a daemon keeps for it.

use tokio::io::AsyncReadExt as _;
use tokio::time::{Instant, timeout};

use super::*;
use crate::daemon::core::ACCEPTED_PER_PEER_MAX;
use crate::secure::SessionHandle;
use crate::transfer::client::Client;
use crate::transfer::limits::Deadlines;

/// Less than a session that says nothing lives by itself (`PREFACE_DEADLINE`).
const SOON: Duration = Duration::from_secs(20);

/// A client of HTTP/2 over a session of its own, and the session.
async fn client_of(peer: &Identity, daemon: &Daemon) -> (Client, SessionHandle) {
    let session = dial_as(peer, daemon).await;
    let handle = session.handle();
    let client = Client::over(session, "daemon", Account::new(), Deadlines::default()).await;
    (client.unwrap(), handle)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_too_many_costs_a_peer_its_oldest_and_others_nothing() {
    let place = Place::new();
    let (alice, mut at_alice) = place.start("alice").await;
    let (bob, carol) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    know(&mut at_alice, "bob", &bob).await;
    know(&mut at_alice, "carol", &carol).await;
    let (hers, her_session) = client_of(&carol, &alice).await;
    hers.ping().await.unwrap();

    let (mut sessions, began) = (Vec::new(), Instant::now());
    for _ in 0..ACCEPTED_PER_PEER_MAX {
        let mut session = dial_as(&bob, &alice).await;
        // It is served from when the daemon has said its first byte: so they are in order.
        timeout(STUCK, session.read_u8()).await.expect("nobody serves it").unwrap();
        sessions.push(session);
    }
    let of_bob = || -> Vec<SessionHandle> {
        let accepted = alice.core.accepted.all().into_iter();
        accepted.filter(|handle| handle.peer_id() == bob.id()).collect()
    };
    let served = of_bob();
    assert_eq!(served.len(), ACCEPTED_PER_PEER_MAX, "as many as may be are up");

    let (newest, _) = client_of(&bob, &alice).await;
    newest.ping().await.unwrap();
    timeout(STUCK, served[0].closed()).await.expect("the oldest is still served");
    assert!(began.elapsed() < SOON, "too slow a machine: it may have ended by itself");
    let ended = timeout(STUCK, sessions[0].read_to_end(&mut Vec::new())).await;
    ended.expect("the connection stays").expect("it was cut without a word");
    assert!(served[1..].iter().all(|handle| !handle.is_closed()), "the others are up");
    assert_eq!(of_bob().len(), ACCEPTED_PER_PEER_MAX);
    hers.ping().await.unwrap();
    assert!(!her_session.is_closed());
}
