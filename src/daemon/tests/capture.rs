//! What somebody on the wire sees of a session, read as it would be read there.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::secure::Suite;
use crate::secure::frame::{HEADER_BYTES, Header};
use crate::secure::lane::NAME_BYTES;
use crate::toxiproxy::api::{Millis, ProxySpec, Stream, Toxic};
use crate::toxiproxy::client::Client;
use crate::toxiproxy::server::{Options, serve};

const FILE_BYTES: u64 = 300_000;
const WINDOW_BYTES: usize = 16;
const NAME: &str = "minutes of a meeting that nobody is to know of.txt";

/// All bytes of one direction of a connection.
type Captured = Arc<Mutex<Vec<u8>>>;

/// Every connection through the relay: what its dialler said, what it heard.
#[derive(Clone, Default)]
struct Capture(Arc<Mutex<Vec<[Captured; 2]>>>);

impl Capture {
    /// Listens, and carries each connection to `target`.
    async fn relay(&self, target: String) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let capture = self.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = TcpStream::connect(&target).await.unwrap();
                let directions = [Captured::default(), Captured::default()];
                capture.0.lock().unwrap().push(directions.clone());
                let [said, heard] = directions;
                let ((near_in, near_out), (far_in, far_out)) =
                    (near.into_split(), far.into_split());
                tokio::spawn(copy(near_in, far_out, said));
                tokio::spawn(copy(far_in, near_out, heard));
            }
        });
        address
    }

    fn connections(&self) -> Vec<[Vec<u8>; 2]> {
        let connections = self.0.lock().unwrap();
        connections
            .iter()
            .map(|both| both.each_ref().map(|one| one.lock().unwrap().clone()))
            .collect()
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, captured: Captured) {
    let mut buffer = vec![0; 64 << 10];
    // How a connection ends is its ends' affair.
    while let Ok(bytes @ 1..) = from.read(&mut buffer).await {
        captured.lock().unwrap().extend_from_slice(&buffer[..bytes]);
        if to.write_all(&buffer[..bytes]).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}

/// Every stretch of so many bytes of what must not be seen.
#[derive(Default)]
struct Secrets(HashSet<[u8; WINDOW_BYTES]>);

impl Secrets {
    fn add(&mut self, plain: &[u8]) {
        self.0.extend(
            plain
                .windows(WINDOW_BYTES)
                .map(|window| <[u8; WINDOW_BYTES]>::try_from(window).unwrap()),
        );
    }

    /// Where one of them stands in these bytes.
    fn seen_in(&self, bytes: &[u8]) -> Option<usize> {
        bytes.windows(WINDOW_BYTES).position(|window| self.0.contains(window))
    }
}

/// The records of one direction after its handshake: how many, and how many epochs.
/// The reason when a nonce repeats, or what is there is no record.
fn records(mut bytes: &[u8]) -> Result<(usize, u32), String> {
    let (mut next, mut count) = ((0, 0), 0);
    while let Some(header) = bytes.first_chunk::<HEADER_BYTES>() {
        let header = Header::parse(header).map_err(|error| error.to_string())?;
        let found = (header.epoch, header.counter);
        // The first record of an epoch is the first under its key.
        if found != next && found != (next.0 + 1, 0) {
            return Err(format!("record {count} is {found:?} after {next:?}"));
        }
        next = (found.0, found.1 + 1);
        count += 1;
        bytes = bytes.get(header.wire_bytes()..).unwrap_or_default();
    }
    Ok((count, next.0 + 1))
}

/// What follows the first message of a direction, and whether that joins a session.
fn after_handshake(bytes: &[u8]) -> (&[u8], bool) {
    let [m0, m1, m2, m3, _, kind, l0, l1] = bytes[..8] else { unreachable!() };
    assert_eq!([m0, m1, m2, m3], *b"drop");
    let body_bytes = usize::from(u16::from_be_bytes([l0, l1]));
    match kind {
        3 => (&bytes[8 + NAME_BYTES..], true),
        _ => (&bytes[8 + body_bytes..], false),
    }
}

async fn proxied(upstream: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(serve(listener, Options::default(), std::future::pending()));
    let spec = ProxySpec {
        name: "bob".to_owned(),
        listen: "127.0.0.1:0".to_owned(),
        upstream: upstream.to_owned(),
        enabled: None,
    };
    let slow = Stream::ALL.map(|stream| Toxic::latency(stream, Millis::from_micros(500)));
    let proxy = client.create(&spec).await.unwrap();
    for toxic in &slow {
        client.add_toxic("bob", toxic).await.unwrap();
    }
    proxy.listen
}

/// Two daemons with a proxy between them; all that they said as files were pushed, asked
/// for in ranges, pushed over two lanes, and listed.
async fn session(suite: Suite, secrets: &mut Secrets) -> Vec<[Vec<u8>; 2]> {
    let (here, there) = (Place::new(), Place::new());
    let mut text = Vec::new();
    let mut sample = Sample::new(5, FILE_BYTES);
    while let Some(block) = sample.next_block() {
        text.extend_from_slice(block);
    }
    let poem = "no word of it may be seen by anybody who listens on the way; ".repeat(3_000);
    for (name, data) in [("f", text.as_slice()), (NAME, poem.as_bytes())] {
        std::fs::write(there.path("share").join(name), data).unwrap();
        secrets.add(data);
    }
    secrets.add(NAME.as_bytes());

    let start = async |place: &Place, name: &str| {
        let rekey = RekeyLimits { bytes: 64 << 10, ..RekeyLimits::default() };
        let suites = SuiteChoice::Only(suite);
        let config = Config { rekey, suites, ..place.config(name) };
        let daemon = Daemon::start(config, None).await.unwrap();
        let address = ControlAddress::Unix(place.path("control.sock"));
        (daemon, connect(&address).await.unwrap())
    };
    let (alice, mut at_alice) = start(&here, "alice").await;
    let (bob, mut at_bob) = start(&there, "bob").await;
    let capture = Capture::default();
    let address = capture.relay(proxied(bob.listen_address()).await).await;
    let (name, id) = ("bob".to_owned(), bob.id().to_string());
    at_alice.add_peer(wire::AddPeerRequest { name, id, address }).await.unwrap();
    introduce(&mut at_bob, "alice", &alice, false).await;

    for (path, mode, lanes) in [
        ("f", wire::Mode::Push, 1),
        (NAME, wire::Mode::RequestResponse, 1),
        ("f", wire::Mode::Push, 2),
    ] {
        let request = wire::PullRequest {
            peer: "bob".to_owned(),
            path: path.to_owned(),
            mode: mode.into(),
            chunk_bytes: 32 << 10,
            destination: Some(wire::Destination { to: Some(To::HashOnly(true)) }),
            lanes,
            ..Default::default()
        };
        let mut events = at_alice.pull(request).await.unwrap().into_inner();
        let mut done = None;
        while let Some(event) = events.message().await.unwrap() {
            done = event.event;
        }
        assert!(matches!(done, Some(Event::Done(done)) if done.lanes == lanes));
    }
    let list = wire::ListRequest { peer: "bob".to_owned(), path: String::new() };
    let entries = at_alice.list(list).await.unwrap().into_inner().entries;
    assert!(entries.iter().any(|entry| entry.name == NAME), "the name was on the wire");
    alice.close().await;
    bob.close().await;
    capture.connections()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_listens_sees_no_plaintext_and_no_nonce_twice() {
    for suite in Suite::ALL {
        let mut secrets = Secrets::default();
        let connections = session(suite, &mut secrets).await;
        assert_eq!(connections.len(), 2, "a session and a lane");
        let mut heard_bytes = 0;
        for (index, [said, heard]) in connections.iter().enumerate() {
            for bytes in [said, heard] {
                assert_eq!(secrets.seen_in(bytes), None, "plaintext on the wire");
            }
            let (said, joins) = after_handshake(said);
            assert_eq!(joins, index == 1);
            let answers = if joins { heard.as_slice() } else { after_handshake(heard).0 };
            heard_bytes += heard.len() as u64;
            let (records_heard, epochs) = records(answers).unwrap();
            assert!(epochs > 2 && records_heard > 8, "{records_heard} records, {epochs} epochs");
            assert!(records(said).unwrap().0 > 3);
        }
        assert!(heard_bytes > 2 * FILE_BYTES, "the capture has the files in it");
    }
}

/// The readings above find what they look for.
#[test]
fn a_leak_and_a_repeated_nonce_are_found() {
    let mut secrets = Secrets::default();
    secrets.add(b"sixteen and more bytes");
    assert_eq!(secrets.seen_in(b"...sixteen and mor..."), None, "less than a window");
    assert_eq!(secrets.seen_in(b"...ixteen and more by.."), Some(3));
    let record = |epoch, counter| {
        let header = Header::new(epoch, counter, 5);
        [&header.to_bytes()[..], &[0; 21]].concat()
    };
    let [a, b, c, d] = [record(0, 0), record(0, 1), record(1, 0), record(1, 1)];
    assert_eq!(records(&[&a[..], &b, &c, &d].concat()), Ok((4, 2)));
    for wrong in [[&a, &a], [&b, &c], [&d, &c]] {
        let start = [&a[..], &b, &c].concat();
        let again = [&start[..], wrong[0], wrong[1]].concat();
        assert!(records(&again).is_err(), "a nonce repeats");
    }
}
