//! Everything a run of processes has on disk, and its removal. A mount beneath
//! the directory is never walked into: it may lead to somebody's files.

use std::path::{Path, PathBuf};

use rustix::mount::{UnmountFlags, unmount};

use super::failed;
use crate::testbed::runtime::owner::Owner;
use crate::testbed::runtime::{RuntimeError, procfs};

/// Start of the name of every run's directory.
pub(in crate::testbed) const PREFIX: &str = "dropbed-";

/// First line: the owner; second line: the run id. No peer can be called that.
pub(in crate::testbed) const OWNER_FILE: &str = ".owner";

/// Room in `sockaddr_un` (unix(7)) without the closing NUL.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// A directory of one run, below the system's directory for temporary files.
/// Unmounted and removed when dropped.
#[derive(Debug)]
pub(super) struct RunDirectory {
    // None once removed.
    directory: Option<tempfile::TempDir>,
    path: PathBuf,
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
    pub(super) fn create(run_id: &str) -> Result<Self, RuntimeError> {
        let parent = std::env::temp_dir();
        let create = || {
            let directory = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&parent)?;
            let owner = format!("{}\n{run_id}\n", Owner::current());
            std::fs::write(directory.path().join(OWNER_FILE), owner)?;
            Ok(directory)
        };
        let directory = create().map_err(|error: std::io::Error| {
            failed(format!("making a directory below {}: {error}", parent.display()))
        })?;
        Ok(Self { path: directory.path().to_owned(), directory: Some(directory) })
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
        for directory in [peer.state(), peer.share(), peer.mount()] {
            std::fs::create_dir_all(&directory)
                .map_err(|error| failed(format!("making {}: {error}", directory.display())))?;
        }
        Ok(peer)
    }

    /// Unmounts what is left below, then removes it.
    pub(super) fn remove(&mut self) -> Result<(), RuntimeError> {
        let Some(directory) = self.directory.take() else { return Ok(()) };
        if let Err(error) = unmount_below(&self.path) {
            // Removing would walk into the mount.
            let kept = directory.keep();
            return Err(failed(format!("{error}; {} is left for `dropbed gc`", kept.display())));
        }
        directory
            .close()
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
