//! Files between two peers: what the client asks and the service answers.

use bytes::Bytes;
use futures::future::BoxFuture;

mod budget;
pub mod burst;
pub mod client;
mod convert;
pub mod direct;
pub mod limits;
mod plain;
pub mod pull;
mod push;
mod reads;
pub mod service;
mod sink;
pub(crate) mod spans;
pub mod status;

/// What a file is at one moment; see `Version` in `drop.proto`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Version {
    /// Size of the file.
    pub size_bytes: u64,
    /// Modification time, whole seconds since 1970.
    pub mtime_s: i64,
    /// The rest of the modification time.
    pub mtime_ns: u32,
    /// Inode at the serving file system.
    pub inode: u64,
    /// Change time, whole seconds since 1970.
    pub ctime_s: i64,
    /// The rest of the change time.
    pub ctime_ns: u32,
}

/// What an entry of a directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A directory.
    Directory,
    /// A regular file. Everything else is not shared.
    Regular,
}

/// One entry of a directory, or the answer to a stat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Name within its directory; empty for the root of a share.
    pub name: String,
    /// File or directory.
    pub kind: FileKind,
    /// Its version now.
    pub version: Version,
    /// Permission bits only.
    pub mode: u32,
}

/// Why a peer's file could not be read. Each has one errno at the mount and one
/// gRPC status on the wire (`drop.proto`).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The peer has no such path.
    #[error("{path}: no such file at {peer}")]
    NotFound {
        /// Who was asked.
        peer: String,
        /// What for.
        path: String,
    },
    /// The peer does not serve this path: outside the share, unreadable, or of a
    /// kind that is not shared.
    #[error("{path}: {peer} does not serve it: {reason}")]
    Denied {
        /// Who was asked.
        peer: String,
        /// What for.
        path: String,
        /// The peer's words.
        reason: String,
    },
    /// The request itself is wrong (a malformed path, a chunk too large).
    #[error("{path}: {peer} refused the request: {reason}")]
    Invalid {
        /// Who was asked.
        peer: String,
        /// What for.
        path: String,
        /// The peer's words.
        reason: String,
    },
    /// The file changed since the version that was asked for.
    #[error("{path}: changed at {peer} while it was being read; open it again")]
    Changed {
        /// Who was asked.
        peer: String,
        /// What for.
        path: String,
    },
    /// The peer is there and failed, or sent what it must not send.
    #[error("{path}: {peer} failed: {reason}")]
    Failed {
        /// Who was asked.
        peer: String,
        /// What for.
        path: String,
        /// What went wrong.
        reason: String,
    },
    /// No session with the peer: cannot be dialled, refused, or went away.
    #[error("{peer}: not reachable: {reason}")]
    Unreachable {
        /// Who was asked.
        peer: String,
        /// What went wrong.
        reason: String,
    },
    /// Too many requests at once.
    #[error("{path}: {peer} is busy: {reason}")]
    Busy {
        /// Who was asked.
        peer: String,
        /// What for.
        path: String,
        /// The peer's words.
        reason: String,
    },
    /// No answer within the deadline.
    #[error("{path}: no answer from {peer} within {deadline_ms} ms")]
    TimedOut {
        /// Who was asked.
        peer: String,
        /// What for.
        path: String,
        /// The deadline that passed.
        deadline_ms: u64,
    },
}

/// One peer's share, seen from here. The mount reads through it; the gRPC client
/// is one implementation, a share in memory (tests, benches) another.
///
/// Every call has a deadline of its own: a future that is polled always ends.
/// Dropping a future cancels the request.
pub trait Remote: Send + Sync + 'static {
    /// The entries of a directory, in name order.
    fn list(&self, path: &str) -> BoxFuture<'static, Result<Vec<Entry>, FetchError>>;

    /// What is at `path`; the empty path is the share itself.
    fn stat(&self, path: &str) -> BoxFuture<'static, Result<Entry, FetchError>>;

    /// Reads `length_bytes` at `offset_bytes` of exactly this version; shorter
    /// only at the end of the file.
    fn read(
        &self,
        path: &str,
        version: Version,
        offset_bytes: u64,
        length_bytes: u32,
    ) -> BoxFuture<'static, Result<Bytes, FetchError>>;

    /// The account that reads of this peer are charged to.
    fn account(&self) -> crate::telemetry::layers::Account;
}

#[cfg(test)]
mod tests;
