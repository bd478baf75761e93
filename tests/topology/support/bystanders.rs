//! Things that look like a run's and are not: clean-up must leave them alone.

use std::collections::HashMap;
use std::ffi::CString;
use std::fs;
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use bollard::Docker;
use bollard::models::{ContainerCreateBody, NetworkCreateRequest, VolumeCreateRequest};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder, RemoveVolumeOptions,
};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

/// As a run's id, but of no run.
const SIMILAR: &str = "20260101-000000-two-peer-0badcafe";

/// Started by a test; removed when dropped.
#[derive(Debug)]
pub(crate) struct Bystanders {
    directories: Vec<PathBuf>,
    mounts: Vec<PathBuf>,
    process: Child,
    /// Names of containers, in an engine.
    containers: Vec<String>,
    network: String,
}

impl Bystanders {
    /// Below `parent`, where `gc` looks for directories; with containers, a network
    /// and a volume when `in_engine`.
    pub(crate) fn start(parent: &Path, in_engine: bool) -> Self {
        let unowned = parent.join("dropbed-xyz");
        let foreign = parent.join("dropbed-foreign");
        for directory in [&unowned, &foreign] {
            fs::create_dir_all(directory.join("alice/mnt")).expect("the directory is ours");
            fs::write(directory.join("precious"), "data").expect("the directory is ours");
        }
        fs::write(foreign.join(".owner"), "root of all\nevil\n").expect("the directory is ours");
        let mut bystanders = Self {
            mounts: Vec::new(),
            process: process(),
            containers: Vec::new(),
            network: format!("{SIMILAR}-net-alice-{}", std::process::id()),
            directories: vec![unowned.clone(), foreign.clone()],
        };
        if rustix::process::geteuid().is_root() {
            bystanders.mount(&unowned.join("alice/mnt"), mount_tmpfs);
            bystanders.mount(&foreign.join("alice/mnt"), mount_dead_fuse);
        } else {
            eprintln!("SKIPPED: mounts of others take root");
        }
        if in_engine {
            bystanders.start_in_engine();
        }
        bystanders
    }

    fn mount(&mut self, target: &Path, how: fn(&Path)) {
        how(target);
        self.mounts.push(target.to_owned());
    }

    fn start_in_engine(&mut self) {
        let id = std::process::id();
        let kinds = [
            ("alice", HashMap::from([("dropbed.tool", "other"), ("dropbed.run", SIMILAR)])),
            ("bob", HashMap::new()),
        ];
        for (peer, labels) in kinds {
            let name = format!("{SIMILAR}-{peer}-{id}");
            let labels = labels.into_iter().map(|(key, value)| (key.into(), value.into()));
            let body = ContainerCreateBody {
                image: Some("dropbed:local".to_owned()),
                cmd: Some(vec!["/dropbed".to_owned(), "toxiproxy".to_owned()]),
                labels: Some(labels.collect()),
                ..ContainerCreateBody::default()
            };
            self.containers.push(name.clone());
            in_engine(async |docker| {
                let options = CreateContainerOptionsBuilder::new().name(&name).build();
                docker.create_container(Some(options), body).await.expect("the image is there");
                docker.start_container(&name, None).await.expect("it starts");
            });
        }
        let name = self.network.clone();
        in_engine(async |docker| {
            let network =
                NetworkCreateRequest { name: name.clone(), ..NetworkCreateRequest::default() };
            docker.create_network(network).await.expect("the engine has a free network");
            let volume = VolumeCreateRequest { name: Some(name), ..VolumeCreateRequest::default() };
            docker.create_volume(volume).await.expect("the engine makes volumes");
        });
    }

    /// Fails when any of them is gone, or is not what it was.
    pub(crate) fn assert_untouched(&mut self) {
        for directory in &self.directories {
            let file = fs::read_to_string(directory.join("precious"));
            assert_eq!(file.expect("a bystander's file is there"), "data");
        }
        let table = fs::read_to_string("/proc/self/mountinfo").expect("procfs is mounted");
        for mount in &self.mounts {
            let place = format!(" {} ", mount.display());
            assert!(table.contains(&place), "{place} was unmounted:\n{table}");
        }
        let ended = self.process.try_wait().expect("it is our child");
        assert_eq!(ended, None, "a bystander's process was ended");
        for name in &self.containers {
            in_engine(async |docker| {
                let found = docker.inspect_container(name, None).await.expect("it was removed");
                assert_eq!(found.state.and_then(|state| state.running), Some(true), "{name}");
            });
        }
        if !self.containers.is_empty() {
            in_engine(async |docker| {
                docker.inspect_network(&self.network, None).await.expect("it was removed");
                docker.inspect_volume(&self.network).await.expect("it was removed");
            });
        }
    }
}

impl Drop for Bystanders {
    fn drop(&mut self) {
        // A test that failed may have found any of them gone.
        for mount in &self.mounts {
            let _gone = unmount(mount, UnmountFlags::DETACH);
        }
        let _ended = self.process.kill().and_then(|()| self.process.wait());
        if self.containers.is_empty() {
            return;
        }
        in_engine(async |docker| {
            for name in &self.containers {
                let options = RemoveContainerOptionsBuilder::new().force(true).build();
                let _gone = docker.remove_container(name, Some(options)).await;
            }
            let _gone = docker.remove_network(&self.network).await;
            let _gone = docker.remove_volume(&self.network, None::<RemoveVolumeOptions>).await;
        });
    }
}

/// Called like a daemon, and told of a run as a container's daemon is, which is its
/// engine's to end.
fn process() -> Child {
    Command::new("/bin/sh")
        .arg0("dropd")
        .args(["-c", "read forever", "run"])
        .env("DROPBED_RUN_ID", SIMILAR)
        .stdin(Stdio::piped())
        .spawn()
        .expect("there is a shell")
}

/// Named as a daemon's mount is, but of another kind.
fn mount_tmpfs(target: &Path) {
    let source = format!("dropd:alice:{SIMILAR}");
    mount(source, target, "tmpfs", MountFlags::empty(), None).expect("root may mount");
}

/// Nobody serves it any more, and it is some other program's.
fn mount_dead_fuse(target: &Path) {
    let device = fs::File::options().read(true).write(true).open("/dev/fuse");
    let device = device.expect("/dev/fuse can be opened");
    let data = format!("fd={},rootmode=40000,user_id=0,group_id=0", device.as_raw_fd());
    let data = CString::new(data).expect("there is no NUL in it");
    let source = format!("otherd:alice:{SIMILAR}");
    mount(source, target, "fuse.otherd", MountFlags::empty(), data.as_c_str())
        .expect("root may mount");
}

/// Asks the engine, on a runtime of its own.
pub(crate) fn in_engine<T>(question: impl AsyncFnOnce(Docker) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be made").block_on(async {
        question(Docker::connect_with_defaults().expect("there is an engine")).await
    })
}
