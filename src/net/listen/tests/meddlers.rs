//! Bad input after a good handshake, over real sockets: somebody on the way between two
//! peers says something else. It ends that session and no other.

use tokio::sync::oneshot;

use super::strangers::{peers_are_untouched, record_error};
use super::*;
use crate::secure::RecordError;

pub(super) enum Meddling {
    /// These bytes in place of all that the peer says from now on; the connection stays.
    Say(Vec<u8>),
    /// So many bytes of what the peer says next, and the end of the connection.
    Cut(usize),
}

/// Carries one connection to the daemon, until it is told to meddle with it.
async fn way_to(daemon: &Daemon) -> (String, oneshot::Sender<Meddling>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let daemon = daemon.address.clone();
    let (tell, told) = oneshot::channel();
    tokio::spawn(async move {
        let (mut here, _) = listener.accept().await.unwrap();
        let mut there = TcpStream::connect(daemon).await.unwrap();
        let meddling = tokio::select! {
            // First: what the peer says after that must not pass any more.
            biased;
            meddling = told => meddling,
            _ = tokio::io::copy_bidirectional(&mut here, &mut there) => return,
        };
        match meddling {
            Ok(Meddling::Say(bytes)) => {
                there.write_all(&bytes).await.unwrap();
                // Until the daemon has had enough: an end would explain an error as well.
                let _ = there.read_to_end(&mut Vec::new()).await;
            }
            Ok(Meddling::Cut(bytes)) => {
                let mut said = vec![0; bytes];
                here.read_exact(&mut said).await.unwrap();
                there.write_all(&said).await.unwrap();
            }
            Err(_) => {}
        }
    });
    (address, tell)
}

/// A session through somebody, quiet: all that was said has arrived.
pub(super) async fn session_through(
    daemon: &Daemon,
    sessions: &mut (impl Stream<Item = SecureStream<TcpStream>> + Unpin),
) -> (SecureStream<TcpStream>, SecureStream<TcpStream>, oneshot::Sender<Meddling>) {
    let (address, tell) = way_to(daemon).await;
    let (dialled, accepted) = tokio::join!(daemon.dial_at(&address), sessions.next());
    let (mut dialled, mut accepted) = (dialled.unwrap(), accepted.unwrap());
    exchange(&mut dialled, &mut accepted).await;
    (dialled, accepted, tell)
}

pub(super) async fn exchange(
    here: &mut SecureStream<TcpStream>,
    there: &mut SecureStream<TcpStream>,
) {
    let mut heard = [0; 4];
    here.write_all(b"ping").await.unwrap();
    here.flush().await.unwrap();
    there.read_exact(&mut heard).await.unwrap();
    there.write_all(b"pong").await.unwrap();
    there.flush().await.unwrap();
    here.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"pong");
}

/// The peer says something, and somebody meddles with it.
pub(super) async fn meddle(
    dialled: &mut SecureStream<TcpStream>,
    tell: oneshot::Sender<Meddling>,
    meddling: Meddling,
) {
    assert!(tell.send(meddling).is_ok(), "nobody is on the way");
    dialled.write_all(&[7; 10_000]).await.unwrap();
    // Who was cut off may be told so by the kernel.
    let _ = dialled.flush().await;
}

/// A record that is the next one but for its key.
pub(super) fn forged(counter: u64) -> Vec<u8> {
    let mut forged = [&61u32.to_be_bytes()[..], &[0; 4], &counter.to_be_bytes()].concat();
    forged.resize(65, 9);
    forged
}

/// How the accepting end of such a session ends; another session goes on beside it.
async fn ended_by(meddling: Meddling) -> RecordError {
    let (daemon, mut sessions) = Daemon::start().await;
    let (beside, other_end) = tokio::join!(daemon.dial(), sessions.next());
    let (mut beside, mut other_end) = (beside.unwrap(), other_end.unwrap());
    let (mut dialled, mut accepted, tell) = session_through(&daemon, &mut sessions).await;
    meddle(&mut dialled, tell, meddling).await;
    let mut received = Vec::new();
    let error = accepted.read_to_end(&mut received).await.unwrap_err();
    assert!(received.is_empty(), "something came out of it");
    exchange(&mut beside, &mut other_end).await;
    peers_are_untouched(&daemon, &mut sessions).await;
    record_error(&error)
}

#[tokio::test]
async fn a_length_that_no_record_has_ends_a_session_before_its_bytes_come() {
    for length in [0, 28, 64 << 20, u32::MAX] {
        let header = [u32::to_be_bytes(length), [0; 4], [0; 4], [0; 4]].concat();
        let error = ended_by(Meddling::Say(header)).await;
        assert!(matches!(error, RecordError::Length(found) if found.found == length), "{error:?}");
    }
}

#[tokio::test]
async fn bytes_that_are_no_record_end_a_session() {
    let error = ended_by(Meddling::Say(vec![0x55; 1 << 20])).await;
    assert!(matches!(error, RecordError::Length(_)), "{error:?}");
    let error = ended_by(Meddling::Say(forged(2))).await;
    assert_eq!(error, RecordError::Forged { epoch: 0, counter: 2 });
}

#[tokio::test]
async fn a_connection_that_ends_within_a_record_is_a_truncation() {
    // In the header, after it, and before the last byte of the record.
    for bytes in [1, 15, 16, 17, 16 + 1 + 10_000 + 16 - 1] {
        assert_eq!(ended_by(Meddling::Cut(bytes)).await, RecordError::Truncated, "{bytes} bytes");
    }
}
