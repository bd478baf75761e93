//! Why an operation of the mount failed, and the one place that says its errno.

use rustix::io::Errno;

use crate::transfer::FetchError;

/// Why the kernel's request could not be answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FsError {
    /// The peer was asked and did not deliver.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A directory was opened as a file.
    #[error("{path}: is a directory; list it instead")]
    IsADirectory {
        /// Path within the share.
        path: String,
    },
    /// A name longer than any file system here allows.
    #[error("a name of {bytes} bytes is longer than {max}", max = super::NAME_BYTES_MAX)]
    NameTooLong {
        /// Its length.
        bytes: usize,
    },
    /// The kernel used a handle that is not open. Its or our bug.
    #[error("handle {handle} is not open")]
    NoSuchHandle {
        /// What it sent.
        handle: u64,
    },
    /// The kernel used a number that it was not given, or forgot.
    #[error("inode {number} is not known")]
    NoSuchInode {
        /// What it sent.
        number: u64,
    },
    /// A name that nothing can have.
    #[error("{name}: no such file: names are UTF-8")]
    NoSuchName {
        /// The name, as far as it can be shown.
        name: String,
    },
    /// No such peer is known (any more).
    #[error("{name}: no such peer; `dropd peers` lists those that are known")]
    NoSuchPeer {
        /// Directory below the root.
        name: String,
    },
    /// A file was used as a directory.
    #[error("{path}: is not a directory")]
    NotADirectory {
        /// Path within the share.
        path: String,
    },
    /// Something was to be written.
    #[error("the mount is read-only: files change at the peer that shares them")]
    ReadOnly,
    /// The file was looked up, and is another version now.
    #[error("{path}: changed at {peer}; look it up again")]
    Stale {
        /// Whose file.
        peer: String,
        /// Path within the share.
        path: String,
    },
    /// More open at once than this process keeps.
    #[error("{max} files and directories are open; close some")]
    TooManyHandles {
        /// The bound.
        max: usize,
    },
    /// The peer sent more or fewer bytes than the file's version has there.
    #[error("{path}: {peer} sent {sent_bytes} bytes for {asked_bytes} at {offset_bytes}")]
    WrongLength {
        /// Who was asked.
        peer: String,
        /// Path within the share.
        path: String,
        /// From where.
        offset_bytes: u64,
        /// How many the version has there.
        asked_bytes: u32,
        /// How many came.
        sent_bytes: usize,
    },
    /// The peer listed a name that cannot be one.
    #[error("{path}: {peer} listed an impossible name {name:?}")]
    WrongName {
        /// Who was asked.
        peer: String,
        /// Path of the directory.
        path: String,
        /// What it sent.
        name: String,
    },
}

impl FsError {
    /// What the application sees. `drop.proto` has the same table.
    pub fn errno(&self) -> Errno {
        match self {
            Self::Fetch(error) => fetch_errno(error),
            Self::IsADirectory { .. } => Errno::ISDIR,
            Self::NameTooLong { .. } => Errno::NAMETOOLONG,
            Self::NoSuchHandle { .. } => Errno::BADF,
            Self::NoSuchInode { .. } | Self::Stale { .. } => Errno::STALE,
            Self::NoSuchName { .. } | Self::NoSuchPeer { .. } => Errno::NOENT,
            Self::NotADirectory { .. } => Errno::NOTDIR,
            Self::ReadOnly => Errno::ROFS,
            Self::TooManyHandles { .. } => Errno::NFILE,
            Self::WrongLength { .. } | Self::WrongName { .. } => Errno::IO,
        }
    }
}

fn fetch_errno(error: &FetchError) -> Errno {
    match error {
        FetchError::NotFound { .. } => Errno::NOENT,
        FetchError::Denied { .. } => Errno::ACCESS,
        FetchError::Invalid { .. } => Errno::INVAL,
        FetchError::Changed { .. } => Errno::STALE,
        // EHOSTUNREACH belongs to sockets: no manual of read(2) or stat(2) names
        // it, and programs that retry on it would be the wrong ones.
        FetchError::Failed { .. } | FetchError::Unreachable { .. } => Errno::IO,
        FetchError::Busy { .. } => Errno::AGAIN,
        FetchError::TimedOut { .. } => Errno::TIMEDOUT,
    }
}
