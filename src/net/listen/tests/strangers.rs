//! Bad input at the door: each of these is bounded, ends by itself, and is nobody
//! else's trouble.

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
async fn ends_in_silence(mut connection: TcpStream) {
    let mut answer = Vec::new();
    // A reset is an end as well: the listener had bytes that it did not read.
    let _ = connection.read_to_end(&mut answer).await;
    assert!(answer.is_empty(), "a stranger was answered");
}

pub(super) fn record_error(error: &io::Error) -> RecordError {
    *error.get_ref().and_then(|e| e.downcast_ref()).expect("a typed error")
}

#[tokio::test]
async fn more_slow_clients_than_there_are_places_keep_no_peer_out() {
    let options = SessionOptions { handshake_deadline_ms: 60_000, ..SessionOptions::default() };
    let (daemon, mut sessions) = Daemon::start_with(options).await;
    let mut slow = Vec::new();
    for _ in 0..2 * HANDSHAKES_MAX {
        let mut connection = TcpStream::connect(&daemon.address).await.unwrap();
        // A byte of a message that never ends; who was sent away already may not care.
        let _ = connection.write_all(b"d").await;
        slow.push(connection);
    }
    peers_are_untouched(&daemon, &mut sessions).await;
    // The oldest have been closed to make room, long before their deadline.
    ends_in_silence(slow.swap_remove(0)).await;
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
    let (daemon, mut sessions) = Daemon::start().await;
    let mut dialled = Vec::new();
    for _ in 0..SESSIONS_WAITING_MAX + 8 {
        dialled.push(daemon.dial().await.unwrap());
    }
    for _ in 0..dialled.len() {
        sessions.next().await.unwrap();
    }
    peers_are_untouched(&daemon, &mut sessions).await;
}

#[tokio::test]
async fn a_peer_that_never_reads_is_given_up() {
    let options = SessionOptions { stall_deadline_ms: 300, ..SessionOptions::default() };
    let (daemon, mut sessions) = Daemon::start_with(options).await;
    let (dialled, accepted) = tokio::join!(daemon.dial(), sessions.next());
    let (dialled, mut accepted) = (dialled.unwrap(), accepted.unwrap());
    let error = loop {
        // Into the kernel's buffers, until they are full.
        if let Err(error) = accepted.write_all(&[0; 1 << 20]).await {
            break error;
        }
    };
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
