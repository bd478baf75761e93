//! What is open.

use std::collections::HashMap;
use std::sync::Arc;

use super::directory::Snapshot;
use super::error::FsError;
use super::read::OpenFile;

/// Open files and directories at once. Linux allows a process 1024 by default,
/// so this is many processes' worth; a directory's snapshot is what costs memory.
const HANDLES_MAX: usize = 65_536;

/// One open file or directory.
#[derive(Clone, Debug)]
pub(super) enum Handle {
    File(Arc<OpenFile>),
    Directory(Arc<Snapshot>),
}

/// The table of handles. A handle's number is never used twice.
#[derive(Debug)]
pub(super) struct Handles {
    open: HashMap<u64, Handle>,
    next: u64,
}

impl Handles {
    pub(super) fn new() -> Self {
        Self { open: HashMap::new(), next: 1 }
    }

    /// How many are open.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn insert(&mut self, handle: Handle) -> Result<u64, FsError> {
        if self.open.len() >= HANDLES_MAX {
            return Err(FsError::TooManyHandles { max: HANDLES_MAX });
        }
        let number = self.next;
        self.next += 1;
        self.open.insert(number, handle);
        Ok(number)
    }

    pub(super) fn file(&self, handle: u64) -> Result<Arc<OpenFile>, FsError> {
        match self.open.get(&handle) {
            Some(Handle::File(file)) => Ok(Arc::clone(file)),
            _ => Err(FsError::NoSuchHandle { handle }),
        }
    }

    pub(super) fn directory(&self, handle: u64) -> Result<Arc<Snapshot>, FsError> {
        match self.open.get(&handle) {
            Some(Handle::Directory(snapshot)) => Ok(Arc::clone(snapshot)),
            _ => Err(FsError::NoSuchHandle { handle }),
        }
    }

    pub(super) fn remove(&mut self, handle: u64) -> Result<(), FsError> {
        self.open.remove(&handle).map(drop).ok_or(FsError::NoSuchHandle { handle })
    }
}
