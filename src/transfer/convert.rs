//! Between the types of the wire and our own. What comes from a peer is checked.

use super::{Entry, FileKind, Version};
use crate::proto::drop as wire;
use crate::source::check_name;

impl From<Version> for wire::Version {
    fn from(version: Version) -> Self {
        let Version { size_bytes, mtime_s, mtime_ns, inode, ctime_s, ctime_ns } = version;
        Self { size_bytes, mtime_s, mtime_ns, inode, ctime_s, ctime_ns }
    }
}

impl From<wire::Version> for Version {
    fn from(version: wire::Version) -> Self {
        let wire::Version { size_bytes, mtime_s, mtime_ns, inode, ctime_s, ctime_ns } = version;
        Self { size_bytes, mtime_s, mtime_ns, inode, ctime_s, ctime_ns }
    }
}

impl From<Entry> for wire::Entry {
    fn from(entry: Entry) -> Self {
        let kind = match entry.kind {
            FileKind::Directory => wire::FileKind::Directory,
            FileKind::Regular => wire::FileKind::Regular,
        };
        Self {
            name: entry.name,
            kind: kind.into(),
            version: Some(entry.version.into()),
            mode: entry.mode,
        }
    }
}

/// An entry of a listing, as a peer sent it; the reason when it must not have.
pub(super) fn listed_entry(entry: wire::Entry) -> Result<Entry, String> {
    check_name(&entry.name).map_err(|error| format!("it lists {:?}: {error}", entry.name))?;
    named_entry(entry)
}

/// The answer to a stat, where the name may be empty for the root.
pub(super) fn stat_entry(entry: wire::Entry) -> Result<Entry, String> {
    if entry.name.is_empty() { named_entry(entry) } else { listed_entry(entry) }
}

fn named_entry(entry: wire::Entry) -> Result<Entry, String> {
    let kind = match entry.kind() {
        wire::FileKind::Directory => FileKind::Directory,
        wire::FileKind::Regular => FileKind::Regular,
        wire::FileKind::Unspecified => return Err(format!("{:?} has no kind", entry.name)),
    };
    let Some(version) = entry.version else {
        return Err(format!("{:?} has no version", entry.name));
    };
    Ok(Entry { name: entry.name, kind, version: version.into(), mode: entry.mode & 0o777 })
}
