//! What mounting needs of this machine.

use crate::testbed::plan::Plan;
use crate::testbed::runtime::{RuntimeError, procfs};

/// What mounting needs, as found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fuse {
    pub(super) device: bool,
    pub(super) sys_admin: bool,
    pub(super) fusermount: bool,
}

impl Fuse {
    pub(super) fn of_this_machine() -> Self {
        let open = std::fs::File::options().read(true).write(true).open("/dev/fuse");
        Self {
            device: open.is_ok(),
            sys_admin: procfs::has_sys_admin(),
            fusermount: procfs::find_on_path("fusermount3").is_some(),
        }
    }
}

pub(super) fn check(fuse: &Fuse, plan: &Plan) -> Result<(), RuntimeError> {
    let without = format!("run everything but the mount with `{}`", plan.flags_without_mount());
    let missing =
        |what: &str, hint: String| Err(RuntimeError::Environment { what: what.to_owned(), hint });
    if !fuse.device {
        return missing(
            "the topology mounts, but /dev/fuse cannot be opened here",
            format!("load the kernel module fuse, or pass the device in; or {without}"),
        );
    }
    if !fuse.sys_admin && !fuse.fusermount {
        return missing(
            "the topology mounts, but this user lacks CAP_SYS_ADMIN and fusermount3 is not on PATH",
            format!("install the package fuse3; or {without}"),
        );
    }
    Ok(())
}
