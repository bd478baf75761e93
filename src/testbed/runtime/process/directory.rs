//! Everything a run of processes has on disk, and its removal. A mount beneath
//! the directory is never walked into: it may lead to somebody's files.

use std::io;
use std::path::{Path, PathBuf};

use rustix::mount::{UnmountFlags, unmount};

use super::failed;
use crate::testbed::runtime::owner::Owner;
use crate::testbed::runtime::part::{PartPlace, Place};
use crate::testbed::runtime::{Claim, RunContext, RuntimeError, procfs};

/// Start of the name of every run's directory.
pub(in crate::testbed) const PREFIX: &str = "dropbed-";

/// Lines: the owner, the run id, the run's directory. No peer can be called that.
pub(in crate::testbed) const OWNER_FILE: &str = ".owner";

/// Room in `sockaddr_un` (unix(7)) without the closing NUL.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// A directory of one run, below the system's directory for temporary files.
/// Unmounted and removed when dropped.
#[derive(Debug)]
pub(super) struct RunDirectory {
    path: PathBuf,
    /// Whether it is ours to remove.
    owned: bool,
}

/// The part of one peer.
#[derive(Debug)]
pub(super) struct PeerDirectory(PathBuf);

impl PeerDirectory {
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn control(&self) -> PathBuf {
        self.0.join("control")
    }

    pub(super) fn state(&self) -> PathBuf {
        self.0.join("state")
    }

    pub(super) fn share(&self) -> PathBuf {
        self.0.join("share")
    }

    pub(super) fn mount(&self) -> PathBuf {
        self.0.join("mnt")
    }
}

impl RunDirectory {
    pub(super) fn create(context: &RunContext) -> Result<Self, RuntimeError> {
        let parent = std::env::temp_dir();
        let create = || {
            // The name tells whose it is until the owner file does.
            let Owner { pid, start_ticks, .. } = Owner::current();
            let prefix = format!("{PREFIX}{pid}-{start_ticks}-");
            let directory = tempfile::Builder::new().prefix(&prefix).tempdir_in(&parent)?;
            let (owner, RunContext { run_id, directory: of_run, .. }) = (Owner::current(), context);
            let owner = format!("{owner}\n{run_id}\n{}\n", of_run.display());
            std::fs::write(directory.path().join(OWNER_FILE), owner)?;
            Ok(directory)
        };
        let directory = create().map_err(|error: io::Error| {
            failed(format!("making a directory below {}: {error}", parent.display()))
        })?;
        // Removal is ours: a mount within must not be walked into.
        Ok(Self { path: directory.keep(), owned: true })
    }

    /// The one that these parts are in; it stays when this is dropped, unless all of
    /// it is claimed.
    pub(super) fn of_parts(parts: &[PartPlace], claim: Claim) -> Result<Self, RuntimeError> {
        let home = parts.iter().find_map(|part| match &part.place {
            Place::Process { home, .. } => home.parent(),
            Place::Container { .. } | Place::Elsewhere => None,
        });
        let path = home.ok_or_else(|| failed("none of the parts is a process".to_owned()))?;
        let is_there = path.join(OWNER_FILE).is_file();
        // Who removes all of it does not mind that somebody was there before.
        if is_there || (claim == Claim::Whole && !path.exists()) {
            let owned = is_there && claim == Claim::Whole;
            return Ok(Self { path: path.to_owned(), owned });
        }
        Err(failed(format!("{} is no directory of a run any more", path.display())))
    }

    /// Leaves it where it is.
    pub(super) const fn release(&mut self) {
        self.owned = false;
    }

    /// Makes a part's own directory.
    pub(super) fn add_home(&self, name: &str) -> Result<PathBuf, RuntimeError> {
        let home = self.path.join(name);
        std::fs::create_dir(&home)
            .map_err(|error| failed(format!("making {}: {error}", home.display())))?;
        Ok(home)
    }

    /// Unmounts what is in a part's directory, then removes it. Its log stays.
    pub(super) fn remove_home(&self, home: &Path) -> Result<(), RuntimeError> {
        unmount_below(home).map_err(failed)?;
        match std::fs::remove_dir_all(home) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed(format!("removing {}: {error}", home.display())))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn peer(&self, name: &str) -> PeerDirectory {
        PeerDirectory(self.path.join(name))
    }

    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}.log"))
    }

    /// Makes the directories of a peer.
    pub(super) fn add_peer(&self, name: &str) -> Result<PeerDirectory, RuntimeError> {
        let peer = self.peer(name);
        let length_bytes = peer.control().as_os_str().len();
        if length_bytes > SOCKET_PATH_BYTES_MAX {
            return Err(RuntimeError::Environment {
                what: format!(
                    "the control socket {} is {length_bytes} bytes long; unix sockets take {SOCKET_PATH_BYTES_MAX}",
                    peer.control().display()
                ),
                hint: "set TMPDIR to a shorter path, for example TMPDIR=/tmp".to_owned(),
            });
        }
        self.add_home(name)?;
        for directory in [peer.state(), peer.share(), peer.mount()] {
            std::fs::create_dir(&directory)
                .map_err(|error| failed(format!("making {}: {error}", directory.display())))?;
        }
        Ok(peer)
    }

    /// Unmounts what is left below, then removes it, if it is ours.
    pub(super) fn remove(&mut self) -> Result<(), RuntimeError> {
        if !std::mem::take(&mut self.owned) {
            return Ok(());
        }
        unmount_below(&self.path).map_err(|error| {
            failed(format!("{error}; {} is left for `dropbed gc`", self.path.display()))
        })?;
        remove_owned(&self.path)
            .map_err(|error| failed(format!("removing {}: {error}", self.path.display())))
    }
}

impl Drop for RunDirectory {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            tracing::warn!("{error}");
        }
    }
}

/// Removes a run's directory, its owner file last: whoever finds half of it still
/// knows whose it is. What somebody else removes meanwhile is no error.
pub(in crate::testbed) fn remove_owned(directory: &Path) -> io::Result<()> {
    let gone_is_fine = |outcome: io::Result<()>| match outcome {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    gone_is_fine(empty_but_for_owner(directory, gone_is_fine))?;
    gone_is_fine(std::fs::remove_dir_all(directory))
}

fn empty_but_for_owner(
    directory: &Path,
    gone_is_fine: impl Fn(io::Result<()>) -> io::Result<()>,
) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name() == OWNER_FILE {
            continue;
        }
        let path = entry.path();
        let removed = entry.file_type().and_then(|kind| match kind.is_dir() {
            true => std::fs::remove_dir_all(path),
            false => std::fs::remove_file(path),
        });
        gone_is_fine(removed)?;
    }
    Ok(())
}

/// Detaches every mount below a directory, and looks whether they are gone.
pub(in crate::testbed) fn unmount_below(directory: &Path) -> Result<(), String> {
    let below = || -> Result<Vec<PathBuf>, String> {
        let mounts = procfs::mounts().map_err(|error| format!("reading the mounts: {error}"))?;
        let targets = mounts.into_iter().map(|mount| mount.target);
        Ok(targets.filter(|target| target.starts_with(directory)).collect())
    };
    // Later mounts may lie upon earlier ones.
    for target in below()?.iter().rev() {
        detach(target)?;
    }
    match below()?.first() {
        None => Ok(()),
        Some(left) => Err(format!("{} is still mounted", left.display())),
    }
}

/// Unmounts lazily: readers of a dead daemon's mount must not keep it.
pub(in crate::testbed) fn detach(target: &Path) -> Result<(), String> {
    let Err(refused) = unmount(target, UnmountFlags::DETACH) else { return Ok(()) };
    // An ordinary user's mounts are fusermount3's to undo.
    let undone = std::process::Command::new("fusermount3").arg("-uz").arg(target).output();
    match undone {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!(
            "unmounting {}: {refused}; fusermount3: {}",
            target.display(),
            String::from_utf8_lossy(&output.stderr).trim()
        )),
        Err(error) => {
            Err(format!("unmounting {}: {refused}; fusermount3: {error}", target.display()))
        }
    }
}
