//! Bad input at the door: each of these is bounded, ends by itself, and is nobody
//! else's trouble.

use std::collections::VecDeque;

use futures::stream::FuturesUnordered;
use tokio::net::TcpSocket;
use tokio::sync::watch;

use super::meddlers::exchange;
use super::*;
use crate::secure::RecordError;

/// What strangers are given in these tests; peers on loopback need a few milliseconds.
const DEADLINE_MS: u64 = 1_000;

fn options() -> SessionOptions {
    SessionOptions { handshake_deadline_ms: DEADLINE_MS, ..SessionOptions::default() }
}

/// A peer gets its session, and it carries bytes.
pub(super) async fn peers_are_untouched(
    daemon: &Daemon,
    sessions: &mut (impl Stream<Item = SecureStream<TcpStream>> + Unpin),
) {
    let (dialled, accepted) = tokio::join!(daemon.dial(), sessions.next());
    let (mut dialled, mut accepted) = (dialled.unwrap(), accepted.unwrap());
    dialled.write_all(b"through").await.unwrap();
    dialled.shutdown().await.unwrap();
    let mut heard = String::new();
    accepted.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "through");
}

/// The connection ends without a byte for whoever made it.
pub(super) async fn ends_in_silence(mut connection: TcpStream) {
    let mut answer = Vec::new();
    // A reset is an end as well: the listener had bytes that it did not read.
    let _ = connection.read_to_end(&mut answer).await;
    assert!(answer.is_empty(), "a stranger was answered");
}

pub(super) fn record_error(error: &io::Error) -> RecordError {
    *error.get_ref().and_then(|e| e.downcast_ref()).expect("a typed error")
}

/// Writes to somebody who reads nothing, until that fails.
pub(super) async fn write_until_it_fails(session: &mut SecureStream<TcpStream>) -> io::Error {
    loop {
        // Into the kernel's buffers, until they are full.
        if let Err(error) = session.write_all(&[0; 1 << 20]).await {
            return error;
        }
    }
}

/// Connects again and again from an address that no peer has, says nothing, and tells
/// how often it has. The last few hundred connections stay open.
async fn flood(daemon: &Daemon, strangers: &watch::Sender<usize>) {
    let daemon: SocketAddr = daemon.address.parse().unwrap();
    let mut open = VecDeque::new();
    loop {
        let stranger = TcpSocket::new_v4().unwrap();
        stranger.bind(SocketAddr::from(([127, 0, 0, 2], 0))).unwrap();
        // It ends by a reset: else each would keep its port for a minute.
        stranger.set_zero_linger().unwrap();
        open.push_back(stranger.connect(daemon).await.unwrap());
        if open.len() > 2 * HANDSHAKES_MAX {
            open.pop_front();
        }
        strangers.send_modify(|came| *came += 1);
    }
}

/// A way to the daemon so long that strangers come and take all places several times
/// over between the peer's connection and its first word.
async fn long_way_to(daemon: &Daemon, mut strangers: watch::Receiver<usize>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let daemon = daemon.address.clone();
    tokio::spawn(async move {
        let (mut here, _) = listener.accept().await.unwrap();
        let mut there = TcpStream::connect(daemon).await.unwrap();
        let enough = *strangers.borrow() + 4 * HANDSHAKES_MAX;
        strangers.wait_for(|came| *came >= enough).await.unwrap();
        // Until one of the ends has gone.
        let _ = tokio::io::copy_bidirectional(&mut here, &mut there).await;
    });
    address
}

#[tokio::test]
async fn more_slow_clients_than_there_are_places_keep_no_peer_out() {
    let (daemon, mut sessions) = Daemon::start_with(patient()).await;
    soon(async {
        let slow = FuturesUnordered::new();
        for _ in 0..2 * HANDSHAKES_MAX {
            let mut connection = TcpStream::connect(&daemon.address).await.unwrap();
            // A byte of a message that never ends; who was sent away already may not care.
            let _ = connection.write_all(b"d").await;
            slow.push(ends_in_silence(connection));
        }
        peers_are_untouched(&daemon, &mut sessions).await;
        // As many as were too many have been closed to make room, whichever they are.
        assert_eq!(slow.take(HANDSHAKES_MAX).count().await, HANDSHAKES_MAX);
    })
    .await;
}

#[tokio::test]
async fn a_stranger_who_goes_on_connecting_keeps_no_peer_out() {
    let (daemon, mut sessions) = Daemon::start_with(patient()).await;
    let (came, strangers) = watch::channel(0);
    let peers = async {
        for _ in 0..5 {
            let address = long_way_to(&daemon, strangers.clone()).await;
            let (dialled, accepted) = tokio::join!(daemon.dial_at(&address), sessions.next());
            exchange(&mut dialled.unwrap(), &mut accepted.unwrap()).await;
            peers_are_untouched(&daemon, &mut sessions).await;
        }
    };
    tokio::select! {
        () = soon(peers) => {}
        () = flood(&daemon, &came) => unreachable!("it goes on for ever"),
    }
}

#[tokio::test]
async fn a_port_scan_hears_nothing() {
    let (daemon, mut sessions) = Daemon::start_with(options()).await;
    for _ in 0..100 {
        drop(TcpStream::connect(&daemon.address).await.unwrap());
    }
    let sixty_four_mib = (64u32 << 20).to_be_bytes();
    let says: [&[u8]; 6] = [
        b"",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        &sixty_four_mib.repeat(4),
        &[0; 64],
        b"drop\x01\x01\xff\xff",
    ];
    let mut scans = Vec::new();
    for bytes in says {
        let mut connection = TcpStream::connect(&daemon.address).await.unwrap();
        connection.write_all(bytes).await.unwrap();
        scans.push(ends_in_silence(connection));
    }
    tokio::join!(futures::future::join_all(scans), peers_are_untouched(&daemon, &mut sessions));
}

#[tokio::test]
async fn sessions_that_nobody_takes_wait_and_are_bounded() {
    const TOO_MANY: usize = 8;
    let (daemon, mut sessions) = Daemon::start().await;
    let room = SESSIONS_WAITING_MAX + HANDSHAKES_MAX;
    let mut dialled = Vec::new();
    for _ in 0..room + TOO_MANY {
        dialled.push(daemon.dial().await.unwrap());
    }
    // For each that was too many one has given way, and its dialler hears of it.
    let ended: FuturesUnordered<_> = dialled.iter_mut().map(|session| session.read_u8()).collect();
    let errors: Vec<_> = soon(ended.take(TOO_MANY).collect()).await;
    assert!(errors.iter().all(Result::is_err), "nobody has said anything");
    let mut taken = Vec::new();
    for _ in 0..room {
        taken.push(soon(sessions.next()).await.unwrap());
    }
    // The latest is not among those that gave way.
    soon(exchange(dialled.last_mut().unwrap(), taken.last_mut().unwrap())).await;
    // The next one is a new one: no more came than there is room for.
    peers_are_untouched(&daemon, &mut sessions).await;
}

#[tokio::test]
async fn a_peer_that_never_reads_is_given_up() {
    let options = SessionOptions { stall_deadline_ms: 300, ..SessionOptions::default() };
    let (daemon, mut sessions) = Daemon::start_with(options).await;
    let (dialled, accepted) = tokio::join!(daemon.dial(), sessions.next());
    let (dialled, mut accepted) = (dialled.unwrap(), accepted.unwrap());
    let error = write_until_it_fails(&mut accepted).await;
    assert_eq!(record_error(&error), RecordError::Stalled { deadline_ms: 300 });
    peers_are_untouched(&daemon, &mut sessions).await;
    drop(dialled);
}

#[tokio::test]
async fn a_peer_that_leaves_in_the_middle_is_a_truncation() {
    let (daemon, mut sessions) = Daemon::start().await;
    let (dialled, accepted) = tokio::join!(daemon.dial(), sessions.next());
    let (mut dialled, mut accepted) = (dialled.unwrap(), accepted.unwrap());
    dialled.write_all(b"half").await.unwrap();
    dialled.flush().await.unwrap();
    drop(dialled);
    let error = accepted.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert_eq!(record_error(&error), RecordError::Truncated);
    peers_are_untouched(&daemon, &mut sessions).await;
}

#[tokio::test]
async fn a_peer_that_never_closes_holds_up_nobody() {
    let (daemon, mut sessions) = Daemon::start().await;
    let (dialled, accepted) = tokio::join!(daemon.dial(), sessions.next());
    let (mut dialled, mut accepted) = (dialled.unwrap(), accepted.unwrap());
    // Said and done, though nothing comes back.
    accepted.shutdown().await.unwrap();
    assert!(accepted.write_all(b"more").await.is_err());
    peers_are_untouched(&daemon, &mut sessions).await;
    drop(accepted);
    assert_eq!(dialled.read(&mut [0]).await.unwrap(), 0, "the end is authentic");
}
