//! The control token, shared by way of a directory that only the testbed and
//! its peers see.

use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::testbed::runtime::RuntimeError;
use crate::testbed::runtime::docker::new_token;

/// Shorter ones could be guessed.
const CHARACTERS_MIN: usize = 32;

/// Daemons may run under other users than the testbed, so every user of the
/// shared directory reads it; the directory's mounts are what protects it.
const MODE: u32 = 0o644;

/// The token in the file. A new one appears under its name complete, and never
/// replaces one that daemons may have read.
///
/// # Errors
/// A file that cannot be read or made, or whose content is no token.
pub(super) fn read_or_create(file: &Path) -> Result<String, RuntimeError> {
    if !file.exists() {
        match create(file) {
            Ok(()) => {}
            // Somebody else was first.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(file, "making", &error)),
        }
    }
    let text = std::fs::read_to_string(file).map_err(|error| failed(file, "reading", &error))?;
    let token = text.trim();
    if token.len() < CHARACTERS_MIN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(RuntimeError::Environment {
            what: format!("{} holds no control token", file.display()),
            hint: format!("remove it, or write at least {CHARACTERS_MIN} printable characters"),
        });
    }
    Ok(token.to_owned())
}

fn create(file: &Path) -> io::Result<()> {
    let directory = file.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let mut temporary = tempfile::NamedTempFile::new_in(directory)?;
    temporary.as_file().set_permissions(Permissions::from_mode(MODE))?;
    let token = new_token().map_err(io::Error::other)?;
    temporary.write_all(token.as_bytes())?;
    temporary.persist_noclobber(file).map_err(|error| error.error)?;
    Ok(())
}

fn failed(file: &Path, what: &str, error: &io::Error) -> RuntimeError {
    RuntimeError::Environment {
        what: format!("{what} the control token {}: {error}", file.display()),
        hint: "share a writable directory with the peers, or set --attach-token-file".to_owned(),
    }
}
