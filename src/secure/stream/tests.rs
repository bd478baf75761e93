use std::time::Duration;

use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex, split};
use tokio::time::timeout;

use self::chop::Chop;
use super::super::channel::pair::NO_LIMIT;
use super::super::entropy;
use super::super::fold::Folds;
use super::super::frame::{HEADER_BYTES, Header, RECORD_DATA_BYTES};
use super::super::identity::PeerId;
use super::super::record::{Opener, Sealer};
use super::super::rekey::{Kept, REKEY_BYTES_MIN, RekeyLimits, SECRET_BYTES, Secret};
use super::super::session::Side;
use super::super::suite::Suite;
use super::*;
use crate::telemetry::layers::{Account, Layer};

mod chop;
mod ends;
mod keys;
mod tamper;

/// With the clock paused this passes as soon as nothing else can happen: whatever
/// would hang fails at once.
const STUCK: Duration = Duration::from_secs(60);

fn secret(direction: u8) -> Kept {
    Kept::new(Secret::new([direction; SECRET_BYTES]))
}

/// No test waits for it but the one about it.
const STALL_MS: u64 = 86_400_000;

fn stream<IO>(io: IO, side: Side, limits: RekeyLimits) -> SecureStream<IO> {
    stream_in(Suite::ChaCha20Poly1305, io, side, limits)
}

fn stream_in<IO>(suite: Suite, io: IO, side: Side, limits: RekeyLimits) -> SecureStream<IO> {
    let (send, receive) = match side {
        Side::Dialled => (1, 2),
        Side::Accepted => (2, 1),
    };
    let (sealer, opener) = (Sealer::new(suite, secret(send)), Opener::new(suite, secret(receive)));
    let folds = Folds::new(side, secret(3), entropy::system);
    let channel = Channel::new(sealer, opener, folds, limits, 0);
    let shared = Shared::new(PeerId::from_bytes([0; 32]), "peer".into(), side, Account::new());
    SecureStream::new(io, channel, STALL_MS, shared)
}

type Duplex = SecureStream<DuplexStream>;

fn pair(wire_bytes: usize, limits: RekeyLimits) -> (Duplex, Duplex) {
    let (a, b) = duplex(wire_bytes);
    (stream(a, Side::Dialled, limits), stream(b, Side::Accepted, limits))
}

fn bytes(length: usize, seed: u64) -> Vec<u8> {
    let mut sample = crate::sample::Sample::new(seed, length as u64);
    let mut all = Vec::with_capacity(length);
    while let Some(block) = sample.next_block() {
        all.extend_from_slice(block);
    }
    all
}

fn record_error(error: &io::Error) -> RecordError {
    *error.get_ref().and_then(|e| e.downcast_ref()).expect("a typed error")
}

/// Polls the reading half for ever, as HTTP/2 does; every byte is kept.
fn keep_reading<IO>(mut stream: SecureStream<IO>) -> tokio::task::JoinHandle<io::Result<Vec<u8>>>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    tokio::spawn(async move {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.map(|_| all)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// However the transport cuts reads and writes, and whenever keys change.
    #[test]
    fn the_same_bytes_come_out(
        writes in prop::collection::vec(0usize..3_000, 1..40),
        cuts in prop::collection::vec(1usize..700, 1..20),
        reads in prop::collection::vec(1usize..2_000, 1..10),
        records in 1u64..6,
        rekey_every in 1usize..8,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let limits = RekeyLimits { records, ..NO_LIMIT };
            let (a, b) = duplex(900);
            let mut writer = stream(Chop::new(a, cuts.clone()), Side::Dialled, limits);
            let mut reader = stream(Chop::new(b, cuts), Side::Accepted, limits);
            let handle = writer.handle();
            let sent = bytes(writes.iter().sum(), 1);
            let write = async {
                let mut rest = sent.as_slice();
                for (i, length) in writes.iter().enumerate() {
                    let (now, later) = rest.split_at(*length);
                    rest = later;
                    writer.write_all(now).await.unwrap();
                    if i % rekey_every == 0 {
                        handle.request_rekey();
                    }
                }
                writer.shutdown().await.unwrap();
            };
            let read = async {
                let mut received = Vec::new();
                for length in reads.iter().cycle() {
                    let mut part = vec![0; *length];
                    match reader.read(&mut part).await.unwrap() {
                        0 => break,
                        length => received.extend_from_slice(&part[..length]),
                    }
                }
                received
            };
            let ((), received) = tokio::join!(write, read);
            assert_eq!(received, sent);
            assert_eq!(writer.handle().epochs().0, reader.handle().epochs().1);
        });
    }
}

#[tokio::test(start_paused = true)]
async fn slices_of_one_write_are_one_record() {
    let (mut a, mut b) = pair(4096, NO_LIMIT);
    let parts = [IoSlice::new(b"header"), IoSlice::new(b""), IoSlice::new(b" payload")];
    assert!(a.is_write_vectored());
    assert_eq!(a.write_vectored(&parts).await.unwrap(), 14);
    a.flush().await.unwrap();
    let mut received = [0; 14];
    b.read_exact(&mut received).await.unwrap();
    assert_eq!(&received, b"header payload");
    let counters = b.handle().counters();
    assert_eq!((counters.records_received, counters.plain_bytes_received), (1, 14));
    let wire_bytes = Header::new(0, 0, 15).wire_bytes() as u64;
    assert_eq!(counters.wire_bytes_received, wire_bytes);
    assert_eq!(a.handle().counters().wire_bytes_sent, wire_bytes);
}

#[tokio::test(start_paused = true)]
async fn a_data_frame_with_what_stands_before_it_is_one_record() {
    let (mut a, b) = pair(1 << 20, NO_LIMIT);
    let payload = vec![3; RECORD_DATA_BYTES];
    let parts = [IoSlice::new(&[1; 9 + 500]), IoSlice::new(&payload)];
    assert_eq!(a.write_vectored(&parts).await.unwrap(), 509 + RECORD_DATA_BYTES);
    assert_eq!(a.handle().counters().records_sent, 1);
    drop(b);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_given_up_loses_and_repeats_nothing() {
    let (mut a, mut b) = pair(500, NO_LIMIT);
    let sent = bytes(5_000, 5);
    let mut accepted = 0;
    let mut received = Vec::new();
    let mut part = [0; 700];
    while received.len() < sent.len() {
        let write = async {
            if accepted == sent.len() {
                // The last record is accepted, not yet sent.
                a.flush().await.map(|()| 0)
            } else {
                a.write(&sent[accepted..(accepted + 600).min(sent.len())]).await
            }
        };
        // Whichever is not ready is dropped in the middle, over and over.
        tokio::select! {
            wrote = write => accepted += wrote.unwrap(),
            read = b.read(&mut part) => received.extend_from_slice(&part[..read.unwrap()]),
        }
    }
    assert!(received == sent);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_the_socket_is_charged_to_the_side_that_reads() {
    for side in [Side::Dialled, Side::Accepted] {
        let (here, mut there) = duplex(4096);
        let mut waiting = stream(here, side, NO_LIMIT);
        let handle = waiting.handle();
        // Only while somebody waits for the session does its wait explain time.
        let grpc = handle.account().enter(Layer::Grpc);
        assert!(timeout(STUCK, waiting.read_u8()).await.is_err());
        there.shutdown().await.unwrap();
        waiting.read_u8().await.unwrap_err();
        drop(grpc);
        assert!(handle.counters().read_wait_ns > 0);
        let waited_ns = handle.account().times().self_ns(Layer::TcpWait);
        assert_eq!(waited_ns > 0, side == Side::Dialled, "{side:?}: {waited_ns}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_socket_is_charged_to_the_side_that_serves() {
    for side in [Side::Dialled, Side::Accepted] {
        let (here, mut there) = duplex(100);
        let mut blocked = stream(here, side, NO_LIMIT);
        let handle = blocked.handle();
        let grpc = handle.account().enter(Layer::Grpc);
        blocked.write_all(&[0; 500]).await.unwrap();
        assert!(timeout(STUCK, blocked.flush()).await.is_err());
        let mut wire = vec![0; HEADER_BYTES + 501 + 16];
        let (flushed, read) = tokio::join!(blocked.flush(), there.read_exact(&mut wire));
        flushed.unwrap();
        read.unwrap();
        drop(grpc);
        assert!(handle.counters().write_blocked_ns > 0);
        let blocked_ns = handle.account().times().self_ns(Layer::TcpWait);
        assert_eq!(blocked_ns > 0, side == Side::Accepted, "{side:?}: {blocked_ns}");
    }
}
