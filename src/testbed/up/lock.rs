//! One `up` or `down` of a topology at a time.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// Held until dropped; the kernel releases it with its process.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// Why it was not got.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else has it.
    #[error(
        "the topology {name} is being brought up or taken down by {holder}\n  \
         hint: wait until that ends; `dropbed ls` shows what stands"
    )]
    Held {
        /// The topology's name.
        name: String,
        /// Who, in words.
        holder: String,
    },
    /// The file cannot be used.
    #[error("cannot lock {}: {source}\n  hint: name another directory with --out", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl Lock {
    /// Takes the lock of a topology below a directory of runs, which is made.
    pub(crate) fn take(out: &Path, name: &str) -> Result<Self, LockError> {
        let path = out.join(format!(".{name}.lock"));
        let failed = |source| LockError::File { path: path.clone(), source };
        std::fs::create_dir_all(out).map_err(failed)?;
        // Never removed: whoever waits for it would then hold a file without a name.
        let mut options = File::options();
        let options = options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&path).map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                let known = file.read_to_string(&mut holder).is_ok() && !holder.is_empty();
                let holder = if known { holder } else { "another process".to_owned() };
                return Err(LockError::Held { name: name.to_owned(), holder });
            }
            Err(error) => return Err(failed(error.into())),
        }
        let holder = format!("process {}", std::process::id());
        file.set_len(0).and_then(|()| file.write_all(holder.as_bytes())).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests;
