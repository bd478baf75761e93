//! What a test needs of the machine, and what it does without.

use std::sync::{Arc, LazyLock};
use std::time::SystemTime;
use std::{env, thread};

use super::{Mount, MountError, Options, Readers};
use crate::fs::{FileSystem, Owner, Shares};

/// Comma-separated words: tests that need one of them must not be skipped.
const REQUIRE: &str = "DROPBED_REQUIRE";

/// Whether this process can mount FUSE. Says why not, and panics when
/// `DROPBED_REQUIRE` has the word `fuse`.
pub(crate) fn fuse() -> bool {
    static FOUND: LazyLock<Result<(), String>> = LazyLock::new(|| {
        // Tests may be inside a runtime, where another one cannot be dropped.
        thread::spawn(try_mount).join().expect("a trial mount does not panic")
    });
    has("fuse", &FOUND)
}

/// Only what the machine lacks counts as not having FUSE: other errors are ours.
fn try_mount() -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let empty = FileSystem::new(Shares::new(), Owner::of_process(), SystemTime::UNIX_EPOCH);
    let started = Mount::start(
        directory.path(),
        Arc::new(empty),
        runtime.handle().clone(),
        Readers::new(),
        Options::new("trial"),
    );
    match started.map(drop) {
        Err(
            error @ (MountError::NoDevice { .. }
            | MountError::NoFusermount { .. }
            | MountError::NotPermitted { .. }),
        ) => Err(error.to_string()),
        other => {
            other.unwrap();
            Ok(())
        }
    }
}

fn has(word: &str, found: &Result<(), String>) -> bool {
    let Err(reason) = found else { return true };
    let required = env::var(REQUIRE).unwrap_or_default();
    assert!(
        !required.split(',').any(|one| one.trim() == word),
        "{REQUIRE} asks for {word}, which is not here: {reason}"
    );
    eprintln!("skipped: needs {word}: {reason}");
    false
}
