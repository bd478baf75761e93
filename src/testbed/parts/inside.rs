//! What this executable does within a container for a verb outside of it. Each ends
//! when its standard input does, or with its work.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use super::copy::archive;
pub(crate) use super::copy::archive::is_input;
use super::process::{NOT_STARTED, code, end, not_started};

/// Runs a command, and ends it when standard input ends. Its exit code.
pub(crate) async fn exec(command: &[OsString]) -> u8 {
    let Some((program, arguments)) = command.split_first() else { return NOT_STARTED };
    let mut plain = std::process::Command::new(program);
    // What it starts is ended with it.
    plain.args(arguments).process_group(0).stdin(Stdio::null());
    let mut child = match Command::from(plain).spawn() {
        Ok(child) => child,
        Err(error) => {
            eprint!("{}", not_started(&program.to_string_lossy(), &error));
            return NOT_STARTED;
        }
    };
    end(&mut child, end_of_input()).await.map_or(NOT_STARTED, code)
}

/// Resolves when standard input ends: whoever started us is gone then.
pub(crate) async fn end_of_input() {
    let reading = || io::copy(&mut io::stdin(), &mut io::sink());
    // An error is an end as well.
    let _ended = tokio::task::spawn_blocking(reading).await;
}

/// Writes what is at `path` to standard output, as one archive. Blocks.
pub(crate) fn pack(path: &Path) -> io::Result<()> {
    archive::pack(path, io::BufWriter::new(io::stdout().lock()))
}

/// Puts the archive on standard input at `path`, or in it, under `name`, where it is
/// a directory. Blocks.
pub(crate) fn unpack(path: &Path, name: &str) -> io::Result<()> {
    archive::unpack(io::stdin().lock(), path, name)
}
