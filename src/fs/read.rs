//! Opening and reading files.

use std::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::future::try_join_all;
use tracing::{Instrument as _, Span, info_span};

use super::error::FsError;
use super::handles::Handle;
use super::inodes::Node;
use super::{FetchError, FileKind, FileSystem, lock};
use crate::transfer::{Remote, Version};

/// Bytes asked of a peer in one request. A larger read of the kernel (1 MiB at
/// most, unless an administrator raised it) becomes several at once: 512 KiB is
/// one frame of the transport, so larger requests would only be cut there.
pub const REMOTE_READ_BYTES_MAX: u32 = 512 * 1024;

/// What a file is opened, or asked about, for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading only.
    Read,
    /// Writing, also when reading too.
    Write,
}

/// One open file: the version that it was at its opening, at the peer it was
/// opened at.
pub(super) struct OpenFile {
    remote: Arc<dyn Remote>,
    peer: Arc<str>,
    path: Arc<str>,
    version: Version,
    reader: Span,
}

impl FileSystem {
    /// Opens a file for reading, after asking the peer whether it still is the
    /// version that was looked up: [`FsError::Stale`] if not, on which the kernel
    /// looks it up again by itself. `reader` becomes the parent of all
    /// `fuse.read` spans of the handle.
    pub async fn open(&self, number: u64, access: Access, reader: Span) -> Result<u64, FsError> {
        let node = self.node(number)?;
        let (peer, path, version) = match node {
            Node::Root => return Err(FsError::IsADirectory { path: String::new() }),
            Node::Directory { path, .. } => {
                return Err(FsError::IsADirectory { path: path.to_string() });
            }
            Node::File { peer, path, version, .. } => (peer, path, version),
        };
        if access == Access::Write {
            return Err(FsError::ReadOnly);
        }
        let remote = self.remote(&peer)?;
        let entry = remote.stat(&path).await?;
        if entry.kind != FileKind::Regular || entry.version != version {
            return Err(FsError::Stale { peer: peer.to_string(), path: path.to_string() });
        }
        let file = OpenFile { remote, peer, path, version, reader };
        lock(&self.handles).insert(Handle::File(Arc::new(file)))
    }

    /// Reads `length_bytes` at `offset_bytes`: all of them, fewer only at the end
    /// of the opened version, or an error. Never bytes of another version.
    pub async fn read(
        &self,
        handle: u64,
        offset_bytes: u64,
        length_bytes: u32,
    ) -> Result<Bytes, FsError> {
        let file = lock(&self.handles).file(handle)?;
        let available = file.version.size_bytes.saturating_sub(offset_bytes);
        let length_bytes = u32::try_from(available).unwrap_or(u32::MAX).min(length_bytes);
        let span = info_span!(
            parent: &file.reader,
            "fuse.read",
            dropbed.peer = &*file.peer,
            dropbed.path = &*file.path,
            dropbed.offset_bytes = offset_bytes,
            dropbed.length_bytes = length_bytes,
        );
        file.read(offset_bytes, length_bytes).instrument(span).await
    }

    /// Closes a file.
    pub fn release(&self, handle: u64) -> Result<(), FsError> {
        lock(&self.handles).remove(handle)
    }
}

impl OpenFile {
    /// Reads within the version's bounds.
    async fn read(&self, offset_bytes: u64, length_bytes: u32) -> Result<Bytes, FsError> {
        if length_bytes <= REMOTE_READ_BYTES_MAX {
            return self.read_part(offset_bytes, length_bytes).await;
        }
        let starts = (0..length_bytes).step_by(REMOTE_READ_BYTES_MAX as usize);
        let parts = starts.map(|start| {
            let part_bytes = (length_bytes - start).min(REMOTE_READ_BYTES_MAX);
            self.read_part(offset_bytes + u64::from(start), part_bytes)
        });
        let parts: Vec<_> = parts.collect();
        let parts = try_join_all(parts).await?;
        let mut whole = BytesMut::with_capacity(length_bytes as usize);
        for part in parts {
            whole.extend_from_slice(&part);
        }
        Ok(whole.freeze())
    }

    async fn read_part(&self, offset_bytes: u64, length_bytes: u32) -> Result<Bytes, FsError> {
        if length_bytes == 0 {
            return Ok(Bytes::new());
        }
        let answer = self.remote.read(&self.path, self.version, offset_bytes, length_bytes).await;
        let bytes = answer.map_err(|error| match error {
            // ENOENT would be a strange answer to read(2): the name may be gone,
            // what counts is that the opened version is.
            FetchError::NotFound { .. } => self.stale(),
            other => other.into(),
        })?;
        if bytes.len() != length_bytes as usize {
            return Err(FsError::WrongLength {
                peer: self.peer.to_string(),
                path: self.path.to_string(),
                offset_bytes,
                asked_bytes: length_bytes,
                sent_bytes: bytes.len(),
            });
        }
        Ok(bytes)
    }

    fn stale(&self) -> FsError {
        FsError::Stale { peer: self.peer.to_string(), path: self.path.to_string() }
    }
}

impl fmt::Debug for OpenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenFile")
            .field("peer", &self.peer)
            .field("path", &self.path)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}
