//! The two ends of a copy: a thread here, or our executable in a container.

use std::fmt::Display;
use std::io;
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};

use futures::TryStreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::task::{JoinHandle, spawn_blocking};

use super::{Side, archive};
use crate::cli::exit::Exit;
use crate::testbed::parts::container::Inside;
use crate::testbed::parts::{Part, Stream, VerbError};

/// Most bytes moved at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// What is kept of the other side's complaints.
const COMPLAINT_BYTES_MAX: usize = 4096;

/// A thread that packs or unpacks here, and the other end of its stream.
pub(super) struct Thread {
    stream: UnixStream,
    work: JoinHandle<io::Result<()>>,
    what: String,
}

impl Thread {
    fn start(
        what: String,
        work: impl FnOnce(BlockingStream) -> io::Result<()> + Send + 'static,
    ) -> Result<Self, VerbError> {
        let pair = || {
            let (ours, theirs) = BlockingStream::pair()?;
            ours.set_nonblocking(true)?;
            Ok((UnixStream::from_std(ours)?, theirs))
        };
        let (stream, theirs) =
            pair().map_err(|error: io::Error| VerbError::failed(format!("{what}: {error}")))?;
        Ok(Self { stream, work: spawn_blocking(move || work(theirs)), what })
    }

    async fn end(self) -> Result<(), VerbError> {
        let Self { stream, work, what } = self;
        // Its reading or writing ends with the stream.
        drop(stream);
        let ended = work.await.expect("packing neither panics nor is cancelled");
        ended.map_err(|error| not_done(&what, &error, archive::is_input(&error)))
    }
}

/// The executable in a container, and what it complains of.
pub(super) struct Remote {
    inside: Inside,
    what: String,
    complaint: Vec<u8>,
}

impl Remote {
    fn complain(&mut self, bytes: &[u8]) {
        let room = COMPLAINT_BYTES_MAX.saturating_sub(self.complaint.len());
        self.complaint.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    async fn end(mut self) -> Result<(), VerbError> {
        let _gone_already = self.inside.input.shutdown().await;
        while let Some(chunk) = self.inside.output.try_next().await? {
            self.complain(&chunk.bytes);
        }
        self.verdict().await
    }

    /// Whether it did its work; only after its end.
    async fn verdict(&self) -> Result<(), VerbError> {
        let code = self.inside.code().await?;
        if code == 0 {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&self.complaint);
        let said = said.trim().trim_start_matches("error: ");
        let why = if said.is_empty() { format!("exit code {code}") } else { said.into() };
        Err(not_done(&self.what, &why, code == Exit::BadInput.code()))
    }
}

/// Whoever packs.
pub(super) enum Source {
    Here(Thread, Vec<u8>),
    There(Remote),
}

impl Source {
    pub(super) async fn open(side: &Side, part: &Part) -> Result<Self, VerbError> {
        let local = |path: PathBuf, what| {
            let packing = move |stream| archive::pack(&path, io::BufWriter::new(stream));
            Thread::start(what, packing).map(|thread| Self::Here(thread, vec![0; CHUNK_BYTES]))
        };
        let what = format!("copying {}", shown(side));
        match (side, part) {
            (Side::Local(path), _) => local(path.clone(), what),
            (Side::Peer { path, .. }, Part::Process(part)) => local(part.translate(path)?, what),
            (Side::Peer { path, .. }, Part::Container(part)) => {
                let arguments = [text(path)?];
                let inside = Inside::start(part, &["pack", "--"], &arguments).await?;
                Ok(Self::There(Remote { inside, what, complaint: Vec::new() }))
            }
            (Side::Peer { .. }, Part::Elsewhere(part)) => Err(part.not_ours()),
        }
    }

    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, VerbError> {
        match self {
            Self::Here(thread, buffer) => {
                let read = thread.stream.read(buffer).await;
                let length =
                    read.map_err(|error| VerbError::failed(format!("{}: {error}", thread.what)))?;
                Ok((length > 0).then(|| buffer[..length].to_vec()))
            }
            Self::There(remote) => {
                while let Some(chunk) = remote.inside.output.try_next().await? {
                    match chunk.stream {
                        Stream::Stdout => return Ok(Some(chunk.bytes)),
                        Stream::Stderr => remote.complain(&chunk.bytes),
                    }
                }
                Ok(None)
            }
        }
    }

    /// Whether all of it came; only after the last byte.
    pub(super) async fn finish(&mut self) -> Result<(), VerbError> {
        match self {
            Self::Here(thread, _) => {
                let ended = (&mut thread.work).await.expect("packing does not panic");
                ended.map_err(|error| not_done(&thread.what, &error, archive::is_input(&error)))
            }
            Self::There(remote) => remote.verdict().await,
        }
    }
}

/// Whoever unpacks.
pub(super) enum Sink {
    Here(Thread),
    There(Remote),
}

impl Sink {
    pub(super) async fn open(side: &Side, part: &Part, name: &str) -> Result<Self, VerbError> {
        let local = |path: PathBuf, what| {
            let name = name.to_owned();
            Thread::start(what, move |stream| archive::unpack(stream, &path, &name)).map(Self::Here)
        };
        let what = format!("copying to {}", shown(side));
        match (side, part) {
            (Side::Local(path), _) => local(path.clone(), what),
            (Side::Peer { path, .. }, Part::Process(part)) => local(part.translate(path)?, what),
            (Side::Peer { path, .. }, Part::Container(part)) => {
                let arguments = [text(path)?, name.to_owned()];
                let inside = Inside::start(part, &["unpack", "--"], &arguments).await?;
                Ok(Self::There(Remote { inside, what, complaint: Vec::new() }))
            }
            (Side::Peer { .. }, Part::Elsewhere(part)) => Err(part.not_ours()),
        }
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), VerbError> {
        let (written, what) = match self {
            Self::Here(thread) => (thread.stream.write_all(bytes).await, &thread.what),
            Self::There(remote) => (remote.inside.input.write_all(bytes).await, &remote.what),
        };
        written.map_err(|error| VerbError::failed(format!("{what}: {error}")))
    }

    /// Whether it is all there now, under its name.
    pub(super) async fn finish(self) -> Result<(), VerbError> {
        match self {
            Self::Here(thread) => thread.end().await,
            Self::There(mut remote) => {
                if let Err(error) = remote.inside.input.flush().await {
                    tracing::debug!("{}: {error}", remote.what);
                }
                remote.end().await
            }
        }
    }
}

fn not_done(what: &str, why: &dyn Display, is_input: bool) -> VerbError {
    let what = format!("{what}: {why}");
    if !is_input {
        return VerbError::failed(what);
    }
    VerbError::input(
        what,
        "a peer's relative path is below its share; a copy makes no directories above it",
    )
}

fn shown(side: &Side) -> String {
    match side {
        Side::Local(path) => path.display().to_string(),
        Side::Peer { name, path } => format!("{name}:{}", path.display()),
    }
}

/// The engine takes commands as text.
fn text(path: &Path) -> Result<String, VerbError> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| {
        VerbError::input(format!("{} is not UTF-8", path.display()), "copy the directory above it")
    })
}
