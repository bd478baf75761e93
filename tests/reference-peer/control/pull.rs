//! One file, as one answer or as many.

use std::io;
use std::path::PathBuf;

use dropbed::proto::control::transfer_event::Event;
use dropbed::proto::control::{Mode, PullRequest, TransferDone, TransferEvent, TransferProgress};
use dropbed::telemetry::clock::now_ns;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;
use tonic::Status;

use crate::link::{Ask, answer, ask};

type Told = Result<TransferEvent, Status>;

/// Bytes of a request when none are asked for.
const CHUNK_BYTES_DEFAULT: u32 = 512 << 10;

/// Bytes taken from the socket at a time.
const PIECE_BYTES: usize = 64 << 10;

/// Asks for the size, then for the bytes: at once for a push, else by chunks of which
/// `depth` are under way.
pub(super) async fn pull(
    stream: TcpStream,
    request: &PullRequest,
    to: Option<PathBuf>,
    events: &Sender<Told>,
) -> io::Result<TransferDone> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::with_capacity(PIECE_BYTES, read);
    let mut sink = Sink::new(to).await?;
    let path = request.path.as_str();
    ask(&mut write, Ask { path, offset: 0, length: 0 }).await?;
    let total = answer(&mut read).await?.file_bytes;
    let chunk_bytes =
        if request.chunk_bytes == 0 { CHUNK_BYTES_DEFAULT } else { request.chunk_bytes };
    let (length, depth) = match request.mode() {
        Mode::RequestResponse => (u64::from(chunk_bytes), request.depth.max(1)),
        Mode::Push | Mode::Unspecified => (u64::MAX, 1),
    };
    let (mut asked, mut under_way) = (0, 0);
    while asked < total || under_way > 0 {
        if asked < total && under_way < depth {
            ask(&mut write, Ask { path, offset: asked, length }).await?;
            asked = asked.saturating_add(length);
            under_way += 1;
            continue;
        }
        let left = answer(&mut read).await?.bytes;
        sink.take(&mut read, left).await?;
        tell(events, sink.hasher.count(), total)?;
        under_way -= 1;
    }
    sink.end(chunk_bytes, if length == u64::MAX { 0 } else { depth }).await
}

/// Progress, unless the controller still has some to read.
fn tell(events: &Sender<Told>, bytes: u64, bytes_total: u64) -> io::Result<()> {
    let progress = Event::Progress(TransferProgress { bytes, bytes_total });
    match events.try_send(Ok(super::event(progress))) {
        Ok(()) | Err(TrySendError::Full(_)) => Ok(()),
        Err(TrySendError::Closed(_)) => Err(io::Error::other("nobody waits for this transfer")),
    }
}

/// Where bytes go, and what was measured on the way.
struct Sink {
    file: Option<File>,
    hasher: blake3::Hasher,
    started_ns: u64,
    first_byte_ns: u64,
    last_ns: u64,
    gap_ns_max: u64,
}

impl Sink {
    async fn new(to: Option<PathBuf>) -> io::Result<Self> {
        let file = match to {
            Some(path) => Some(File::create(path).await?),
            None => None,
        };
        let started_ns = now_ns();
        Ok(Self {
            file,
            hasher: blake3::Hasher::new(),
            started_ns,
            first_byte_ns: 0,
            last_ns: started_ns,
            gap_ns_max: 0,
        })
    }

    async fn take(&mut self, read: &mut BufReader<OwnedReadHalf>, bytes: u64) -> io::Result<()> {
        let mut piece = vec![0; PIECE_BYTES];
        let mut answer = read.take(bytes);
        while answer.limit() > 0 {
            let length = answer.read(&mut piece).await?;
            if length == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the peer went away"));
            }
            if self.hasher.count() == 0 {
                self.first_byte_ns = now_ns() - self.started_ns;
            } else {
                self.gap_ns_max = self.gap_ns_max.max(now_ns() - self.last_ns);
            }
            self.last_ns = now_ns();
            self.hasher.update(&piece[..length]);
            if let Some(file) = &mut self.file {
                file.write_all(&piece[..length]).await?;
            }
        }
        Ok(())
    }

    async fn end(mut self, chunk_bytes: u32, depth: u32) -> io::Result<TransferDone> {
        if let Some(file) = &mut self.file {
            file.flush().await?;
        }
        Ok(TransferDone {
            bytes: self.hasher.count(),
            wall_ns: now_ns() - self.started_ns,
            first_byte_ns: self.first_byte_ns,
            gap_ns_max: self.gap_ns_max,
            blake3: self.hasher.finalize().as_bytes().to_vec(),
            chunk_bytes,
            depth,
            ..TransferDone::default()
        })
    }
}
