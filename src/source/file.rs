//! One regular file: its version and positioned reads of exactly that version.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt as _;

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::io::Errno;

use super::{SourceError, failed};
use crate::transfer::{Entry, FileKind, Version};

/// A regular file that is open for reading.
#[derive(Debug)]
pub struct SourceFile {
    file: File,
    version: Version,
}

impl SourceFile {
    pub(super) fn new(file: File) -> Result<Self, SourceError> {
        let metadata = file.metadata().map_err(|source| failed("stat", source))?;
        let entry = entry(String::new(), &metadata)?;
        if entry.kind == FileKind::Directory {
            return Err(SourceError::Invalid { reason: "is a directory" });
        }
        Ok(Self { file, version: entry.version })
    }

    /// The version when it was opened.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Reads `length_bytes` at `offset_bytes`, less only at the end of the file.
    ///
    /// The bytes are those of `version`, or the answer is [`SourceError::Changed`]:
    /// the version is taken before and after the read. A writer that changes
    /// bytes in place twice within one tick of the file system's clock (4 ms on
    /// common kernels before 6.13) and keeps the size can hide from this.
    pub fn read(
        &self,
        version: &Version,
        offset_bytes: u64,
        length_bytes: u32,
    ) -> Result<Bytes, SourceError> {
        self.check(version)?;
        let rest_bytes = version.size_bytes.saturating_sub(offset_bytes);
        // What does not fit usize does not fit u32 either, which bounds it.
        let length = usize::try_from(rest_bytes.min(u64::from(length_bytes))).unwrap_or(usize::MAX);
        let mut data = Vec::with_capacity(length);
        while data.len() < length {
            let offset = offset_bytes + data.len() as u64;
            // The allocation may be larger than asked for; what is read must not be.
            match rustix::io::pread(&self.file, spare_capacity(&mut data), offset) {
                Ok(0) => return Err(SourceError::Changed),
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(failed("read", errno.into())),
            }
        }
        data.truncate(length);
        self.check(version)?;
        Ok(Bytes::from(data))
    }

    fn check(&self, version: &Version) -> Result<(), SourceError> {
        let metadata = self.file.metadata().map_err(|source| failed("stat", source))?;
        if version_of(&metadata) == *version { Ok(()) } else { Err(SourceError::Changed) }
    }
}

/// The entry that `metadata` describes, unless its kind is not shared.
pub(super) fn entry(name: String, metadata: &Metadata) -> Result<Entry, SourceError> {
    let kind = if metadata.is_file() {
        FileKind::Regular
    } else if metadata.is_dir() {
        FileKind::Directory
    } else {
        return Err(SourceError::Denied { reason: "not a file or directory" });
    };
    Ok(Entry { name, kind, version: version_of(metadata), mode: metadata.mode() & 0o777 })
}

fn version_of(metadata: &Metadata) -> Version {
    Version {
        size_bytes: metadata.size(),
        mtime_s: metadata.mtime(),
        mtime_ns: nanoseconds(metadata.mtime_nsec()),
        inode: metadata.ino(),
        ctime_s: metadata.ctime(),
        ctime_ns: nanoseconds(metadata.ctime_nsec()),
    }
}

/// The kernel's nanoseconds are below 1 000 000 000.
fn nanoseconds(value: i64) -> u32 {
    u32::try_from(value).unwrap_or(0)
}
