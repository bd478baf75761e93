//! Coming and going of mounts, and what others left behind.

use std::ffi::CString;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::Duration;

use rustix::mount::MountFlags;

use super::*;

/// Far longer than the kernel takes: only a leak lasts so long.
const GIVEN_BACK_WITHIN: Duration = Duration::from_secs(30);

fn entries_at(directory: &Path) -> Vec<MountEntry> {
    let directory = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
    all().unwrap().into_iter().filter(|entry| entry.directory == directory).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mount_is_found_by_its_name_and_leaves_nothing() {
    if !requires::fuse() {
        return;
    }
    let (anna, file_system) = tree();
    anna.put_file("a", "text");
    let directory = tempfile::tempdir().unwrap();
    let options =
        Options { name: "tester".to_owned(), run_id: Some("run-7".to_owned()), allow_other: false };
    let mounted = mount(directory.path(), &file_system, Handle::current(), &options).unwrap();
    assert!(mounted.is_alive());
    assert_eq!(mounted.source(), "dropd:tester:run-7");
    let entries = entries_at(directory.path());
    assert_eq!(entries.len(), 1);
    assert_eq!((entries[0].kind.as_str(), entries[0].run_id()), ("fuse.dropd", Some("run-7")));
    assert!(mounts().unwrap().contains(&entries[0]));
    let path = directory.path().join("anna/a");
    assert_eq!(application(move || fs::read_to_string(path)).await.unwrap(), "text");
    assert_eq!(mounted.unmount().await.unwrap(), Unmounted::Cleanly);
    assert_eq!(entries_at(directory.path()), []);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kernel_gives_back_what_it_no_longer_needs() {
    let Some(mounted) = Mounted::start(Handle::current()) else { return };
    for content in 0..100 {
        mounted.anna.put_file("a", content.to_string());
        let path = mounted.path("anna/a");
        let read = application(move || fs::read_to_string(path)).await;
        assert_eq!(read.unwrap(), content.to_string());
    }
    // The share and the last version: each version was a number of its own. The
    // kernel forgets and releases after close has returned.
    let expected = Held { inodes: 2, handles: 0 };
    let given_back = async {
        while mounted.file_system.held() != expected {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(GIVEN_BACK_WITHIN, given_back).await;
    assert!(waited.is_ok(), "still held: {:?}", mounted.file_system.held());
    mounted.mount.unmount().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mount_in_use_disappears_and_its_user_goes_on() {
    let Some(mounted) = Mounted::start(Handle::current()) else { return };
    let Mounted { mount, anna, directory, .. } = mounted;
    anna.put_file("a", "text");
    let path = directory.path().join("anna/a");
    let mut file = application(move || File::open(path)).await.unwrap();
    assert_eq!(mount.unmount().await.unwrap(), Unmounted::Lazily);
    assert_eq!(entries_at(directory.path()), []);
    let text = application(move || {
        let mut text = String::new();
        file.read_to_string(&mut text).map(|_| text)
    });
    assert_eq!(text.await.unwrap(), "text");
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_mount_unmounts_it() {
    let Some(mounted) = Mounted::start(Handle::current()) else { return };
    let Mounted { mount, directory, .. } = mounted;
    drop(mount);
    assert_eq!(entries_at(directory.path()), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_living_mount_is_not_mounted_over() {
    let Some(mounted) = Mounted::start(Handle::current()) else { return };
    let again = mount(
        mounted.directory.path(),
        &mounted.file_system,
        Handle::current(),
        &Options::new("tester"),
    );
    assert!(matches!(&again, Err(MountError::Busy { .. })), "{again:?}");
    assert!(mounted.mount.is_alive());
    mounted.mount.unmount().await.unwrap();
}

/// What a daemon that was killed leaves: a mount whose device is closed.
fn leave_dead_mount(directory: &Path, source: &str) {
    let device: OwnedFd = File::options().read(true).write(true).open("/dev/fuse").unwrap().into();
    let options = CString::new(format!(
        "fd={},rootmode=40000,user_id=0,group_id=0,subtype=dropd",
        device.as_raw_fd()
    ))
    .unwrap();
    rustix::mount::mount(source, directory, "fuse", MountFlags::RDONLY, &*options).unwrap();
    drop(device);
    assert_eq!(errno(fs::metadata(directory)), Errno::NOTCONN);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dead_mount_of_the_same_daemon_is_replaced() {
    if !requires::fuse() || !rustix::process::geteuid().is_root() {
        return;
    }
    let (anna, file_system) = tree();
    anna.put_file("a", "text");
    let directory = tempfile::tempdir().unwrap();
    leave_dead_mount(directory.path(), "dropd:tester:old-run");
    let mounted =
        mount(directory.path(), &file_system, Handle::current(), &Options::new("tester")).unwrap();
    let path = directory.path().join("anna/a");
    assert_eq!(application(move || fs::read_to_string(path)).await.unwrap(), "text");
    assert_eq!(entries_at(directory.path()).len(), 1);
    mounted.unmount().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dead_mount_of_another_is_left_alone() {
    if !requires::fuse() || !rustix::process::geteuid().is_root() {
        return;
    }
    let (_, file_system) = tree();
    let directory = tempfile::tempdir().unwrap();
    leave_dead_mount(directory.path(), "dropd:other:-");
    let refused = mount(directory.path(), &file_system, Handle::current(), &Options::new("tester"));
    assert!(matches!(&refused, Err(MountError::Stale { .. })), "{refused:?}");
    rustix::mount::unmount(directory.path(), rustix::mount::UnmountFlags::DETACH).unwrap();
}
