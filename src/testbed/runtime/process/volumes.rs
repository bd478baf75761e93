//! What lies beneath a peer's directories, without an engine.

use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, mount};

use crate::testbed::plan::{PeerPlan, Plan, Volume};
use crate::testbed::runtime::RuntimeError;

/// The directory to use: `home`, which is there, or one of the machine. Memory is
/// mounted there, and goes when the home is removed.
pub(super) fn provide(volume: &Volume, home: PathBuf) -> Result<PathBuf, RuntimeError> {
    match volume {
        Volume::Disk => Ok(home),
        Volume::Memory { size_bytes } => mount_memory(&home, *size_bytes).map(|()| home),
        Volume::Directory { path, .. } => {
            let path = PathBuf::from(path);
            if path.is_dir() {
                return Ok(path);
            }
            Err(RuntimeError::Environment {
                what: format!("{}, which the topology names, is no directory here", path.display()),
                hint: "make it, or correct `volumes`".to_owned(),
            })
        }
    }
}

fn mount_memory(target: &Path, size_bytes: u64) -> Result<(), RuntimeError> {
    let options = format!("size={size_bytes},mode=0700");
    let options = std::ffi::CString::new(options).expect("a number holds no NUL");
    mount("tmpfs", target, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, options.as_c_str())
        .map_err(|error| RuntimeError::Environment {
            what: format!("mounting {size_bytes} bytes of memory at {}: {error}", target.display()),
            hint: "run as root, use `--runtime docker`, or leave `memory` out of `volumes`"
                .to_owned(),
        })
}

/// What the plan asks for and processes are not held to.
pub(super) fn warnings(plan: &Plan) -> Vec<String> {
    let named = |wanted: &dyn Fn(&PeerPlan) -> bool| -> Option<String> {
        let names: Vec<&str> =
            plan.peers.iter().filter(|peer| wanted(peer)).map(|peer| peer.name.as_str()).collect();
        (!names.is_empty()).then(|| names.join(", "))
    };
    let limited =
        named(&|peer| peer.resources.cpus_milli.is_some() || peer.resources.memory_bytes.is_some());
    let limited = limited.map(|names| {
        format!("`resources` of {names} are not enforced: processes have no limits; use docker")
    });
    let privileged = named(&|peer| peer.privileged)
        .map(|names| format!("`privileged` of {names} means nothing to processes"));
    limited.into_iter().chain(privileged).collect()
}
