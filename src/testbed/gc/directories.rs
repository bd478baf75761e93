//! Directories of process runs, and mounts whose daemon is gone.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::{Leftover, Options, Report, Verdict, judge};
use crate::testbed::runtime::process::{OWNER_FILE, PREFIX, detach, unmount_below};
use crate::testbed::runtime::procfs;

/// A mount that does not answer within this has a daemon, if a slow one.
const LOOK_DEADLINE: Duration = Duration::from_secs(2);

pub(super) async fn sweep(options: Options, report: &mut Report) {
    // Everything here blocks on disk and kernel, and a mount may not answer.
    let parent = std::env::temp_dir();
    let directories = spawn_blocking(move || find(&parent)).await.unwrap_or_default();
    for directory in directories {
        let verdict = judge(Some(&directory.owner), options.all);
        let path = directory.path;
        let leftover = Leftover {
            kind: "directory",
            name: path.display().to_string(),
            run_id: directory.run_id,
        };
        if report.decide(verdict, leftover.clone()) {
            let outcome = spawn_blocking(move || remove(&path)).await;
            report.record(leftover, outcome.unwrap_or_else(|error| Err(error.to_string())));
        }
    }
    sweep_mounts(report).await;
}

/// A run's directory, by its owner file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owned {
    pub(super) path: PathBuf,
    pub(super) owner: String,
    pub(super) run_id: String,
}

/// Only directories of this user: another's owner file is not to be believed.
pub(super) fn find(parent: &Path) -> Vec<Owned> {
    let Ok(entries) = std::fs::read_dir(parent) else { return Vec::new() };
    let user = rustix::process::geteuid().as_raw();
    entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX))
        // Not followed: a link of that name is no run's directory.
        .filter(|entry| entry.metadata().is_ok_and(|meta| meta.is_dir() && meta.uid() == user))
        .filter_map(|entry| {
            let path = entry.path();
            let text = std::fs::read_to_string(path.join(OWNER_FILE)).ok()?;
            let (owner, run_id) = text.split_once('\n')?;
            Some(Owned { path, owner: owner.to_owned(), run_id: run_id.trim().to_owned() })
        })
        .collect()
}

pub(super) fn remove(directory: &Path) -> Result<(), String> {
    unmount_below(directory)?;
    std::fs::remove_dir_all(directory)
        .map_err(|error| format!("removing {}: {error}", directory.display()))
}

/// Mounts of any run, wherever they are: one that answers has a living daemon.
async fn sweep_mounts(report: &mut Report) {
    let mounts = match procfs::mounts() {
        Ok(mounts) => mounts,
        Err(error) => {
            report.failures.push(format!("reading the mounts: {error}"));
            return;
        }
    };
    for mount in mounts {
        let Some(run_id) = mount.run_id().map(str::to_owned) else { continue };
        let target = mount.target;
        let leftover = Leftover { kind: "mount", name: target.display().to_string(), run_id };
        let verdict = if is_orphan(&target).await { Verdict::Remove } else { Verdict::Living };
        if report.decide(verdict, leftover.clone()) {
            let outcome = spawn_blocking(move || detach(&target)).await;
            report.record(leftover, outcome.unwrap_or_else(|error| Err(error.to_string())));
        }
    }
}

/// The kernel answers ENOTCONN for a FUSE mount that nobody serves.
async fn is_orphan(target: &Path) -> bool {
    let target = target.to_owned();
    let looking = spawn_blocking(move || std::fs::metadata(target));
    match timeout(LOOK_DEADLINE, looking).await {
        Ok(Ok(Err(error))) => error.raw_os_error() == Some(Errno::NOTCONN.raw_os_error()),
        _ => false,
    }
}
