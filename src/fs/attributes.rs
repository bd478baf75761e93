//! What `stat` shows of a peer's file.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::transfer::{Entry, FileKind, Version};

/// Mode of the root and of the peers' directories: to be listed, not written.
pub(super) const SHARE_MODE: u32 = 0o555;

/// Read and search: the mount is read-only, so no write bit is ever shown.
const READ_MODE: u32 = 0o555;

/// To whom everything in the mount belongs.
///
/// User ids of the peer mean nothing here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// User id.
    pub user: u32,
    /// Group id.
    pub group: u32,
}

impl Owner {
    /// The user that runs this process.
    pub fn of_process() -> Self {
        Self {
            user: rustix::process::geteuid().as_raw(),
            group: rustix::process::getegid().as_raw(),
        }
    }
}

/// Attributes of one inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// Inode number.
    pub number: u64,
    /// File or directory.
    pub kind: FileKind,
    /// Size; 0 for a directory.
    pub size_bytes: u64,
    /// Permission bits.
    pub mode: u32,
    /// Last change of the contents.
    pub modified: SystemTime,
    /// Last change of the inode at the peer.
    pub changed: SystemTime,
    /// Links: 1 for a file, 2 for a directory.
    pub links: u32,
    /// To whom it belongs.
    pub owner: Owner,
}

impl Attributes {
    /// Attributes of a peer's entry.
    pub(super) fn of(number: u64, entry: &Entry, owner: Owner) -> Self {
        let version = &entry.version;
        match entry.kind {
            FileKind::Regular => Self::file(number, version, entry.mode, owner),
            FileKind::Directory => Self {
                changed: time(version.ctime_s, version.ctime_ns),
                ..Self::directory(
                    number,
                    entry.mode,
                    time(version.mtime_s, version.mtime_ns),
                    owner,
                )
            },
        }
    }

    /// Attributes of one version of a file.
    pub(super) fn file(number: u64, version: &Version, mode: u32, owner: Owner) -> Self {
        Self {
            number,
            kind: FileKind::Regular,
            size_bytes: version.size_bytes,
            // Whether the owner may read is said by the peer (EACCES), not by
            // bits that speak of the peer's users.
            mode: (mode & READ_MODE) | 0o400,
            modified: time(version.mtime_s, version.mtime_ns),
            changed: time(version.ctime_s, version.ctime_ns),
            links: 1,
            owner,
        }
    }

    /// Attributes of a directory that was last changed at `modified`.
    pub(super) fn directory(number: u64, mode: u32, modified: SystemTime, owner: Owner) -> Self {
        Self {
            number,
            kind: FileKind::Directory,
            size_bytes: 0,
            mode: (mode & READ_MODE) | 0o500,
            modified,
            changed: modified,
            links: 2,
            owner,
        }
    }
}

/// A peer's time stamp; one that this system cannot express is shown as 1970.
fn time(seconds: i64, nanoseconds: u32) -> SystemTime {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let second = match seconds {
        0.. => UNIX_EPOCH.checked_add(whole),
        _ => UNIX_EPOCH.checked_sub(whole),
    };
    second
        .and_then(|s| s.checked_add(Duration::from_nanos(nanoseconds.into())))
        .unwrap_or(UNIX_EPOCH)
}
