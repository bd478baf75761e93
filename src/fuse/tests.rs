use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustix::io::Errno;
use tempfile::TempDir;
use tokio::runtime::{Builder, Handle};
use tokio::sync::Semaphore;

use super::mounts::{all, parse, source_name};
use super::*;
use crate::fs::memory::{Behaviour, MemoryShare};
use crate::fs::{FileSystem, Held, Owner, Shares};
use crate::transfer::FetchError;

mod reading;
mod unmounting;

/// Not a multiple of a page, a request or a read-ahead window.
const BIG_BYTES: usize = 3 * (1 << 20) + 4097;

/// Beyond the kernel's largest thread id (2^22).
const NO_THREAD: u32 = u32::MAX;

/// A mount of one peer, "anna".
struct Mounted {
    mount: Mount,
    anna: Arc<MemoryShare>,
    file_system: Arc<FileSystem>,
    directory: TempDir,
}

impl Mounted {
    /// `None` where FUSE is not to be had.
    fn start(runtime: Handle) -> Option<Self> {
        if !requires::fuse() {
            return None;
        }
        let (anna, file_system) = tree();
        let directory = tempfile::tempdir().unwrap();
        let mount =
            mount(directory.path(), &file_system, runtime, &Options::new("tester")).unwrap();
        Some(Self { mount, anna, file_system, directory })
    }

    fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }
}

fn tree() -> (Arc<MemoryShare>, Arc<FileSystem>) {
    let anna = Arc::new(MemoryShare::new("anna"));
    let shares = Shares::new();
    shares.insert("anna", anna.clone()).unwrap();
    let file_system = FileSystem::new(shares, Owner::of_process(), SystemTime::UNIX_EPOCH);
    (anna, Arc::new(file_system))
}

fn mount(
    directory: &Path,
    file_system: &Arc<FileSystem>,
    runtime: Handle,
    options: &Options,
) -> Result<Mount, MountError> {
    Mount::start(directory, file_system.clone(), runtime, Readers::new(), options.clone())
}

/// Uses the mount as an application would: on a thread that serves nobody.
async fn application<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

fn errno<T: std::fmt::Debug>(result: io::Result<T>) -> Errno {
    Errno::from_raw_os_error(result.unwrap_err().raw_os_error().unwrap())
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| u8::try_from(i % 251).unwrap()).collect()
}

#[test]
fn mountinfo_is_parsed_with_its_escapes() {
    let text = b"22 1 0:21 / /proc rw,nosuid shared:5 - proc proc rw\n\
        97 22 0:55 / /mnt/with\\040space\\134x ro,nodev - fuse.dropd dropd:anna:r1 ro,user_id=0\n\
        98 22 0:56 / /mnt/two rw shared:1 master:2 - fuse.dropd dropd:bert:- rw\n\
        nonsense\n";
    let entries = parse(text);
    assert_eq!(entries.len(), 3);
    assert_eq!(entries[1].device, "0:55");
    assert_eq!(entries[1].directory, Path::new("/mnt/with space\\x"));
    assert_eq!((entries[1].kind.as_str(), entries[1].run_id()), ("fuse.dropd", Some("r1")));
    assert_eq!((entries[2].source.as_str(), entries[2].run_id()), ("dropd:bert:-", None));
    assert_eq!(entries[0].run_id(), None);
    assert_eq!(source_name("anna", Some("r1")), entries[1].source);
}

#[test]
fn refusals_of_mount_are_sorted_by_what_helps() {
    let sort = |error, is_root| MountError::of_mount(error, Path::new("/m"), is_root);
    let missing = || io::Error::from(io::ErrorKind::NotFound);
    assert!(matches!(sort(missing(), false), MountError::NoFusermount { .. }));
    assert!(matches!(sort(missing(), true), MountError::NotPermitted { .. }));
    let armor = io::Error::other("Error calling mount() at \"/m\": EACCES: Permission denied");
    assert!(matches!(sort(armor, true), MountError::NotPermitted { .. }));
    let tool = io::Error::other("fusermount3: mount failed: Operation not permitted\n");
    assert!(matches!(sort(tool, false), MountError::NotPermitted { .. }));
    let other = io::Error::other(
        "fusermount3: option allow_other only allowed if 'user_allow_other' is set in /etc/fuse.conf",
    );
    assert!(matches!(sort(other, false), MountError::AllowOther { .. }));
    let invalid = io::Error::other("Error calling mount(): EINVAL: Invalid argument");
    assert!(matches!(sort(invalid, true), MountError::System { .. }));
}

#[test]
fn a_thread_reads_under_the_span_of_its_process() {
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry());
    let readers = Readers::new();
    let span = tracing::info_span!("reader");
    // The test's own thread is not the process's first one.
    let own_id = u32::try_from(rustix::thread::gettid().as_raw_nonzero().get()).unwrap();
    assert_ne!(own_id, std::process::id());
    assert!(readers.span_of(own_id).is_none());
    let registration = readers.register(std::process::id(), span.clone());
    assert_eq!(readers.span_of(std::process::id()).id(), span.id());
    assert_eq!(readers.span_of(own_id).id(), span.id());
    assert!(readers.span_of(NO_THREAD).is_none());
    let later = tracing::info_span!("later");
    let second = readers.register(std::process::id(), later.clone());
    drop(registration);
    assert_eq!(readers.span_of(own_id).id(), later.id(), "the first one's end is not the second's");
    drop(second);
    assert!(readers.span_of(own_id).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mount_needs_an_empty_directory_and_a_name() {
    if !requires::fuse() {
        return;
    }
    let (_, file_system) = tree();
    let home = tempfile::tempdir().unwrap();
    let start = |directory: &Path, name: &str| {
        mount(directory, &file_system, Handle::current(), &Options::new(name)).map(drop)
    };
    let missing = start(&home.path().join("missing"), "tester");
    assert!(matches!(missing, Err(MountError::Directory { .. })), "{missing:?}");
    fs::write(home.path().join("file"), "x").unwrap();
    let full = start(home.path(), "tester");
    assert!(matches!(full, Err(MountError::Directory { .. })), "{full:?}");
    let file = start(&home.path().join("file"), "tester");
    assert!(matches!(file, Err(MountError::Directory { .. })), "{file:?}");
    for name in ["", "a,b", "a:b", "a b"] {
        let named = start(home.path(), name);
        assert!(matches!(named, Err(MountError::Name { .. })), "{named:?}");
    }
    assert!(all().unwrap().iter().all(|entry| !entry.directory.starts_with(home.path())));
}
