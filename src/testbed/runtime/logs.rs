//! The last words of a part that ended.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::ExitStatus;

use super::Death;

/// Log lines shown for a part that ended: a panic with its first frames.
pub(super) const LAST_LOG_LINES_MAX: usize = 20;

/// Bytes read from the end of a log for them; longer lines are cut.
const TAIL_BYTES_MAX: u64 = 16 * 1024;

/// The last [`LAST_LOG_LINES_MAX`] lines of a file, oldest first. A file that
/// cannot be read yields one line that says so: a death must still be told.
pub(in crate::testbed) fn tail(file: &Path) -> Vec<String> {
    match read_tail(file) {
        Ok(bytes) => last_lines(&String::from_utf8_lossy(&bytes)),
        Err(error) => vec![format!("(its log {} cannot be read: {error})", file.display())],
    }
}

/// The last [`LAST_LOG_LINES_MAX`] lines of a text that are not blank.
pub(super) fn last_lines(text: &str) -> Vec<String> {
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let skipped = lines.len().saturating_sub(LAST_LOG_LINES_MAX);
    lines[skipped..].iter().map(|line| (*line).to_owned()).collect()
}

/// A child's end, in words.
pub(super) fn death(who: &str, status: ExitStatus, log: &Path) -> Death {
    Death {
        who: who.to_owned(),
        exit_code: status.code(),
        how: how(status),
        last_log_lines: tail(log),
    }
}

fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => match signal_name(signal) {
            Some(name) => format!("signal {signal} ({name})"),
            None => format!("signal {signal}"),
        },
        (None, None) => status.to_string(),
    }
}

/// The signals that end daemons in practice; numbers as on x86 and Arm Linux.
fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        31 => "SIGSYS",
        _ => return None,
    })
}

fn read_tail(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES_MAX)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
