//! A daemon that stops while a peer does not.

use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

use super::*;
use crate::net::{SessionOptions, dial};
use crate::secure::Identity;
use crate::telemetry::layers::Account;

/// Many times what a daemon gives its sessions to end.
const STUCK: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_never_closes_keeps_no_daemon() {
    let place = Place::new();
    let (alice, mut at_alice) = place.start("alice").await;
    let bob = Identity::generate().unwrap();
    let (name, id) = ("bob".to_owned(), bob.id().to_string());
    at_alice.add_peer(wire::AddPeerRequest { name, id, address: String::new() }).await.unwrap();
    let (address, options) = (alice.listen_address().to_owned(), SessionOptions::default());
    let dialled = dial(&address, "alice", alice.id(), &bob, &options, Account::new()).await;
    // It neither speaks HTTP/2 nor answers a close.
    let mut silent = dialled.unwrap();
    // It is served from when the daemon has said its first byte.
    timeout(STUCK, silent.read_u8()).await.expect("nobody serves it").unwrap();
    timeout(STUCK, alice.close()).await.expect("the daemon waits for a silent peer");
    // What the daemon said last is there, and after that its authenticated close.
    let mut heard = Vec::new();
    let ended = timeout(STUCK, silent.read_to_end(&mut heard)).await;
    ended.expect("the connection stays").expect("it was cut without a word");
}
