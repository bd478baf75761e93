//! What the kernel says about processes and mounts, parsed. The parsers are
//! pure; the readers beside them only open the file.

use std::io;
use std::path::{Path, PathBuf};

/// File system name of a daemon's mount: `dropd:<peer>:<run id>`.
pub const MOUNT_SOURCE_PREFIX: &str = "dropd:";

/// Bit of CAP_SYS_ADMIN in a capability mask (capabilities(7)).
const CAP_SYS_ADMIN_BIT: u32 = 21;

/// One line of `/proc/self/mountinfo` (proc_pid_mountinfo(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountEntry {
    /// Where it is mounted.
    pub target: PathBuf,
    /// Type, for example `fuse.dropd`.
    pub kind: String,
    /// What is mounted: a device, or the name that a FUSE server gave.
    pub source: String,
}

impl MountEntry {
    /// The run that a daemon mounted this for; none for any other mount.
    pub fn run_id(&self) -> Option<&str> {
        let (_, run_id) = self.source.strip_prefix(MOUNT_SOURCE_PREFIX)?.split_once(':')?;
        (self.kind.starts_with("fuse") && !run_id.is_empty()).then_some(run_id)
    }
}

/// Every mount that this process sees, in the kernel's order.
///
/// # Errors
/// What reading `/proc/self/mountinfo` returned.
pub fn mounts() -> io::Result<Vec<MountEntry>> {
    Ok(parse_mountinfo(&std::fs::read_to_string("/proc/self/mountinfo")?))
}

/// Lines that are not understood are left out: newer kernels may add kinds.
pub fn parse_mountinfo(text: &str) -> Vec<MountEntry> {
    text.lines().filter_map(parse_mountinfo_line).collect()
}

/// Variables of `/proc/<pid>/environ`: NUL-separated, first `=` divides.
pub fn parse_environ(bytes: &[u8]) -> impl Iterator<Item = (&str, &str)> {
    bytes
        .split(|byte| *byte == 0)
        .filter_map(|entry| std::str::from_utf8(entry).ok())
        .filter_map(|entry| entry.split_once('='))
}

/// Start time in clock ticks since boot: field 22 of `/proc/<pid>/stat`. Counted
/// from the last `)`, for the command's name may hold spaces and parentheses.
pub fn parse_start_ticks(stat: &str) -> Option<u64> {
    const FIELDS_AFTER_NAME: usize = 22 - 3;
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_ascii_whitespace().nth(FIELDS_AFTER_NAME)?.parse().ok()
}

/// Start time of a living process; none when there is none of that id. A zombie
/// does not live: it holds nothing but its exit code.
pub fn start_ticks(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    parse_start_ticks(&stat).filter(|_| !parse_zombie(&stat))
}

/// What a living process uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// When it started, in clock ticks since boot.
    pub start_ticks: u64,
    /// Stopped by a signal, or traced.
    pub is_stopped: bool,
    /// Processor time of all its threads, in milliseconds.
    pub cpu_ms: u64,
    /// Memory that it holds, in bytes.
    pub resident_bytes: u64,
}

/// What a process uses now; none when none of that id lives.
pub fn usage(pid: u32) -> Option<Usage> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (tick_hz, page_bytes) =
        (rustix::param::clock_ticks_per_second(), rustix::param::page_size() as u64);
    parse_usage(&stat, tick_hz, page_bytes).filter(|_| !parse_zombie(&stat))
}

/// Fields 3, 14, 15, 22 and 24 of `/proc/<pid>/stat`. `tick_hz`: clock ticks a second.
pub fn parse_usage(stat: &str, tick_hz: u64, page_bytes: u64) -> Option<Usage> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
    // Counted as the manual does; the first after the name is the third.
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let ticks = field(14)?.checked_add(field(15)?)?;
    Some(Usage {
        start_ticks: field(22)?,
        is_stopped: matches!(fields.first(), Some(&"T" | &"t")),
        cpu_ms: ticks.saturating_mul(1_000).checked_div(tick_hz)?,
        resident_bytes: field(24)?.saturating_mul(page_bytes),
    })
}

/// Whether the process that started then has ended.
pub fn has_ended(pid: u32, started_ticks: u64) -> bool {
    start_ticks(pid) != Some(started_ticks)
}

/// Whether field 3 of `/proc/<pid>/stat`, the state, says zombie or dead.
pub fn parse_zombie(stat: &str) -> bool {
    stat.rsplit_once(')')
        .and_then(|(_, after_name)| after_name.trim_start().chars().next())
        .is_some_and(|state| matches!(state, 'Z' | 'X' | 'x'))
}

/// Whether `/proc/<pid>/status` shows CAP_SYS_ADMIN among the effective ones.
pub fn parse_sys_admin(status: &str) -> bool {
    status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask >> CAP_SYS_ADMIN_BIT & 1 == 1)
}

/// Whether this process may mount.
pub fn has_sys_admin() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| parse_sys_admin(&status))
}

/// The first executable of that name on `PATH`.
pub fn find_on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| is_executable(file))
}

fn parse_mountinfo_line(line: &str) -> Option<MountEntry> {
    // The optional fields end at a lone dash.
    let (before, after) = line.split_once(" - ")?;
    let target = before.split(' ').nth(4)?;
    let mut after = after.split(' ');
    Some(MountEntry {
        target: PathBuf::from(unescape(target)),
        kind: after.next()?.to_owned(),
        source: unescape(after.next()?),
    })
}

/// Undoes the kernel's octal escapes of space, tab, newline and backslash.
fn unescape(field: &str) -> String {
    let mut parts = field.split('\\');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let escaped = part.get(..3).and_then(|octal| u8::from_str_radix(octal, 8).ok());
        match (escaped, part.get(3..)) {
            (Some(byte), Some(rest)) => {
                text.push(char::from(byte));
                text.push_str(rest);
            }
            _ => {
                text.push('\\');
                text.push_str(part);
            }
        }
    }
    text
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(file)
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests;
