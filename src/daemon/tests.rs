use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use tokio::net::TcpStream;
use tonic::Code;

use super::config::{Config, ControlListen};
use super::control_client::{ControlAddress, ControlClient, connect};
use super::run::{Daemon, StartError};
use crate::net::{SessionOptions, dial};
use crate::proto::control as wire;
use crate::proto::control::destination::To;
use crate::proto::control::transfer_event::Event;
use crate::sample::Sample;
use crate::secure::{Identity, Provider, RekeyLimits, SecureStream, SuiteChoice};
use crate::telemetry::layers::Account;

mod capture;
mod forgotten;
mod lanes;
mod many;
mod stopping;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// Many times what anything here takes, and a daemon gives its sessions to end.
const STUCK: Duration = Duration::from_secs(60);

struct Place {
    base: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let base = tempfile::tempdir().unwrap();
        std::fs::create_dir(base.path().join("share")).unwrap();
        Self { base }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.base.path().join(name)
    }

    fn config(&self, name: &str) -> Config {
        Config {
            name: name.to_owned(),
            listen: "127.0.0.1:0".to_owned(),
            control: ControlListen::Unix(self.path("control.sock")),
            state: self.path("state"),
            share: self.path("share"),
            mount: None,
            rekey: RekeyLimits { bytes: 1 << 20, ..RekeyLimits::default() },
            suites: SuiteChoice::Auto,
            provider: Provider::default(),
            otlp_endpoint: None,
            peers: Vec::new(),
        }
    }

    async fn start(&self, name: &str) -> (Daemon, ControlClient) {
        let daemon = Daemon::start(self.config(name), None).await.unwrap();
        let address = ControlAddress::Unix(self.path("control.sock"));
        (daemon, connect(&address).await.unwrap())
    }
}

async fn introduce(client: &mut ControlClient, name: &str, other: &Daemon, dial: bool) {
    let address = if dial { other.listen_address().to_owned() } else { String::new() };
    let (name, id) = (name.to_owned(), other.id().to_string());
    client.add_peer(wire::AddPeerRequest { name, id, address }).await.unwrap();
}

/// Makes a peer known that has no daemon.
async fn know(client: &mut ControlClient, name: &str, peer: &Identity) {
    let (name, id) = (name.to_owned(), peer.id().to_string());
    client.add_peer(wire::AddPeerRequest { name, id, address: String::new() }).await.unwrap();
}

/// A session of such a peer with a daemon.
async fn dial_as(peer: &Identity, daemon: &Daemon) -> SecureStream<TcpStream> {
    let (address, options) = (daemon.listen_address(), SessionOptions::default());
    dial(address, "daemon", daemon.id(), peer, &options, Account::new()).await.unwrap()
}

async fn pull(
    client: &mut ControlClient,
    mode: wire::Mode,
    to: To,
) -> Result<wire::TransferDone, tonic::Status> {
    let request = wire::PullRequest {
        peer: "bob".to_owned(),
        path: "dir/f".to_owned(),
        mode: mode.into(),
        chunk_bytes: 0,
        depth: 0,
        destination: Some(wire::Destination { to: Some(to) }),
        rekey_at_bytes: Vec::new(),
        lanes: 0,
    };
    let mut events = client.pull(request).await?.into_inner();
    while let Some(event) = events.message().await? {
        if let Some(Event::Done(done)) = event.event {
            return Ok(done);
        }
    }
    panic!("the stream ended without a result");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_daemons_share_a_file() {
    const SIZE: u64 = 5_000_000;
    let (here, there) = (Place::new(), Place::new());
    let (alice, mut at_alice) = here.start("alice").await;
    let (bob, mut at_bob) = there.start("bob").await;
    introduce(&mut at_alice, "bob", &bob, true).await;
    introduce(&mut at_bob, "alice", &alice, false).await;
    let want = Sample::digest(3, SIZE).as_bytes().to_vec();
    let sample = wire::MakeSampleRequest {
        path: "dir/f".to_owned(),
        size_bytes: SIZE,
        seed: 3,
        entropy: wire::Entropy::Unspecified.into(),
    };
    assert_eq!(at_bob.make_sample(sample).await.unwrap().into_inner().blake3, want);

    for (mode, name) in [(wire::Mode::Push, "push"), (wire::Mode::RequestResponse, "rr")] {
        let hashed = pull(&mut at_alice, mode, To::HashOnly(true)).await.unwrap();
        assert_eq!((hashed.bytes, hashed.blake3), (SIZE, want.clone()));
        let (before, after) = (hashed.before.unwrap(), hashed.after.unwrap());
        assert!(before.dialled && before.session_id == after.session_id);
        assert!(after.plain_bytes_received - before.plain_bytes_received >= SIZE);
        assert!(after.wire_bytes_received > after.plain_bytes_received);
        assert!(after.epoch_received >= before.epoch_received + 4, "a key lasts 1 MiB");
        let to = To::Download(name.to_owned());
        assert_eq!(pull(&mut at_alice, mode, to).await.unwrap().bytes, SIZE);
        let file = Some(wire::digest_request::File::Download(name.to_owned()));
        let digest = at_alice.digest(wire::DigestRequest { file }).await.unwrap().into_inner();
        assert_eq!((digest.size_bytes, digest.blake3), (SIZE, want.clone()));
    }
    let discard = wire::DiscardRequest { download: "rr".to_owned() };
    at_alice.discard(discard.clone()).await.unwrap();
    assert_eq!(at_alice.discard(discard).await.unwrap_err().code(), Code::NotFound);

    let sessions = at_alice.sessions(wire::SessionsRequest {}).await.unwrap().into_inner();
    let before = &sessions.sessions[0];
    let peer = "bob".to_owned();
    let epochs =
        at_alice.rekey(wire::RekeyRequest { peer, fold: false }).await.unwrap().into_inner();
    assert!(epochs.epoch_sent > before.epoch_sent);
    assert!(epochs.epoch_received > before.epoch_received);
    let fold = wire::RekeyRequest { peer: "bob".to_owned(), fold: true };
    let folded = at_alice.rekey(fold).await.unwrap().into_inner();
    assert!(folded.folds > epochs.folds && folded.epoch_sent > epochs.epoch_sent);
    let served = at_bob.sessions(wire::SessionsRequest {}).await.unwrap().into_inner();
    assert!(!served.sessions[0].dialled && served.sessions[0].peer == "alice");
    assert!(served.sessions[0].layers.iter().any(|l| l.layer == "disk" && l.self_ns > 0));

    let ping = wire::PingRequest { peer: "bob".to_owned(), count: 3 };
    let pings = at_alice.ping(ping).await.unwrap().into_inner();
    assert_eq!(pings.rtt_ns.len(), 3);
    for wire_bytes in [pings.wire_bytes_sent, pings.wire_bytes_received] {
        assert!((50..1_000).contains(&wire_bytes), "{pings:?}");
    }
    for records in [pings.records_sent, pings.records_received] {
        assert!((1..=4).contains(&records), "{pings:?}");
    }
    check_bursts(&mut at_alice).await;
    let list = wire::ListRequest { peer: "bob".to_owned(), path: String::new() };
    let entries = at_alice.list(list).await.unwrap().into_inner().entries;
    assert!(entries[0].directory && entries[0].name == "dir");

    at_bob.stop(wire::StopRequest {}).await.unwrap();
    bob.stopped().await;
    drop(at_bob);
    bob.close().await;
    assert!(!there.path("control.sock").exists());
    alice.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_peers_are_refused_on_both_sides() {
    let (here, there) = (Place::new(), Place::new());
    let (_alice, mut at_alice) = here.start("alice").await;
    let (bob, mut at_bob) = there.start("bob").await;
    let ping = || wire::PingRequest { peer: "bob".to_owned(), count: 1 };
    assert_eq!(at_alice.ping(ping()).await.unwrap_err().code(), Code::NotFound);
    // Bob does not know alice.
    introduce(&mut at_alice, "bob", &bob, true).await;
    let refused = at_alice.ping(ping()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");
    let status = at_alice.status(wire::StatusRequest {}).await.unwrap().into_inner();
    assert!(!status.peers[0].connected && !status.peers[0].last_error.is_empty());
    // Somebody else answers at bob's address.
    introduce(&mut at_bob, "alice", &_alice, false).await;
    let address = bob.listen_address().to_owned();
    let (name, id) = ("bob".to_owned(), other_id());
    at_alice.add_peer(wire::AddPeerRequest { name, id, address }).await.unwrap();
    assert_eq!(at_alice.ping(ping()).await.unwrap_err().code(), Code::Unavailable);
}

/// What is timed is less than three quarters of the burst, framing included.
async fn check_bursts(at_alice: &mut ControlClient) {
    use wire::BurstDirection::{FromPeer, ToPeer, Unspecified};
    const BYTES: u64 = 16 << 20;
    let request = |bytes, direction: wire::BurstDirection| wire::BurstRequest {
        peer: "bob".to_owned(),
        bytes,
        direction: direction.into(),
    };
    for direction in [ToPeer, FromPeer] {
        let burst = at_alice.burst(request(BYTES, direction)).await.unwrap().into_inner();
        assert_eq!(burst.bytes, BYTES);
        // More than the first quarter may be here when the timing begins, but the
        // receiver's task does not sleep through all of it.
        assert!(burst.wire_bytes < BYTES * 3 / 4, "{direction:?}: {burst:?}");
        assert!(burst.wire_bytes > 0 && burst.span_ns > 0, "{direction:?}: {burst:?}");
    }
    for request in [request(BYTES, Unspecified), request(0, ToPeer), request(1 << 30, FromPeer)] {
        let refused = at_alice.burst(request.clone()).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{request:?}: {refused}");
    }
}

fn other_id() -> String {
    Identity::generate().unwrap().id().to_string()
}

/// At an address that was a daemon's a moment ago: until its listening task is gone,
/// or while another test's connection has taken the port, it is in use.
async fn start_again(config: Config) -> Daemon {
    const PAUSE: Duration = Duration::from_millis(10);
    let starting = async {
        loop {
            match Daemon::start(config.clone(), None).await {
                Err(StartError::Listen(error)) if error.source.kind() == ErrorKind::AddrInUse => {}
                started => return started.unwrap(),
            }
            // No event tells that a port is free.
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), starting).await.expect("the port gets free")
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_session_is_dialled_again() {
    let (here, there) = (Place::new(), Place::new());
    let (alice, mut at_alice) = here.start("alice").await;
    let (bob, mut at_bob) = there.start("bob").await;
    introduce(&mut at_bob, "alice", &alice, false).await;
    introduce(&mut at_alice, "bob", &bob, true).await;
    let ping = || wire::PingRequest { peer: "bob".to_owned(), count: 1 };
    at_alice.ping(ping()).await.unwrap();
    let sessions = |reply: wire::SessionsReply| reply.sessions[0].session_id;
    let first = at_alice.sessions(wire::SessionsRequest {}).await.unwrap().into_inner();
    // Bob restarts at the same address.
    let mut config = there.config("bob");
    config.listen = bob.listen_address().to_owned();
    drop(at_bob);
    bob.close().await;
    let bob = start_again(config).await;
    let control = ControlAddress::Unix(there.path("control.sock"));
    let mut at_bob = connect(&control).await.unwrap();
    introduce(&mut at_bob, "alice", &alice, false).await;
    at_alice.ping(ping()).await.unwrap();
    let second = at_alice.sessions(wire::SessionsRequest {}).await.unwrap().into_inner();
    assert_ne!(sessions(first), sessions(second));
    drop((at_alice, at_bob));
    futures::join!(alice.close(), bob.close());
}

#[tokio::test]
async fn control_socket_is_private_and_exclusive() {
    let place = Place::new();
    let (_daemon, mut client) = place.start("alice").await;
    let mode = std::fs::metadata(place.path("control.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(client.status(wire::StatusRequest {}).await.unwrap().into_inner().name, "alice");
    let second = Daemon::start(place.config("alice"), None).await.unwrap_err();
    assert!(matches!(second, StartError::Control(_)) && second.exit_code() == 3, "{second}");
}

#[tokio::test]
async fn socket_of_a_dead_daemon_is_replaced() {
    let place = Place::new();
    drop(std::os::unix::net::UnixListener::bind(place.path("control.sock")).unwrap());
    let (_daemon, mut client) = place.start("alice").await;
    client.status(wire::StatusRequest {}).await.unwrap();
}

#[tokio::test]
async fn tcp_control_needs_the_token() {
    let place = Place::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let token_file = place.path("token");
    let control = ControlListen::Tcp { address: address.clone(), token_file: token_file.clone() };
    let config = Config { control, ..place.config("alice") };
    // The daemon waits for the file.
    let (daemon, ()) = tokio::join!(Daemon::start(config, None), async {
        tokio::task::yield_now().await;
        std::fs::write(&token_file, format!("{TOKEN}\n")).unwrap();
    });
    let _daemon = daemon.unwrap();
    let ask = async |token: &str| {
        let address = ControlAddress::Tcp { address: address.clone(), token: token.to_owned() };
        let mut client = connect(&address).await.unwrap();
        client.status(wire::StatusRequest {}).await.map(|reply| reply.into_inner().name)
    };
    assert_eq!(ask(TOKEN).await.unwrap(), "alice");
    for wrong in ["", "1123456789abcdef0123456789abcdef", &TOKEN[1..]] {
        assert_eq!(ask(wrong).await.unwrap_err().code(), Code::Unauthenticated, "{wrong}");
    }
    let token = TOKEN.to_owned();
    let mut client = connect(&ControlAddress::Tcp { address, token }).await.unwrap();
    let (name, id) = ("bob".to_owned(), other_id());
    let peer = wire::AddPeerRequest { name, id, address: String::new() };
    client.add_peer(peer).await.unwrap();
    let to = To::Path("/tmp/never".to_owned());
    let refused = pull(&mut client, wire::Mode::Push, to).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    for bad in ["a/b", "..", "", ".partial-x"] {
        let refused = pull(&mut client, wire::Mode::Push, To::Download(bad.to_owned())).await;
        assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument, "{bad}");
    }
}

#[test]
fn reader_tells_bytes_and_digest() {
    use super::reader::{Line, read};
    let place = Place::new();
    std::fs::write(place.path("f"), vec![7; 100_001]).unwrap();
    let mut out = Vec::new();
    read(&place.path("f"), 4096, &[50_000], &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains(r#"{"progress":{"bytes":53248,"#), "told at once: {text}");
    let last = text.lines().last().unwrap().to_owned();
    let Line::Done { bytes, blake3, wall_ns, first_byte_ns, .. } =
        serde_json::from_str(&last).unwrap()
    else {
        panic!("{last}");
    };
    assert_eq!(bytes, 100_001);
    assert_eq!(blake3, blake3::hash(&vec![7; 100_001]).to_string());
    assert!(0 < first_byte_ns && first_byte_ns <= wall_ns);
}
