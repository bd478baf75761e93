//! A long link, whose buffers bind: what is under way on a connection is bounded, as
//! by a TCP window, and its acknowledgement takes as long to come back.

use std::io;
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, sleep_until};

const ONE_WAY_MS: u64 = 100;
/// Under way on a connection, each way: a receive buffer of common size.
const WINDOW_BYTES: usize = 4 << 20;
const READ_BYTES: usize = 64 << 10;

pub(crate) fn describe() -> String {
    let (rtt_ms, window_mib) = (2 * ONE_WAY_MS, WINDOW_BYTES >> 20);
    format!("far: {rtt_ms} ms there and back, {window_mib} MiB under way on each connection")
}

/// Relays all connections until it is dropped.
pub(crate) struct Link {
    address: String,
    _runtime: Runtime,
}

impl Link {
    pub(crate) fn to(target: &str) -> anyhow::Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"));
        let listener = listener.context("cannot listen for the link")?;
        let address = listener.local_addr()?.to_string();
        let target = target.to_owned();
        runtime.spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                // One that breaks is its ends' to tell.
                tokio::spawn(carry(near, target.clone()));
            }
        });
        Ok(Self { address, _runtime: runtime })
    }

    pub(crate) fn address(&self) -> String {
        self.address.clone()
    }
}

async fn carry(near: TcpStream, target: String) -> io::Result<()> {
    let far = TcpStream::connect(target).await?;
    for socket in [&near, &far] {
        socket.set_nodelay(true)?;
    }
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    tokio::try_join!(one_way(near_in, far_out), one_way(far_in, near_out))?;
    Ok(())
}

/// A piece, when it arrives, and its place in the window.
type Piece = (Vec<u8>, Instant, OwnedSemaphorePermit);

async fn one_way(mut from: OwnedReadHalf, to: OwnedWriteHalf) -> io::Result<()> {
    let window = std::sync::Arc::new(Semaphore::new(WINDOW_BYTES));
    let (pieces, arriving) = mpsc::unbounded_channel();
    let delivery = tokio::spawn(deliver(arriving, to));
    loop {
        let room = window.clone().acquire_many_owned(READ_BYTES as u32).await;
        let mut room = room.map_err(io::Error::other)?;
        let mut piece = vec![0; READ_BYTES];
        let bytes = from.read(&mut piece).await?;
        if bytes == 0 {
            break;
        }
        piece.truncate(bytes);
        // What was not read takes no place.
        drop(room.split(READ_BYTES - bytes));
        let due = Instant::now() + Duration::from_millis(ONE_WAY_MS);
        if pieces.send((piece, due, room)).is_err() {
            break;
        }
    }
    drop(pieces);
    delivery.await.map_err(io::Error::other)?
}

async fn deliver(
    mut arriving: mpsc::UnboundedReceiver<Piece>,
    mut to: OwnedWriteHalf,
) -> io::Result<()> {
    let (acknowledge, mut acknowledged) =
        mpsc::unbounded_channel::<(Instant, OwnedSemaphorePermit)>();
    let acknowledging = tokio::spawn(async move {
        while let Some((due, room)) = acknowledged.recv().await {
            sleep_until(due).await;
            drop(room);
        }
    });
    while let Some((piece, due, room)) = arriving.recv().await {
        sleep_until(due).await;
        to.write_all(&piece).await?;
        let back = Instant::now() + Duration::from_millis(ONE_WAY_MS);
        // The other task ends with this one.
        let _ = acknowledge.send((back, room));
    }
    to.shutdown().await?;
    drop(acknowledge);
    acknowledging.await.map_err(io::Error::other)
}
