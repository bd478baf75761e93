//! Steady state allocates nothing: counted, in a process of its own, since the
//! counter is the allocator.

#![allow(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use dropbed::secure::establish::{Terms, accept, connect};
use dropbed::secure::{Identity, PeerId, Provider, RekeyLimits, SecureStream, Suite, SuiteChoice};
use dropbed::source::Source;
use dropbed::telemetry::layers::Account;
use dropbed::transfer::burst::WireCounter;
use dropbed::transfer::client::{Client, PushRequest};
use dropbed::transfer::limits::{self, Deadlines};
use dropbed::transfer::service::{Caller, Service};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio_util::sync::CancellationToken;

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

const ALL: [(Suite, Provider); 3] = [
    (Suite::ChaCha20Poly1305, Provider::AwsLc),
    (Suite::ChaCha20Poly1305, Provider::RustCrypto),
    (Suite::Aes256Gcm, Provider::AwsLc),
];

/// At both ends together, for two parts: 16 when this was written.
const ALLOCATIONS_PER_MIB_MAX: u64 = 20;

async fn session(suites: SuiteChoice, provider: Provider, rekey: RekeyLimits) -> (Stream, Stream) {
    let (forth, back) = (Pipe::new(), Pipe::new());
    let here = Transport { from: Arc::clone(&back), to: Arc::clone(&forth) };
    let there = Transport { from: forth, to: back };
    let terms = || Terms {
        rekey,
        suites,
        provider,
        handshake_deadline_ms: 10_000,
        stall_deadline_ms: 60_000,
        account: Account::new(),
        complaints: Arc::default(),
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

/// Allocations of 20 rounds, after one that makes whatever is made once: each end is the
/// one that says more in half of them. And the epochs of both directions.
fn allocations(suite: Suite, provider: Provider, rekey: RekeyLimits) -> (u64, (u32, u32)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let block = vec![7; 600_000];
    let mut received = vec![0; 600_000];
    let session = session(SuiteChoice::Only(suite), provider, rekey);
    let (mut here, mut there) = runtime.block_on(session);
    runtime.block_on(round(&mut here, &mut there, &block, &mut received));
    runtime.block_on(round(&mut there, &mut here, &block, &mut received));
    let counted = allocation_counter::measure(|| {
        runtime.block_on(async {
            for _ in 0..10 {
                round(&mut here, &mut there, &block, &mut received).await;
                round(&mut there, &mut here, &block, &mut received).await;
            }
        });
    });
    (counted.count_total, here.handle().epochs())
}

#[test]
fn records_allocate_nothing() {
    for (suite, provider) in ALL {
        let (count, epochs) = allocations(suite, provider, RekeyLimits::default());
        assert_eq!((count, epochs), (0, (0, 0)), "{suite}, {provider}");
    }
}

/// AWS-LC keeps the expanded key of each epoch on its own heap: one at a time at either
/// end, and none of it is Rust's, so it is not counted.
#[test]
fn a_ratchet_allocates_nothing_but_what_the_cipher_needs() {
    let storm = RekeyLimits { bytes: 64 * 1024, ..RekeyLimits::default() };
    for (suite, provider) in ALL {
        let (count, (sent, received)) = allocations(suite, provider, storm);
        assert!(sent > 100 && received > 100, "{sent} and {received} epochs");
        assert_eq!(count, 0, "{suite}, {provider}");
    }
}

fn reader(_: &http::Extensions) -> Option<Caller> {
    let received = WireCounter::new(|| 0);
    Some(Caller { peer: "reader".to_owned(), account: Account::new(), received })
}

/// Pushes a file over gRPC and the records below it: both ends are tasks of this thread.
async fn push(client: &Client, bytes: u64) {
    let request = PushRequest {
        path: "file".to_owned(),
        length_bytes: Some(bytes),
        ..PushRequest::default()
    };
    let mut push = client.push(request).await.unwrap();
    let mut received = 0;
    while let Some(part) = push.next().await.unwrap() {
        received += part.len() as u64;
    }
    assert_eq!(received, bytes);
}

/// What a MiB of a push costs, of which ARCHITECTURE.md has the list. Reading the disk is
/// other threads' work and not in it.
#[test]
fn a_push_allocates_a_few_small_things_per_part_and_no_copy_of_it() {
    const MIB: u64 = 1 << 20;
    let share = tempfile::tempdir().unwrap();
    std::fs::File::create(share.path().join("file")).unwrap().set_len(96 * MIB).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    for (suite, provider) in ALL {
        let source = Arc::new(Source::open(share.path()).unwrap());
        let session = session(SuiteChoice::Only(suite), provider, RekeyLimits::default());
        let client = runtime.block_on(async {
            let (here, there) = session.await;
            let service = Service::server(source, reader, CancellationToken::new());
            let incoming = futures::stream::iter([Ok::<_, io::Error>(there)]);
            tokio::spawn(limits::server().add_service(service).serve_with_incoming(incoming));
            Client::over(here, "sharer", Account::new(), Deadlines::default()).await.unwrap()
        });
        runtime.block_on(push(&client, 8 * MIB));
        let counted = allocation_counter::measure(|| runtime.block_on(push(&client, 64 * MIB)));
        let per_mib = |total: u64| total.div_ceil(64);
        println!(
            "{suite}, {provider}: {} allocations and {} bytes for each MiB",
            per_mib(counted.count_total),
            per_mib(counted.bytes_total)
        );
        assert!(per_mib(counted.count_total) <= ALLOCATIONS_PER_MIB_MAX);
        // HTTP/2's frames at the receiver, and nothing else as large as the data.
        assert!(per_mib(counted.bytes_total) <= MIB + MIB / 16);
    }
}
