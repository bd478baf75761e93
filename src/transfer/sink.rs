//! Where pulled bytes go, on a blocking thread of its own, so that network and
//! disk overlap. A bounded queue holds the network back when the disk lags.

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tempfile::NamedTempFile;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::Span;

use super::limits::SINK_QUEUE_PARTS;
use super::spans;
use crate::telemetry::layers::{Account, Layer};

/// Start of the names of files that are not complete. A daemon that is killed
/// leaves them; the next one removes them.
pub(crate) const PARTIAL_PREFIX: &str = ".partial-";

/// Permissions of a finished file, before the process's umask.
const FILE_MODE: u32 = 0o666;

/// Why the destination could not take the file.
#[derive(Debug, thiserror::Error)]
#[error(
    "{}: cannot {action} after {written_bytes} of {size_bytes} bytes: {source}; nothing was left there",
    destination.display()
)]
pub struct SinkError {
    /// The final name, where nothing is.
    pub destination: PathBuf,
    /// What was attempted.
    pub action: &'static str,
    /// Bytes that had been written.
    pub written_bytes: u64,
    /// Bytes that were to be written.
    pub size_bytes: u64,
    /// The system's reason.
    pub source: io::Error,
}

/// Takes the bytes of one file in order. Dropping it before [`Sink::commit`]
/// leaves nothing behind.
#[derive(Debug)]
pub(super) struct Sink {
    queue: mpsc::Sender<Message>,
    thread: JoinHandle<Result<Option<blake3::Hash>, SinkError>>,
}

#[derive(Debug)]
enum Message {
    Data(Bytes),
    Commit,
}

impl Sink {
    /// A file of `size_bytes` at `destination`, written beside it under a
    /// temporary name.
    pub(super) fn file(destination: &Path, size_bytes: u64, account: Account, span: Span) -> Self {
        let destination = destination.to_owned();
        Self::spawn(move |queue| write_file(queue, &destination, size_bytes, &account, &span))
    }

    /// Hashes and drops.
    pub(super) fn hash() -> Self {
        Self::spawn(|mut queue| {
            let mut hasher = blake3::Hasher::new();
            while let Some(Message::Data(data)) = queue.blocking_recv() {
                hasher.update(&data);
            }
            Ok(Some(hasher.finalize()))
        })
    }

    fn spawn<W>(work: W) -> Self
    where
        W: FnOnce(mpsc::Receiver<Message>) -> Result<Option<blake3::Hash>, SinkError>
            + Send
            + 'static,
    {
        let (queue, messages) = mpsc::channel(SINK_QUEUE_PARTS);
        Self { queue, thread: tokio::task::spawn_blocking(move || work(messages)) }
    }

    /// Hands over the next bytes; waits while the queue is full. False: the
    /// thread has failed, and [`Sink::commit`] says why.
    pub(super) async fn write(&self, data: Bytes) -> bool {
        self.queue.send(Message::Data(data)).await.is_ok()
    }

    /// Completes the file: right size, on disk, under its name. The digest when
    /// hashing.
    pub(super) async fn commit(self) -> Result<Option<blake3::Hash>, SinkError> {
        // A thread that failed takes no message; its error is below.
        let _ = self.queue.send(Message::Commit).await;
        drop(self.queue);
        match self.thread.await {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }
}

fn write_file(
    mut queue: mpsc::Receiver<Message>,
    destination: &Path,
    size_bytes: u64,
    account: &Account,
    span: &Span,
) -> Result<Option<blake3::Hash>, SinkError> {
    let error = |(action, written_bytes, source)| SinkError {
        destination: destination.to_owned(),
        action,
        written_bytes,
        size_bytes,
        source,
    };
    let directory = destination.parent().unwrap_or_else(|| Path::new("/"));
    let mut file = create(directory).map_err(|source| error(("create a file", 0, source)))?;
    let Some(written_bytes) = drain(&mut queue, &mut file, account, span).map_err(error)? else {
        // The pull was given up: `file` removes itself.
        return Ok(None);
    };
    if written_bytes != size_bytes {
        let source = io::Error::other("the file is not complete");
        return Err(error(("finish", written_bytes, source)));
    }
    let _disk = account.enter(Layer::Disk);
    let synced = file.as_file().sync_all();
    synced.map_err(|source| error(("sync", written_bytes, source)))?;
    let renamed = file.persist(destination);
    renamed.map_err(|failed| error(("rename", written_bytes, failed.error)))?;
    Ok(None)
}

/// Writes what arrives until it is committed, and says how much that was; `None`
/// when the pull was given up.
fn drain(
    queue: &mut mpsc::Receiver<Message>,
    out: &mut impl Write,
    account: &Account,
    span: &Span,
) -> Result<Option<u64>, (&'static str, u64, io::Error)> {
    let mut written_bytes = 0;
    while let Some(message) = queue.blocking_recv() {
        let Message::Data(data) = message else {
            return Ok(Some(written_bytes));
        };
        let _disk = account.enter(Layer::Disk);
        let _span = spans::disk_write(span, written_bytes, data.len()).entered();
        out.write_all(&data).map_err(|source| ("write", written_bytes, source))?;
        written_bytes += data.len() as u64;
    }
    Ok(None)
}

fn create(directory: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new()
        .prefix(PARTIAL_PREFIX)
        .permissions(Permissions::from_mode(FILE_MODE))
        .tempfile_in(directory)
}

/// Removes what a killed daemon left incomplete in `directory`.
pub(crate) fn remove_partials(directory: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(PARTIAL_PREFIX.as_bytes()) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
