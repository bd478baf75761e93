//! Steady state allocates nothing: counted, in a process of its own, since the
//! counter is the allocator.

#![allow(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use dropbed::secure::establish::{Terms, accept, connect};
use dropbed::secure::{Identity, PeerId, Provider, RekeyLimits, SecureStream, Suite, SuiteChoice};
use dropbed::telemetry::layers::Account;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};

/// More than a record, so that no write of one has to wait.
const PIPE_BYTES: usize = 2 << 20;

/// A direction in memory of fixed size that never allocates.
#[derive(Debug)]
struct Pipe {
    bytes: Box<[u8]>,
    start: usize,
    length: usize,
}

impl Pipe {
    fn new() -> Arc<Mutex<Self>> {
        let bytes = vec![0; PIPE_BYTES].into_boxed_slice();
        Arc::new(Mutex::new(Self { bytes, start: 0, length: 0 }))
    }

    fn take(&mut self, buf: &mut ReadBuf<'_>) -> usize {
        let count = self.length.min(buf.remaining()).min(PIPE_BYTES - self.start);
        buf.put_slice(&self.bytes[self.start..self.start + count]);
        self.start = (self.start + count) % PIPE_BYTES;
        self.length -= count;
        count
    }

    fn put(&mut self, bytes: &[u8]) -> usize {
        let end = (self.start + self.length) % PIPE_BYTES;
        let count = bytes.len().min(PIPE_BYTES - self.length).min(PIPE_BYTES - end);
        self.bytes[end..end + count].copy_from_slice(&bytes[..count]);
        self.length += count;
        count
    }
}

/// One end: whoever has to wait is polled again, which is enough here.
#[derive(Debug)]
struct Transport {
    from: Arc<Mutex<Pipe>>,
    to: Arc<Mutex<Pipe>>,
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.from.lock().unwrap().take(buf) > 0 {
            return Poll::Ready(Ok(()));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let count = self.to.lock().unwrap().put(bytes);
        if count > 0 {
            return Poll::Ready(Ok(count));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

type Stream = SecureStream<Transport>;

async fn session(suites: SuiteChoice, rekey: RekeyLimits) -> (Stream, Stream) {
    let (forth, back) = (Pipe::new(), Pipe::new());
    let here = Transport { from: Arc::clone(&back), to: Arc::clone(&forth) };
    let there = Transport { from: forth, to: back };
    let terms = || Terms {
        rekey,
        suites,
        provider: Provider::default(),
        handshake_deadline_ms: 10_000,
        stall_deadline_ms: 60_000,
        account: Account::new(),
    };
    let (dialler, acceptor) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    let known = |_: &PeerId| Some("dialler".to_owned());
    let (dialled, accepted) = tokio::join!(
        connect(here, &dialler, acceptor.id(), "acceptor", terms()),
        accept(there, &acceptor, &known, &|_| None, terms()),
    );
    (dialled.unwrap(), accepted.unwrap())
}

/// Records of all sizes, gathered from slices, there and back.
async fn round(here: &mut Stream, there: &mut Stream, block: &[u8], received: &mut [u8]) {
    for bytes in [1, 100, 16 * 1024, 300_000, 600_000] {
        let (head, tail) = block[..bytes].split_at(bytes / 3);
        let mut sent = 0;
        while sent < bytes {
            let parts = if sent < head.len() {
                [IoSlice::new(&head[sent..]), IoSlice::new(tail)]
            } else {
                [IoSlice::new(&tail[sent - head.len()..]), IoSlice::new(&[])]
            };
            sent += here.write_vectored(&parts).await.unwrap();
        }
        here.flush().await.unwrap();
        there.read_exact(&mut received[..bytes]).await.unwrap();
        there.write_all(&block[..bytes.min(20_000)]).await.unwrap();
        there.flush().await.unwrap();
        here.read_exact(&mut received[..bytes.min(20_000)]).await.unwrap();
    }
}

/// Allocations of 20 rounds, after one that makes whatever is made once.
fn allocations(suite: Suite, rekey: RekeyLimits) -> (u64, u32) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let block = vec![7; 600_000];
    let mut received = vec![0; 600_000];
    let (mut here, mut there) = runtime.block_on(session(SuiteChoice::Only(suite), rekey));
    runtime.block_on(round(&mut here, &mut there, &block, &mut received));
    let counted = allocation_counter::measure(|| {
        runtime.block_on(async {
            for _ in 0..20 {
                round(&mut here, &mut there, &block, &mut received).await;
            }
        });
    });
    (counted.count_total, here.handle().epochs().0)
}

#[test]
fn records_allocate_nothing() {
    for suite in Suite::ALL {
        assert_eq!(allocations(suite, RekeyLimits::default()), (0, 0), "{suite}");
    }
}

#[test]
fn a_ratchet_allocates_nothing_but_what_the_cipher_needs() {
    let storm = RekeyLimits { bytes: 64 * 1024, ..RekeyLimits::default() };
    let (count, epochs) = allocations(Suite::ChaCha20Poly1305, storm);
    assert!(epochs > 200, "{epochs}");
    assert_eq!(count, 0);
    // AWS-LC keeps the expanded key of each epoch on its own heap: one at a time at
    // either end, and none of it is Rust's.
    let (count, epochs) = allocations(Suite::Aes256Gcm, storm);
    assert!(epochs > 200, "{epochs}");
    assert_eq!(count, 0);
}
