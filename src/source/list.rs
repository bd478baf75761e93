//! One directory, in name order, in bounded batches.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::vec;

use rustix::fs::{Dir, OFlags};

use super::path::{SharePath, check_name};
use super::{Source, SourceError, failed, file};
use crate::transfer::Entry;
use crate::transfer::limits::LIST_ENTRIES_MAX;

/// A listing under way. The names are read at once, for their order; each entry
/// is looked at when its batch is asked for.
#[derive(Debug)]
pub struct Listing<'a> {
    source: &'a Source,
    path: SharePath,
    names: vec::IntoIter<String>,
}

impl<'a> Listing<'a> {
    pub(super) fn new(
        source: &'a Source,
        path: SharePath,
        directory: OwnedFd,
    ) -> Result<Self, SourceError> {
        let io = |errno: rustix::io::Errno| failed("read directory", errno.into());
        let mut names = Vec::new();
        for entry in Dir::new(directory).map_err(io)? {
            let entry = entry.map_err(io)?;
            let raw = entry.file_name();
            match raw.to_str() {
                Ok("." | "..") => {}
                Ok(name) if check_name(name).is_ok() => names.push(name.to_owned()),
                _ => {
                    tracing::warn!(directory = %path, name = ?raw, "not listed: name is not UTF-8")
                }
            }
            if names.len() > LIST_ENTRIES_MAX {
                return Err(SourceError::TooLarge { entries_max: LIST_ENTRIES_MAX });
            }
        }
        names.sort_unstable();
        Ok(Self { source, path, names: names.into_iter() })
    }

    /// The next at most `entries_max` entries; empty at the end. Entries that are
    /// gone, lead outside or are of no shared kind are left out.
    pub fn next_batch(&mut self, entries_max: usize) -> Vec<Entry> {
        let (source, path) = (self.source, &self.path);
        self.names
            .by_ref()
            .filter_map(|name| {
                let opened = source.resolve(&path.join(&name), OFlags::PATH);
                let metadata =
                    opened.map_err(std::io::Error::from).and_then(|fd| File::from(fd).metadata());
                let entry = match metadata {
                    Ok(metadata) => file::entry(name.clone(), &metadata).map_err(|e| e.to_string()),
                    Err(error) => Err(error.to_string()),
                };
                entry
                    .inspect_err(
                        |reason| tracing::debug!(directory = %path, name, reason, "not listed"),
                    )
                    .ok()
            })
            .take(entries_max)
            .collect()
    }
}
