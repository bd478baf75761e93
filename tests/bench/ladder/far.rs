//! Long links: what is under way on a connection is bounded, as by a TCP window, its
//! acknowledgement takes as long to come back, and what goes in takes its time.

use std::io;
use std::time::Duration;

use anyhow::Context as _;
use clap::ValueEnum;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, sleep_until};

/// A link between the ends of an arm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub(crate) enum Far {
    /// 200 ms there and back, 4 MiB under way on each connection: a receive buffer of
    /// common size binds
    Narrow,
    /// 300 ms there and back, 1 Gbit/s, as much under way as that takes
    Wide,
}

impl Far {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Narrow => "200 ms, 4 MiB under way",
            Self::Wide => "300 ms, 1 Gbit/s",
        }
    }

    const fn one_way(self) -> Duration {
        Duration::from_millis(match self {
            Self::Narrow => 100,
            Self::Wide => 150,
        })
    }

    const fn window_bytes(self) -> usize {
        match self {
            Self::Narrow => 4 << 20,
            // More than the 37.5 MB that 1 Gbit/s has under way.
            Self::Wide => 64 << 20,
        }
    }

    /// How long so many bytes take to go in.
    fn sending(self, bytes: usize) -> Duration {
        match self {
            Self::Narrow => Duration::ZERO,
            Self::Wide => Duration::from_nanos(bytes as u64 * NS_PER_BYTE_WIDE),
        }
    }
}

/// 1 Gbit/s.
const NS_PER_BYTE_WIDE: u64 = 8;
const READ_BYTES: u32 = 64 << 10;
/// Pieces under way: whole ones of the widest window, and as many small ones.
const PIECES_MAX: usize = 2048;

/// Relays all connections until it is dropped.
pub(crate) struct Link {
    address: String,
    _runtime: Runtime,
}

impl Link {
    pub(crate) fn to(target: &str, far: Far) -> anyhow::Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"));
        let listener = listener.context("cannot listen for the link")?;
        let address = listener.local_addr()?.to_string();
        let target = target.to_owned();
        runtime.spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                // One that breaks is its ends' to tell.
                tokio::spawn(carry(near, target.clone(), far));
            }
        });
        Ok(Self { address, _runtime: runtime })
    }

    pub(crate) fn address(&self) -> String {
        self.address.clone()
    }
}

async fn carry(near: TcpStream, target: String, link: Far) -> io::Result<()> {
    let far = TcpStream::connect(target).await?;
    for socket in [&near, &far] {
        socket.set_nodelay(true)?;
    }
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    tokio::try_join!(one_way(near_in, far_out, link), one_way(far_in, near_out, link))?;
    Ok(())
}

/// A piece, when it arrives, and its place in the window.
type Piece = (Vec<u8>, Instant, OwnedSemaphorePermit);

async fn one_way(mut from: OwnedReadHalf, to: OwnedWriteHalf, link: Far) -> io::Result<()> {
    let window = std::sync::Arc::new(Semaphore::new(link.window_bytes()));
    // When the last byte is in.
    let mut is_in = Instant::now();
    let (pieces, arriving) = mpsc::channel(PIECES_MAX);
    let delivery = tokio::spawn(deliver(arriving, to, link));
    loop {
        let room = window.clone().acquire_many_owned(READ_BYTES).await;
        let mut room = room.map_err(io::Error::other)?;
        let mut piece = vec![0; READ_BYTES as usize];
        let piece_room = piece.len();
        let bytes = from.read(&mut piece).await?;
        if bytes == 0 {
            break;
        }
        piece.truncate(bytes);
        // What was not read takes no place.
        drop(room.split(piece_room - bytes));
        is_in = is_in.max(Instant::now()) + link.sending(bytes);
        if pieces.send((piece, is_in + link.one_way(), room)).await.is_err() {
            break;
        }
    }
    drop(pieces);
    delivery.await.map_err(io::Error::other)?
}

async fn deliver(
    mut arriving: mpsc::Receiver<Piece>,
    mut to: OwnedWriteHalf,
    link: Far,
) -> io::Result<()> {
    let (acknowledge, mut acknowledged) =
        mpsc::channel::<(Instant, OwnedSemaphorePermit)>(PIECES_MAX);
    let acknowledging = tokio::spawn(async move {
        while let Some((due, room)) = acknowledged.recv().await {
            sleep_until(due).await;
            drop(room);
        }
    });
    while let Some((piece, due, room)) = arriving.recv().await {
        sleep_until(due).await;
        to.write_all(&piece).await?;
        let back = Instant::now() + link.one_way();
        // The other task ends with this one.
        let _ = acknowledge.send((back, room)).await;
    }
    to.shutdown().await?;
    drop(acknowledge);
    acknowledging.await.map_err(io::Error::other)
}
