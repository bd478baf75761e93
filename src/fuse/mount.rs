//! Mounting and unmounting.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use fuser::{Config, MountOption, Session, SessionACL, SessionUnmounter};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::adapter::Adapter;
use super::error::MountError;
use super::init::READ_AHEAD_BYTES;
use super::mounts::{self, SUBTYPE, source_name};
use super::readers::Readers;
use crate::fs::FileSystem;
use crate::telemetry::names::environment;

/// Threads that take requests from the kernel. They only start tasks, so one
/// keeps up: two read a file in memory no faster (1.3 to 1.8 GB/s with either).
const DISPATCH_THREADS: usize = 1;

/// After a clean unmount the kernel ends the session at once. fusermount3, which
/// unmounts for ordinary users, is always lazy: then only time tells.
const ENDED_WITHIN: Duration = Duration::from_secs(5);

/// How a mount is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The daemon's name: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// The run that the mount belongs to, in the same letters: leftovers are found by it.
    pub run_id: Option<String>,
    /// Lets other users in. Root may always ask for it; an ordinary user needs
    /// `user_allow_other` in /etc/fuse.conf.
    pub allow_other: bool,
}

impl Options {
    /// A mount for the own user, of the run that the environment names.
    pub fn new(name: &str) -> Self {
        let run_id = std::env::var(environment::RUN_ID).ok().filter(|run| !run.is_empty());
        Self { name: name.to_owned(), run_id, allow_other: false }
    }
}

/// How a mount went away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmounted {
    /// Nobody used it, and its threads have ended.
    Cleanly,
    /// Somebody still has a file or directory in it. It is gone from the tree;
    /// its threads end when the last user leaves, or with the process.
    Lazily,
}

/// A mounted file system.
///
/// Call [`Self::unmount`] at the end. Dropping unmounts too, as the last resort: it waits
/// for nothing and can only log what went wrong.
#[derive(Debug)]
pub struct Mount {
    directory: PathBuf,
    source: String,
    unmounter: SessionUnmounter,
    /// Taken when it is unmounted.
    session: Option<JoinHandle<()>>,
    /// Comes when all threads of the session have ended.
    ended: Option<oneshot::Receiver<io::Result<()>>>,
}

impl Mount {
    /// Mounts `file_system` on `directory`, which must be empty. Requests are
    /// served by tasks of `runtime`, which has to outlive the mount: without it
    /// every request is EIO.
    ///
    /// Blocks for as long as mount(2) does, and asks nothing of the runtime.
    /// Tries mount(2) itself first and fusermount3 when that is not permitted.
    /// A dead mount of the same name is removed first.
    pub fn start(
        directory: &Path,
        file_system: Arc<FileSystem>,
        runtime: Handle,
        readers: Readers,
        options: Options,
    ) -> Result<Self, MountError> {
        for word in [Some(&options.name), options.run_id.as_ref()].into_iter().flatten() {
            check_word(word)?;
        }
        check_device()?;
        let directory = absolute(directory)?;
        clear_stale(&directory, &options.name)?;
        check_directory(&directory)?;

        let source = source_name(&options.name, options.run_id.as_deref());
        let mut config = Config::default();
        config.mount_options = vec![
            MountOption::FSName(source.clone()),
            // fuser gives its own subtype option to fusermount3 only.
            MountOption::CUSTOM(format!("subtype={SUBTYPE}")),
            MountOption::RO,
            MountOption::NoSuid,
            MountOption::NoDev,
            MountOption::NoAtime,
            MountOption::DefaultPermissions,
        ];
        config.acl = if options.allow_other { SessionACL::All } else { SessionACL::Owner };
        config.n_threads = Some(DISPATCH_THREADS);
        let adapter = Adapter::new(file_system, runtime, readers);
        let is_root = rustix::process::geteuid().is_root();
        let mut session = Session::new(adapter, &directory, &config)
            .map_err(|error| MountError::of_mount(error, &directory, is_root))?;
        let unmounter = session.unmount_callable();
        raise_read_ahead(&directory, &source);
        let (end, ended) = oneshot::channel();
        let session = thread::Builder::new()
            .name("fuse-session".to_owned())
            // Nobody listens to the end of a mount that was dropped.
            .spawn(move || drop(end.send(session.run())))
            .map_err(|source| MountError::System {
                action: "start a thread for",
                directory: directory.clone(),
                source,
            })?;
        tracing::info!(directory = %directory.display(), source, "mounted");
        Ok(Self { directory, source, unmounter, session: Some(session), ended: Some(ended) })
    }

    /// Where it is mounted.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Its source in the mount table: `dropd:<name>:<run id or ->`.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether the kernel still talks to it: false after somebody unmounted it
    /// from outside.
    pub fn is_alive(&self) -> bool {
        self.session.as_ref().is_some_and(|session| !session.is_finished())
    }

    /// Unmounts, and waits for the mount's threads unless somebody still uses it.
    ///
    /// Dropping the future stops the waiting, not the unmounting.
    pub async fn unmount(mut self) -> Result<Unmounted, MountError> {
        let directory = self.directory.clone();
        let failed = |action, source| {
            let directory = directory.clone();
            MountError::System { action, directory, source }
        };
        let ended = self.ended.take();
        let detached = tokio::task::spawn_blocking(move || self.detach()).await;
        let unmounted = detached.map_err(|error| failed("unmount", error.into()))??;
        let (Unmounted::Cleanly, Some(ended)) = (unmounted, ended) else { return Ok(unmounted) };
        match tokio::time::timeout(ENDED_WITHIN, ended).await {
            Ok(Ok(Ok(()))) => Ok(Unmounted::Cleanly),
            Ok(Ok(Err(error))) => Err(failed("end the session on", error)),
            Ok(Err(_)) => Err(failed("end the session on", io::Error::other("it panicked"))),
            Err(_) => {
                say_lazy(&directory);
                Ok(Unmounted::Lazily)
            }
        }
    }

    /// Takes the mount out of the tree; does nothing the second time.
    fn detach(&mut self) -> Result<Unmounted, MountError> {
        if self.session.take().is_none() {
            return Ok(Unmounted::Cleanly);
        }
        let directory = &self.directory;
        let failed =
            |source| MountError::System { action: "unmount", directory: directory.clone(), source };
        match self.unmounter.unmount() {
            Ok(()) => Ok(Unmounted::Cleanly),
            Err(error) if error.raw_os_error() == Some(Errno::BUSY.raw_os_error()) => {
                say_lazy(directory);
                unmount(directory, UnmountFlags::DETACH).map_err(|e| failed(e.into()))?;
                Ok(Unmounted::Lazily)
            }
            Err(error) => Err(failed(error)),
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if let Err(error) = self.detach() {
            let source = std::error::Error::source(&error);
            tracing::error!(%error, source, "the mount stays behind");
        }
    }
}

fn say_lazy(directory: &Path) {
    tracing::warn!(
        directory = %directory.display(),
        "the mount is in use: it disappears now, and ends when its last user leaves"
    );
}

/// Commas and colons separate options and the source's parts.
fn check_word(word: &str) -> Result<(), MountError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if word.is_empty() || !word.chars().all(allowed) {
        return Err(MountError::Name { name: word.to_owned() });
    }
    Ok(())
}

/// fuser would say the same in a log line and an error without the path.
fn check_device() -> Result<(), MountError> {
    let opened = OpenOptions::new().read(true).write(true).open("/dev/fuse");
    opened.map(drop).map_err(|reason| MountError::NoDevice { reason })
}

/// The path as the mount table has it. The root of a dead mount cannot be asked
/// for anything, so its parent is resolved instead.
fn absolute(directory: &Path) -> Result<PathBuf, MountError> {
    directory
        .canonicalize()
        .or_else(|error| match (directory.parent(), directory.file_name()) {
            (Some(parent), Some(name)) if is_dead(&error) => {
                let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
                Ok(parent.canonicalize()?.join(name))
            }
            _ => Err(error),
        })
        .map_err(|error| unusable(directory, error.to_string()))
}

/// "Transport endpoint is not connected": the mount's process is gone.
fn is_dead(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::NOTCONN.raw_os_error())
}

/// Removes the mount that an earlier daemon of this name left when it was killed.
fn clear_stale(directory: &Path, name: &str) -> Result<(), MountError> {
    let system = |action| {
        move |source| MountError::System { action, directory: directory.to_owned(), source }
    };
    loop {
        let entries = mounts::all().map_err(system("read the mount table for"))?;
        let on_top = entries.into_iter().rfind(|entry| entry.directory == directory);
        let Some(entry) = on_top else { return Ok(()) };
        let source_name = entry.source;
        let dead = directory.metadata().err().filter(is_dead).is_some();
        let directory = directory.to_owned();
        if !dead {
            // A volume may be mounted where the file system is to go.
            return if entry.kind.starts_with("fuse") {
                Err(MountError::Busy { directory, source_name })
            } else {
                Ok(())
            };
        }
        if !source_name.starts_with(&format!("{SUBTYPE}:{name}:")) {
            return Err(MountError::Stale { directory, source_name });
        }
        tracing::warn!(
            directory = %directory.display(),
            source = source_name,
            "removing the mount of an earlier daemon of this name, which died"
        );
        unmount(&directory, UnmountFlags::DETACH)
            .map_err(|error| system("remove the dead mount on")(error.into()))?;
    }
}

fn check_directory(directory: &Path) -> Result<(), MountError> {
    let mut entries =
        directory.read_dir().map_err(|error| unusable(directory, error.to_string()))?;
    match entries.next() {
        None => Ok(()),
        Some(_) => Err(unusable(directory, "it is not empty".to_owned())),
    }
}

fn unusable(directory: &Path, reason: String) -> MountError {
    MountError::Directory { directory: directory.to_owned(), reason }
}

/// Raises the kernel's read-ahead window past the 128 KiB that FUSE_INIT grants:
/// it is all that is in flight for one sequential reader. Only root may, and not
/// where sysfs is read-only, as in most containers; reads are right without it.
fn raise_read_ahead(directory: &Path, source: &str) {
    let ours = |entry: &mounts::MountEntry| entry.directory == directory && entry.source == source;
    let device = mounts::all().ok().and_then(|all| all.into_iter().rfind(ours)).map(|e| e.device);
    let Some(device) = device else { return };
    let setting = format!("/sys/class/bdi/{device}/read_ahead_kb");
    let kib = READ_AHEAD_BYTES / 1024;
    match std::fs::write(&setting, kib.to_string()) {
        Ok(()) => tracing::info!(setting, kib, "read-ahead raised"),
        Err(error) => tracing::info!(setting, kib, %error, "read-ahead stays as granted"),
    }
}
