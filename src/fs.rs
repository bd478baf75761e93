//! The mount's file system: what `/<peer>/<path>` means. Knows no kernel.
//!
//! The root lists the peers; below `/<peer>/` is that peer's share, asked for
//! through [`Remote`] whenever the kernel asks here. Nothing is cached: the
//! kernel caches, for [`ENTRY_TTL`].
//!
//! **A number is one version of one file.** A file that changes at its peer gets
//! another inode number at the next lookup, so the kernel's pages of two versions
//! can never mix, and the attributes of a number never change. Whoever holds the
//! old one open can read on as long as the peer still has that version, and gets
//! ESTALE after. A directory keeps its number.
//!
//! Locks are held for table look-ups only, never across an await, so no request
//! waits for another.

mod attributes;
mod directory;
mod error;
mod handles;
mod inodes;
pub mod memory;
mod read;
mod shares;

use std::ffi::OsStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crate::transfer::{Entry, FetchError, FileKind, Remote};

pub use attributes::{Attributes, Owner};
pub use directory::{DirectoryEntry, Room, UNKNOWN_NUMBER};
pub use error::FsError;
pub use read::{Access, REMOTE_READ_BYTES_MAX};
pub use shares::{InvalidName, Shares};

use attributes::SHARE_MODE;
use handles::Handles;
use inodes::{Inodes, Node};

/// Number of the mount's root directory; FUSE fixes it.
pub const ROOT: u64 = inodes::ROOT;

/// How long the kernel may believe a name or attributes. Long enough that a path
/// walk or `ls -l` asks once per name, short enough that nobody notices a peer's
/// change late. `open` asks the peer anyway, so reads never rest on it.
pub const ENTRY_TTL: Duration = Duration::from_secs(1);

/// Longest name that is looked up, in bytes: what Linux file systems allow.
pub const NAME_BYTES_MAX: usize = 255;

/// The shares of all peers as one read-only tree.
///
/// Operations that ask a peer are async and end when the [`Remote`] does, which
/// is within its deadline. Dropping one cancels it and leaves nothing behind.
#[derive(Debug)]
pub struct FileSystem {
    shares: Shares,
    owner: Owner,
    started: SystemTime,
    inodes: Mutex<Inodes>,
    handles: Mutex<Handles>,
}

/// What the kernel holds of a [`FileSystem`]; both return to zero when it lets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Numbers that were looked up and not forgotten, without the root.
    pub inodes: usize,
    /// Open files and directories.
    pub handles: usize,
}

impl FileSystem {
    /// A tree over `shares`, which may change at any time. Everything in it
    /// belongs to `owner`; directories of peers are dated `started`.
    pub fn new(shares: Shares, owner: Owner, started: SystemTime) -> Self {
        Self {
            shares,
            owner,
            started,
            inodes: Mutex::new(Inodes::new()),
            handles: Mutex::new(Handles::new()),
        }
    }

    /// Finds `name` in the directory `parent`. The number in the answer is held
    /// until [`Self::forget`] has given back as many lookups as were made.
    ///
    /// A peer's own directory exists as long as the peer is known, reachable or not.
    pub async fn lookup(&self, parent: u64, name: &OsStr) -> Result<Attributes, FsError> {
        if name.len() > NAME_BYTES_MAX {
            return Err(FsError::NameTooLong { bytes: name.len() });
        }
        let parent = self.node(parent)?;
        // Names on the wire are UTF-8: another name exists nowhere.
        let Some(name) = name.to_str() else {
            return Err(FsError::NoSuchName { name: name.to_string_lossy().into_owned() });
        };
        let (peer, directory) = match parent {
            Node::Root => return self.lookup_share(name),
            Node::Directory { peer, path } => (peer, path),
            Node::File { path, .. } => {
                return Err(FsError::NotADirectory { path: path.to_string() });
            }
        };
        let path = join(&directory, name);
        let entry = self.remote(&peer)?.stat(&path).await?;
        let number = lock(&self.inodes).look_up(Node::new(peer, path.into(), &entry));
        Ok(self.attributes(number, &entry))
    }

    /// The kernel gives back `lookups` of those it made of `number`.
    pub fn forget(&self, number: u64, lookups: u64) {
        lock(&self.inodes).forget(number, lookups);
    }

    /// Attributes of a number. A file's are those of its version and cost no
    /// request; a directory's are asked for.
    pub async fn getattr(&self, number: u64) -> Result<Attributes, FsError> {
        let (peer, path) = match self.node(number)? {
            Node::Root => return Ok(self.share_attributes(ROOT)),
            Node::File { version, mode, .. } => {
                return Ok(Attributes::file(number, &version, mode, self.owner));
            }
            Node::Directory { peer, path } => (peer, path),
        };
        let remote = self.remote(&peer)?;
        if path.is_empty() {
            return Ok(self.share_attributes(number));
        }
        let entry = remote.stat(&path).await?;
        if entry.kind != FileKind::Directory {
            return Err(FsError::Stale { peer: peer.to_string(), path: path.to_string() });
        }
        Ok(self.attributes(number, &entry))
    }

    /// Whether `number` may be used so. Reading is for the peer to refuse.
    pub fn access(&self, number: u64, access: Access) -> Result<(), FsError> {
        self.node(number)?;
        match access {
            Access::Read => Ok(()),
            Access::Write => Err(FsError::ReadOnly),
        }
    }

    /// How much the kernel holds right now.
    pub fn held(&self) -> Held {
        Held { inodes: lock(&self.inodes).held(), handles: lock(&self.handles).len() }
    }

    fn lookup_share(&self, name: &str) -> Result<Attributes, FsError> {
        self.remote(name)?;
        let node = Node::Directory { peer: name.into(), path: "".into() };
        let number = lock(&self.inodes).look_up(node);
        Ok(self.share_attributes(number))
    }

    fn node(&self, number: u64) -> Result<Node, FsError> {
        lock(&self.inodes).node(number).cloned().ok_or(FsError::NoSuchInode { number })
    }

    fn remote(&self, peer: &str) -> Result<Arc<dyn Remote>, FsError> {
        self.shares.remote(peer).ok_or_else(|| FsError::NoSuchPeer { name: peer.to_owned() })
    }

    fn attributes(&self, number: u64, entry: &Entry) -> Attributes {
        Attributes::of(number, entry, self.owner)
    }

    /// The root and the peers' directories belong to no peer's disk.
    fn share_attributes(&self, number: u64) -> Attributes {
        Attributes::directory(number, SHARE_MODE, self.started, self.owner)
    }
}

fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") }
}

/// Each change of a table is one insertion or removal: a panic leaves it whole.
fn lock<T>(table: &Mutex<T>) -> MutexGuard<'_, T> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
