//! Why there is no mount, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// Why a directory could not be mounted or unmounted.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// `allow_other` was asked for and the system forbids it to ordinary users.
    #[error(
        "cannot mount {directory} for other users: put `user_allow_other` into /etc/fuse.conf, or mount for yourself only"
    )]
    AllowOther {
        /// Where.
        directory: PathBuf,
    },
    /// Something else is mounted there and alive.
    #[error(
        "{directory} is a mount point already, of {source_name}; unmount it or choose another directory"
    )]
    Busy {
        /// Where.
        directory: PathBuf,
        /// What is mounted there.
        source_name: String,
    },
    /// The directory cannot be used.
    #[error("cannot mount on {directory}: {reason}; create an empty directory there")]
    Directory {
        /// Where.
        directory: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The name cannot be part of a mount's source.
    #[error("{name:?} cannot name a mount: use letters, digits, \"-\", \"_\" and \".\"")]
    Name {
        /// What was given.
        name: String,
    },
    /// The kernel has no FUSE, or the container was not given the device.
    #[error(
        "no FUSE here: /dev/fuse cannot be opened ({reason}); load the module (`modprobe fuse`), give the container `--device /dev/fuse`, or run without DROPD_MOUNT: everything but the mount works"
    )]
    NoDevice {
        /// The system's words.
        reason: io::Error,
    },
    /// An ordinary user needs the setuid tool, and it is not installed.
    #[error(
        "cannot mount {directory} as an ordinary user without fusermount3: install the package `fuse3`, or run as root"
    )]
    NoFusermount {
        /// Where.
        directory: PathBuf,
    },
    /// Mounting is not allowed.
    #[error(
        "not allowed to mount {directory} ({reason}); in a container it takes `--cap-add SYS_ADMIN --device /dev/fuse` and, with AppArmor, `--security-opt apparmor=unconfined`; everything but the mount works without DROPD_MOUNT"
    )]
    NotPermitted {
        /// Where.
        directory: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// The mount of a dead process is in the way, and it is not ours to remove.
    #[error(
        "{directory} is the mount of a process that died, {source_name}; remove it with `umount -l {directory}`"
    )]
    Stale {
        /// Where.
        directory: PathBuf,
        /// What was mounted there.
        source_name: String,
    },
    /// Anything else.
    #[error("cannot {action} {directory}")]
    System {
        /// What was attempted.
        action: &'static str,
        /// Where.
        directory: PathBuf,
        /// The system's words.
        source: io::Error,
    },
}

impl MountError {
    /// Sorts what fuser returned. It gives mount(2)'s and fusermount3's errors as
    /// text only, so their words are all there is to go by.
    pub(super) fn of_mount(error: io::Error, directory: &Path, is_root: bool) -> Self {
        let directory = directory.to_owned();
        let reason = error.to_string();
        if reason.contains("user_allow_other") {
            return Self::AllowOther { directory };
        }
        // mount(2) was refused, so fuser looked for fusermount3 and there is none.
        // For root that tool would change nothing.
        if error.kind() == io::ErrorKind::NotFound {
            return if is_root {
                let reason = "mount(2) was refused: EPERM".to_owned();
                Self::NotPermitted { directory, reason }
            } else {
                Self::NoFusermount { directory }
            };
        }
        let refused = ["EACCES", "EPERM", "not permitted", "Permission denied"];
        if refused.iter().any(|words| reason.contains(words)) {
            return Self::NotPermitted { directory, reason: reason.trim().to_owned() };
        }
        Self::System { action: "mount", directory, source: error }
    }
}
