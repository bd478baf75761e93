//! Mounts of this program, found in /proc/self/mountinfo (proc_pid_mountinfo(5)).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::{fs, io};

/// Subtype of our mounts: they are listed as `fuse.dropd`.
pub(super) const SUBTYPE: &str = "dropd";

/// Where the kernel lists the mounts of this process's namespace.
const MOUNTINFO: &str = "/proc/self/mountinfo";

/// One mounted file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountEntry {
    /// `major:minor` of its device.
    pub device: String,
    /// Where it is mounted.
    pub directory: PathBuf,
    /// Its type, with the subtype: `fuse.dropd`.
    pub kind: String,
    /// Its source. Ours are `dropd:<name>:<run id or ->`.
    pub source: String,
}

impl MountEntry {
    /// The run that a mount of ours belongs to, if it says one.
    pub fn run_id(&self) -> Option<&str> {
        let (_, run) = self.source.strip_prefix("dropd:")?.split_once(':')?;
        (run != NO_RUN).then_some(run)
    }
}

/// In place of a run id when there is none.
const NO_RUN: &str = "-";

/// Source of the mount of daemon `name`.
pub(super) fn source_name(name: &str, run_id: Option<&str>) -> String {
    format!("{SUBTYPE}:{name}:{run}", run = run_id.unwrap_or(NO_RUN))
}

/// All mounts of this program in this mount namespace, living or left behind.
pub fn mounts() -> io::Result<Vec<MountEntry>> {
    let mut entries = all()?;
    entries.retain(|entry| entry.source.starts_with("dropd:"));
    Ok(entries)
}

/// All mounts; of several on one directory the last is on top.
pub(super) fn all() -> io::Result<Vec<MountEntry>> {
    Ok(parse(&fs::read(MOUNTINFO)?))
}

/// Lines that are not understood are left out: this is the kernel's own format,
/// and one strange mount must not hide the others.
pub(super) fn parse(mountinfo: &[u8]) -> Vec<MountEntry> {
    mountinfo.split(|&byte| byte == b'\n').filter_map(parse_line).collect()
}

fn parse_line(line: &[u8]) -> Option<MountEntry> {
    let mut fields = line.split(|&byte| byte == b' ');
    let device = text(fields.nth(2)?);
    let directory = PathBuf::from(OsString::from_vec(unescape(fields.nth(1)?)));
    // A varying number of optional fields ends with "-".
    let mut rest = fields.skip_while(|field| *field != b"-").skip(1);
    Some(MountEntry { device, directory, kind: text(rest.next()?), source: text(rest.next()?) })
}

fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(&unescape(field)).into_owned()
}

/// Space, tab, newline and backslash stand as `\ooo`.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, tail)) = rest.split_first() {
        let octal = (byte == b'\\').then(|| tail.get(..3)).flatten();
        match octal.and_then(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 8).ok()) {
            Some(escaped) => {
                plain.push(escaped);
                rest = &tail[3..];
            }
            None => {
                plain.push(byte);
                rest = tail;
            }
        }
    }
    plain
}
