//! Listing directories.

use std::sync::Arc;

use super::attributes::{Attributes, SHARE_MODE};
use super::error::FsError;
use super::handles::Handle;
use super::inodes::{Inodes, Node};
use super::shares::is_name;
use super::{FileSystem, join, lock};

/// Number shown for an entry that the kernel has not looked up, as libfuse does
/// (`FUSE_UNKNOWN_INO`). Only a display: the kernel looks names up before use.
pub const UNKNOWN_NUMBER: u64 = 0xffff_ffff;

/// "." and "..", which every directory lists first.
const DOTS: [&str; 2] = [".", ".."];

/// Whether the reply's buffer had room for an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// The entry was taken.
    Taken,
    /// It was not: the reply is full.
    Full,
}

/// One entry of a listing.
#[derive(Clone, Copy, Debug)]
pub struct DirectoryEntry<'a> {
    /// Name in the directory.
    pub name: &'a str,
    /// Where the listing goes on after this entry. Stable for the handle's life.
    pub next_offset: u64,
    /// Its attributes.
    pub attributes: Attributes,
}

/// A directory as it was when it was opened. Offsets index it, so a listing that
/// is read in pieces neither skips nor repeats a name while the share changes.
#[derive(Debug)]
pub(super) struct Snapshot {
    own: Attributes,
    entries: Vec<Listed>,
}

#[derive(Debug)]
struct Listed {
    name: String,
    node: Node,
    /// All but the number.
    attributes: Attributes,
}

impl FileSystem {
    /// Lists the directory `number` and keeps the listing under a handle.
    pub async fn open_directory(&self, number: u64) -> Result<u64, FsError> {
        let entries = match self.node(number)? {
            Node::Root => self.list_shares(),
            Node::Directory { peer, path } => self.list_share(peer, &path).await?,
            Node::File { path, .. } => {
                return Err(FsError::NotADirectory { path: path.to_string() });
            }
        };
        let own = Attributes::directory(number, SHARE_MODE, self.started, self.owner);
        let snapshot = Arc::new(Snapshot { own, entries });
        lock(&self.handles).insert(Handle::Directory(snapshot))
    }

    /// Gives the entries from `offset` on to `add`, until it has no room.
    pub fn read_directory(
        &self,
        handle: u64,
        offset: u64,
        add: impl FnMut(DirectoryEntry<'_>) -> Room,
    ) -> Result<(), FsError> {
        let number = |inodes: &mut Inodes, node: &Node| inodes.number(node);
        self.walk(handle, offset, number, |_, _| (), add)
    }

    /// As [`Self::read_directory`], and every entry taken (but "." and "..") is
    /// looked up once, as by [`FileSystem::lookup`].
    pub fn read_directory_plus(
        &self,
        handle: u64,
        offset: u64,
        add: impl FnMut(DirectoryEntry<'_>) -> Room,
    ) -> Result<(), FsError> {
        let look_up = |inodes: &mut Inodes, node: &Node| Some(inodes.look_up(node.clone()));
        self.walk(handle, offset, look_up, |inodes, number| inodes.forget(number, 1), add)
    }

    /// Closes a directory.
    pub fn release_directory(&self, handle: u64) -> Result<(), FsError> {
        lock(&self.handles).remove(handle)
    }

    /// `add` only copies into the reply's buffer, so the lock is held throughout.
    fn walk(
        &self,
        handle: u64,
        offset: u64,
        number_of: impl Fn(&mut Inodes, &Node) -> Option<u64>,
        undo: impl Fn(&mut Inodes, u64),
        mut add: impl FnMut(DirectoryEntry<'_>) -> Room,
    ) -> Result<(), FsError> {
        let snapshot = lock(&self.handles).directory(handle)?;
        let skip = usize::try_from(offset).unwrap_or(usize::MAX);
        let dots = DOTS.into_iter().map(|name| (name, None));
        let listed = snapshot.entries.iter().map(|listed| (listed.name.as_str(), Some(listed)));
        let mut inodes = lock(&self.inodes);
        for ((name, listed), next_offset) in dots.chain(listed).zip(1..).skip(skip) {
            let number = listed.and_then(|listed| number_of(&mut inodes, &listed.node));
            let attributes = match listed {
                None => snapshot.own,
                Some(listed) => {
                    Attributes { number: number.unwrap_or(UNKNOWN_NUMBER), ..listed.attributes }
                }
            };
            if add(DirectoryEntry { name, next_offset, attributes }) == Room::Full {
                if let Some(number) = number {
                    undo(&mut inodes, number);
                }
                break;
            }
        }
        Ok(())
    }

    fn list_shares(&self) -> Vec<Listed> {
        let attributes = self.share_attributes(UNKNOWN_NUMBER);
        let listed = |name: String| Listed {
            node: Node::Directory { peer: name.as_str().into(), path: "".into() },
            name,
            attributes,
        };
        self.shares.names().into_iter().map(listed).collect()
    }

    async fn list_share(&self, peer: Arc<str>, directory: &str) -> Result<Vec<Listed>, FsError> {
        let entries = self.remote(&peer)?.list(directory).await?;
        let mut listed = Vec::with_capacity(entries.len());
        for entry in entries {
            // The kernel would fail the listing anyway, and not say why.
            if !is_name(&entry.name) {
                return Err(FsError::WrongName {
                    peer: peer.to_string(),
                    path: directory.to_owned(),
                    name: entry.name,
                });
            }
            let path = join(directory, &entry.name);
            listed.push(Listed {
                node: Node::new(Arc::clone(&peer), path.into(), &entry),
                attributes: self.attributes(UNKNOWN_NUMBER, &entry),
                name: entry.name,
            });
        }
        Ok(listed)
    }
}
