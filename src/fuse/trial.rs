//! Whether this process can mount here, found out by doing it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::{Mount, MountError, Options, Readers};
use crate::fs::{FileSystem, Owner, Shares};

/// An empty file system answers at once; a kernel that does not ask by then never will.
const LOOK_DEADLINE: Duration = Duration::from_secs(5);

/// Mounts an empty file system on `directory`, lists it through the kernel, and
/// unmounts it. `name` is the mount's, as in [`Options`].
///
/// Needs a runtime with more than one thread: the listing waits for an answer of the
/// same runtime. When dropped, the mount goes with it.
///
/// # Errors
/// What mounting, listing or unmounting returned.
pub async fn trial(directory: &Path, name: &str) -> Result<(), MountError> {
    let system = |action: &'static str, source: std::io::Error| MountError::System {
        action,
        directory: directory.to_owned(),
        source,
    };
    let options = Options::new(name);
    let (target, runtime) = (directory.to_owned(), Handle::current());
    let mounting = spawn_blocking(move || {
        let empty = FileSystem::new(Shares::new(), Owner::of_process(), SystemTime::UNIX_EPOCH);
        Mount::start(&target, Arc::new(empty), runtime, Readers::new(), options)
    });
    let mount = mounting.await.map_err(|error| system("mount", error.into()))??;
    let target = directory.to_owned();
    let listing = spawn_blocking(move || std::fs::read_dir(target).map(Iterator::count));
    let listed = match timeout(LOOK_DEADLINE, listing).await {
        Ok(Ok(Ok(_))) => Ok(()),
        Ok(Ok(Err(error))) => Err(error),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(std::io::Error::other(format!("no answer within {LOOK_DEADLINE:?}"))),
    };
    let unmounted = mount.unmount().await;
    listed.map_err(|error| system("list", error))?;
    unmounted.map(drop)
}
