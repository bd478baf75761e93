//! What goes to the kernel, in fuser's types.

use std::time::UNIX_EPOCH;

use fuser::{Errno, FileAttr, FileType, INodeNo};

use crate::fs::{Attributes, FsError, Room};
use crate::transfer::FileKind;

/// What stat and statfs call a block. There is no disk here whose blocks would matter.
pub(super) const BLOCK_BYTES: u32 = 4096;

/// The errno of `error`. The application sees nothing else, so the log keeps the
/// words, except for what every path walk produces.
pub(super) fn errno(error: &FsError) -> Errno {
    let errno = error.errno();
    if errno != rustix::io::Errno::NOENT {
        tracing::warn!(?errno, %error, "a request of the mount failed");
    }
    Errno::from_i32(errno.raw_os_error())
}

/// fuser's `add` says whether it was full.
pub(super) fn room(full: bool) -> Room {
    if full { Room::Full } else { Room::Taken }
}

/// Kind of an entry.
pub(super) fn file_type(attributes: &Attributes) -> FileType {
    match attributes.kind {
        FileKind::Directory => FileType::Directory,
        FileKind::Regular => FileType::RegularFile,
    }
}

/// Attributes of an inode.
pub(super) fn file_attr(attributes: &Attributes) -> FileAttr {
    FileAttr {
        ino: INodeNo(attributes.number),
        size: attributes.size_bytes,
        blocks: attributes.size_bytes.div_ceil(512),
        atime: attributes.modified,
        mtime: attributes.modified,
        ctime: attributes.changed,
        crtime: UNIX_EPOCH,
        kind: file_type(attributes),
        perm: u16::try_from(attributes.mode & 0o777).unwrap_or_default(),
        nlink: attributes.links,
        uid: attributes.owner.user,
        gid: attributes.owner.group,
        rdev: 0,
        blksize: BLOCK_BYTES,
        flags: 0,
    }
}
