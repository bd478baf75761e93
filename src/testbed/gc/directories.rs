//! Directories of process runs, and mounts whose daemon is gone.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::{Claim, Leftover, Options, Report, Swept, Verdict, judge};
use crate::testbed::runtime::owner::Owner;
use crate::testbed::runtime::process::{OWNER_FILE, PREFIX, detach, remove_owned, unmount_below};
use crate::testbed::runtime::procfs;

/// A mount that does not answer within this has a daemon, if a slow one.
const LOOK_DEADLINE: Duration = Duration::from_secs(2);

pub(super) async fn sweep(options: Options, report: &mut Report, swept: &mut Swept) {
    // Everything here blocks on disk and kernel, and a mount may not answer.
    let parent = std::env::temp_dir();
    let directories = spawn_blocking(move || find(&parent)).await.unwrap_or_default();
    for directory in directories {
        let Owned { path, owner, run_id, directory } = directory;
        let claim = Claim { owner: Some(&owner), run_id: &run_id, directory: directory.as_deref() };
        let verdict = judge(claim, options.all);
        if verdict == Verdict::Remove {
            swept.add(directory.as_deref(), &run_id);
        }
        let leftover = Leftover { kind: "directory", name: path.display().to_string(), run_id };
        if report.decide(verdict, leftover.clone()) {
            let outcome = spawn_blocking(move || remove(&path)).await;
            report.record(leftover, outcome.unwrap_or_else(|error| Err(error.to_string())));
        }
    }
    sweep_mounts(report).await;
}

/// A run's directory, by its owner file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::testbed) struct Owned {
    pub(in crate::testbed) path: PathBuf,
    pub(in crate::testbed) owner: String,
    pub(in crate::testbed) run_id: String,
    /// Of the run's results, where it is told.
    pub(in crate::testbed) directory: Option<PathBuf>,
}

/// Only directories of this user: another's owner file is not to be believed. One
/// that does not begin with an owner is some other program's.
pub(in crate::testbed) fn find(parent: &Path) -> Vec<Owned> {
    let Ok(entries) = std::fs::read_dir(parent) else { return Vec::new() };
    let user = rustix::process::geteuid().as_raw();
    entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX))
        // Not followed: a link of that name is no run's directory.
        .filter(|entry| entry.metadata().is_ok_and(|meta| meta.is_dir() && meta.uid() == user))
        .filter_map(|entry| {
            let path = entry.path();
            let text = std::fs::read_to_string(path.join(OWNER_FILE)).unwrap_or_default();
            if text.is_empty() {
                return begun(path);
            }
            let mut lines = text.lines();
            let (owner, run_id) = (lines.next()?.to_owned(), lines.next()?.trim().to_owned());
            owner.parse::<Owner>().ok()?;
            let directory = lines.next().filter(|line| !line.is_empty()).map(PathBuf::from);
            Some(Owned { path, owner, run_id, directory })
        })
        .collect()
}

/// A directory whose maker did not come to write its owner file: it holds nothing, and
/// its name tells the process.
fn begun(path: PathBuf) -> Option<Owned> {
    let name = path.file_name()?.to_str()?.strip_prefix(PREFIX)?;
    let (pid, rest) = name.split_once('-')?;
    let (start_ticks, _) = rest.split_once('-')?;
    let (pid, start_ticks) = (pid.parse().ok()?, start_ticks.parse().ok()?);
    let mut entries = std::fs::read_dir(&path).ok()?.flatten();
    if entries.any(|entry| entry.file_name() != OWNER_FILE) {
        return None;
    }
    let owner = Owner { pid, start_ticks, ..Owner::current() }.to_string();
    Some(Owned { path, owner, run_id: String::new(), directory: None })
}

pub(super) fn remove(directory: &Path) -> Result<(), String> {
    unmount_below(directory)?;
    remove_owned(directory).map_err(|error| format!("removing {}: {error}", directory.display()))
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
