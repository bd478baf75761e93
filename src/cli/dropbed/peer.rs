//! `--peer-executable`: checked before anything is started.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

/// Any of the three permissions to execute.
const EXECUTABLE: u32 = 0o111;

/// The file as an absolute path: a peer is started in a directory of its own.
pub(super) fn executable(text: &str) -> Result<PathBuf, String> {
    let path = std::fs::canonicalize(text).map_err(|error| error.to_string())?;
    let metadata = path.metadata().map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("it is no file".to_owned());
    }
    if metadata.permissions().mode() & EXECUTABLE == 0 {
        return Err("it is not executable (chmod +x)".to_owned());
    }
    Ok(path)
}

#[cfg(test)]
mod tests;
