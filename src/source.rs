//! The serving disk: one directory tree, read-only, and nothing outside it.
//!
//! The kernel resolves every path beneath the share's root (`openat2(2)` with
//! `RESOLVE_BENEATH`), so neither `..` nor a symlink nor a directory swapped in
//! between leaves it. There is no second, weaker way: a kernel without
//! `openat2` cannot serve.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

mod file;
mod list;
mod path;

pub use file::SourceFile;
pub use list::Listing;
pub use path::{NAME_BYTES_MAX, PATH_BYTES_MAX, PathError, SharePath, check_name};

use crate::transfer::Entry;

/// Attempts after `EAGAIN`: the kernel could not rule out that a rename during
/// resolution led outside (openat2(2), ERRORS). A tree renamed without pause
/// must not hold a thread for ever.
const RESOLVE_ATTEMPTS_MAX: u32 = 16;

/// A share that is served. All its calls block.
#[derive(Debug)]
pub struct Source {
    root: OwnedFd,
    directory: PathBuf,
}

impl Source {
    /// Opens the share at `directory`.
    pub fn open(directory: &Path) -> Result<Self, OpenError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(CWD, directory, flags, Mode::empty()).map_err(|errno| {
            OpenError::Directory { directory: directory.to_owned(), source: errno.into() }
        })?;
        let source = Self { root, directory: directory.to_owned() };
        match source.resolve(&SharePath::ROOT, OFlags::PATH) {
            Ok(_) => Ok(source),
            Err(Errno::NOSYS | Errno::PERM) => Err(OpenError::NoOpenat2),
            Err(errno) => {
                Err(OpenError::Directory { directory: directory.to_owned(), source: errno.into() })
            }
        }
    }

    /// Where the share lies.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What is at `path`.
    pub fn stat(&self, path: &SharePath) -> Result<Entry, SourceError> {
        let file = File::from(self.resolve(path, OFlags::PATH).map_err(refusal)?);
        let metadata = file.metadata().map_err(|source| failed("stat", source))?;
        file::entry(path.name().to_owned(), &metadata)
    }

    /// Opens a regular file for positioned reads.
    pub fn open_file(&self, path: &SharePath) -> Result<SourceFile, SourceError> {
        // NONBLOCK: opening a FIFO must not wait for its writer; NOCTTY: nor a
        // terminal become ours. Both are refused once fstat has told.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        SourceFile::new(File::from(self.resolve(path, flags).map_err(refusal)?))
    }

    /// Lists a directory.
    pub fn list(&self, path: &SharePath) -> Result<Listing<'_>, SourceError> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::DIRECTORY;
        Listing::new(self, path.clone(), self.resolve(path, flags).map_err(refusal)?)
    }

    fn resolve(&self, path: &SharePath, flags: OFlags) -> Result<OwnedFd, Errno> {
        let text = if path.as_str().is_empty() { "." } else { path.as_str() };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let mut attempt = 1;
        loop {
            match openat2(&self.root, text, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
                Err(Errno::AGAIN | Errno::INTR) if attempt < RESOLVE_ATTEMPTS_MAX => attempt += 1,
                other => return other,
            }
        }
    }
}

/// Why a share cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory is missing, unreadable or no directory.
    #[error("share {}: cannot open this directory: {source}", directory.display())]
    Directory {
        /// The share asked for.
        directory: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The kernel (before 5.6) or a seccomp filter does not offer `openat2`.
    #[error(
        "this system does not offer openat2(2), which keeps peers inside the share; \
         use Linux 5.6 or later, and a container profile that allows the call"
    )]
    NoOpenat2,
}

/// Why one request cannot be served from disk.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The directory has more entries than one listing may carry.
    #[error("the directory has more than {entries_max} entries")]
    TooLarge {
        /// The most that are listed.
        entries_max: usize,
    },
    /// The file is not the version asked for, or changed while it was read.
    #[error("the file changed")]
    Changed,
    /// Outside the share, unreadable, or of a kind that is not shared.
    #[error("{reason}")]
    Denied {
        /// For the peer to read.
        reason: &'static str,
    },
    /// The disk failed.
    #[error("{action}: {source}")]
    Failed {
        /// What was attempted.
        action: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// The request makes no sense for this path.
    #[error("{reason}")]
    Invalid {
        /// For the peer to read.
        reason: &'static str,
    },
    /// Nothing is there.
    #[error("no such file")]
    NotFound,
}

/// What the kernel's refusal to open means for the peer.
fn refusal(errno: Errno) -> SourceError {
    match errno {
        Errno::NOENT | Errno::NOTDIR => SourceError::NotFound,
        Errno::XDEV => SourceError::Denied { reason: "the path leaves the share" },
        Errno::LOOP => SourceError::Denied { reason: "a symlink on the path is not followed" },
        Errno::ACCESS | Errno::PERM => SourceError::Denied { reason: "not readable" },
        // Opening a socket, or a device without a driver.
        Errno::NXIO | Errno::NODEV => SourceError::Denied { reason: "not a file or directory" },
        Errno::NAMETOOLONG => SourceError::Invalid { reason: "the path is too long" },
        other => failed("open", other.into()),
    }
}

fn failed(action: &'static str, source: io::Error) -> SourceError {
    SourceError::Failed { action, source }
}

#[cfg(test)]
mod tests;
