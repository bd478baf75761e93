//! Daemons by hand, as on two real machines: keys, paths, disks, mounts.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Output, Stdio};
use std::thread::JoinHandle;

use tempfile::TempDir;

use crate::support::{Need, dropd, has};

/// A daemon with directories of its own.
struct Daemon {
    directory: TempDir,
    name: &'static str,
    child: Option<Child>,
    log: Option<JoinHandle<String>>,
}

impl Daemon {
    fn new(name: &'static str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        for part in ["state", "share", "mount"] {
            fs::create_dir(directory.path().join(part)).expect("the directory is ours");
        }
        Self { directory, name, child: None, log: None }
    }

    fn path(&self, part: &str) -> PathBuf {
        self.directory.path().join(part)
    }

    fn command<const N: usize>(&self, arguments: [&str; N]) -> std::process::Command {
        let mut command = dropd(arguments);
        command
            .env("DROPD_NAME", self.name)
            .env("DROPD_LISTEN", "127.0.0.1:0")
            .env("DROPD_CONTROL", self.path("control.sock"))
            .env("DROPD_STATE", self.path("state"))
            .env("DROPD_SHARE", self.path("share"));
        command
    }

    fn id(&self) -> String {
        let output = self.command(["id"]).output().expect("the executable was just built");
        assert!(output.status.success(), "{}", text(&output));
        String::from_utf8(output.stdout).expect("an id is text").trim().to_owned()
    }

    /// Starts it with a configuration file that names `peers`; returns where it listens.
    fn start(&mut self, peers: &[(&str, &str, Option<&str>)], mount: bool) -> String {
        let mut config = "peers:\n".to_owned();
        for (name, id, address) in peers {
            config += &format!("  - {{ name: {name}, id: {id}");
            if let Some(address) = address {
                config += &format!(", address: \"{address}\"");
            }
            config += " }\n";
        }
        if peers.is_empty() {
            config = "peers: []\n".to_owned();
        }
        fs::write(self.path("dropd.yaml"), config).expect("the directory is ours");
        let mut command = self.command(["run", "--config"]);
        command.arg(self.path("dropd.yaml")).stderr(Stdio::piped());
        if mount {
            command.env("DROPD_MOUNT", self.path("mount"));
        }
        let mut child = command.spawn().expect("the executable was just built");
        let mut stderr = BufReader::new(child.stderr.take().expect("stderr is piped"));
        let ready = wait_until_ready(&mut stderr);
        self.child = Some(child);
        self.log = Some(std::thread::spawn(move || {
            stderr.lines().map_while(Result::ok).fold(ready, |log, line| log + &line + "\n")
        }));
        let status = self.ask(["--json", "status"]);
        let status: serde_json::Value =
            serde_json::from_slice(&status.stdout).expect("`status --json` is JSON");
        status["listen_address"].as_str().expect("it listens").to_owned()
    }

    fn ask<const N: usize>(&self, arguments: [&str; N]) -> Output {
        self.command(arguments).output().expect("the executable was just built")
    }

    /// Stops it, which must succeed; returns its log.
    fn stop(&mut self) -> String {
        let stopped = self.ask(["stop"]);
        assert!(stopped.status.success(), "{}", text(&stopped));
        let status = self.child.take().expect("it runs").wait().expect("it can be waited for");
        assert!(status.success(), "{}: {status}", self.name);
        self.log.take().expect("it runs").join().expect("the reader does not panic")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Only after a failed assertion; a mount would outlive the directory.
        if let Some(mut child) = self.child.take() {
            let _ = self.command(["stop"]).output();
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn wait_until_ready(stderr: &mut BufReader<ChildStderr>) -> String {
    let mut log = String::new();
    while !log.contains("ready") {
        let read = stderr.read_line(&mut log).expect("stderr is UTF-8");
        assert!(read > 0, "the daemon ended before it was ready:\n{log}");
    }
    log
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

/// Two daemons that know each other; bob dials alice.
fn pair(mount: bool) -> (Daemon, Daemon) {
    let (mut alice, mut bob) = (Daemon::new("alice"), Daemon::new("bob"));
    let (alice_id, bob_id) = (alice.id(), bob.id());
    let address = alice.start(&[("bob", &bob_id, None)], false);
    bob.start(&[("alice", &alice_id, Some(&address))], mount);
    (alice, bob)
}

#[test]
fn a_file_comes_over_whole_and_an_id_stays() {
    let (mut alice, mut bob) = pair(false);
    let data: Vec<u8> = (0..3_000_001_u32).map(|i| (i % 251) as u8).collect();
    fs::write(alice.path("share/data.bin"), &data).expect("the share is ours");
    let target = bob.path("got.bin");
    let target = target.to_str().expect("a temporary path is text");
    for mode in ["push", "request-response"] {
        let pulled = bob.ask(["pull", "alice/data.bin", "-o", target, "--mode", mode]);
        assert!(pulled.status.success(), "{}", text(&pulled));
        assert_eq!(fs::read(target).expect("it was pulled"), data, "{mode}");
    }
    let rekeyed = bob.ask(["rekey", "alice"]);
    assert!(rekeyed.status.success(), "{}", text(&rekeyed));
    let id = alice.id();
    bob.stop();
    alice.stop();
    assert_eq!(alice.id(), id, "the identity is a file");
}

/// Nobody whom alice does not know gets a byte, and both sides say why.
#[test]
fn an_unknown_peer_is_refused() {
    let (mut alice, mut mallory) = (Daemon::new("alice"), Daemon::new("mallory"));
    let alice_id = alice.id();
    fs::write(alice.path("share/data.bin"), b"secret").expect("the share is ours");
    let address = alice.start(&[], false);
    mallory.start(&[("alice", &alice_id, Some(&address))], false);
    let pulled = mallory.ask(["pull", "alice/data.bin", "--hash"]);
    assert_eq!(pulled.status.code(), Some(1), "{}", text(&pulled));
    let why = "id is not among the accepting end's peers";
    assert!(text(&pulled).contains(why), "says why: {}", text(&pulled));
    mallory.stop();
    let log = alice.stop();
    assert!(log.contains(&mallory.id()), "says who, so that it can be added: {log}");
}

/// Who answers with another key than the pinned one is not talked to.
#[test]
fn a_wrong_key_is_refused() {
    let (mut alice, mut bob) = (Daemon::new("alice"), Daemon::new("bob"));
    let bob_id = bob.id();
    let address = alice.start(&[("bob", &bob_id, None)], false);
    // Bob's own id is a good id, and not alice's.
    bob.start(&[("alice", &Daemon::new("other").id(), Some(&address))], false);
    let listed = bob.ask(["ls", "alice"]);
    assert_eq!(listed.status.code(), Some(1), "{}", text(&listed));
    assert!(text(&listed).contains("key") || text(&listed).contains("id"), "{}", text(&listed));
    bob.stop();
    let log = alice.stop();
    assert!(log.contains("WARN"), "the listener says why, too: {log}");
}

#[test]
fn paths_that_are_not_there_or_lead_outside() {
    let (mut alice, mut bob) = pair(false);
    fs::write(alice.path("outside.txt"), b"secret").expect("the directory is ours");
    std::os::unix::fs::symlink(alice.path("outside.txt"), alice.path("share/link"))
        .expect("the share is ours");
    for path in ["alice/none", "alice/../outside.txt", "alice/link", "alice//etc/passwd"] {
        let pulled = bob.ask(["pull", path, "--hash"]);
        let said = text(&pulled);
        assert!(matches!(pulled.status.code(), Some(1 | 2)), "{path}: {said}");
        assert!(!said.contains("secret"), "{path}: {said}");
        assert!(said.contains(path.trim_start_matches("alice/")), "names the path {path}: {said}");
    }
    bob.stop();
    alice.stop();
}

#[test]
fn the_mount_shows_the_share_and_its_errors() {
    if !has(Need::Fuse) {
        return;
    }
    let (mut alice, mut bob) = pair(true);
    let data: Vec<u8> = (0..1_000_003_u32).map(|i| (i % 253) as u8).collect();
    fs::create_dir(alice.path("share/sub")).expect("the share is ours");
    fs::write(alice.path("share/sub/data.bin"), &data).expect("the share is ours");
    let mounted = bob.path("mount/alice");
    assert_eq!(fs::read(mounted.join("sub/data.bin")).expect("it reads"), data);
    let names: Vec<_> = fs::read_dir(mounted.join("sub"))
        .expect("it lists")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert_eq!(names, ["data.bin"]);
    let error = fs::read(mounted.join("none")).expect_err("it is not there");
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    let error = fs::write(mounted.join("new"), b"x").expect_err("the mount is read-only");
    assert_eq!(error.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    // The owner goes away: an error within the deadline, never a short read.
    alice.stop();
    fs::read(mounted.join("sub/data.bin")).expect_err("alice is gone");
    bob.stop();
    assert!(!is_mounted(&bob.path("mount")), "stopping unmounts");
}

/// A full disk at the receiver: an error that says so, and no file of that name.
#[test]
fn a_full_disk_leaves_no_file() {
    let (mut alice, mut bob) = pair(false);
    let Some(small) = SmallDisk::mount(bob.path("small")) else {
        eprintln!("SKIPPED: mounting a small tmpfs takes root");
        bob.stop();
        alice.stop();
        return;
    };
    fs::write(alice.path("share/big.bin"), vec![1_u8; 4 << 20]).expect("the share is ours");
    let target = small.0.join("big.bin");
    let pulled = bob.ask(["pull", "alice/big.bin", "-o", target.to_str().expect("text")]);
    let said = text(&pulled);
    assert_eq!(pulled.status.code(), Some(1), "{said}");
    assert!(said.to_lowercase().contains("no space"), "{said}");
    let left: Vec<_> = fs::read_dir(&small.0).expect("it lists").collect();
    assert!(left.is_empty(), "nothing is left on the small disk: {left:?}");
    bob.stop();
    alice.stop();
}

/// A tmpfs of 1 MiB.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(path: PathBuf) -> Option<Self> {
        fs::create_dir(&path).expect("the directory is ours");
        let flags = rustix::mount::MountFlags::empty();
        rustix::mount::mount("small", &path, "tmpfs", flags, Some(c"size=1m")).ok()?;
        Some(Self(path))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let flags = rustix::mount::UnmountFlags::DETACH;
        rustix::mount::unmount(&self.0, flags).expect("it was mounted by us");
    }
}

fn is_mounted(directory: &Path) -> bool {
    let table = fs::read_to_string("/proc/self/mountinfo").expect("procfs is mounted");
    table.contains(&format!(" {} ", directory.display()))
}

/// What cannot work is said before anything starts, with what to do.
#[test]
fn bad_starts() {
    let daemon = Daemon::new("alice");
    fs::write(daemon.path("dropd.yaml"), "shaer: /x\n").expect("the directory is ours");
    let unknown_key = daemon.command(["run", "--config"]).arg(daemon.path("dropd.yaml")).output();
    let unknown_key = unknown_key.expect("it runs");
    assert_eq!(unknown_key.status.code(), Some(2), "{}", text(&unknown_key));
    assert!(text(&unknown_key).contains("shaer"), "{}", text(&unknown_key));

    let mut inside = daemon.command(["run"]);
    let inside = inside.env("DROPD_SHARE", daemon.directory.path()).output().expect("it runs");
    assert_eq!(inside.status.code(), Some(2), "{}", text(&inside));
    assert!(text(&inside).contains("within the share"), "{}", text(&inside));

    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
    let address = taken.local_addr().expect("it is bound").to_string();
    let port_taken = daemon.command(["run"]).env("DROPD_LISTEN", &address).output();
    let port_taken = port_taken.expect("it runs");
    assert_eq!(port_taken.status.code(), Some(3), "{}", text(&port_taken));
    assert!(text(&port_taken).contains(&address), "{}", text(&port_taken));

    let no_daemon = daemon.ask(["status"]);
    assert_eq!(no_daemon.status.code(), Some(1), "{}", text(&no_daemon));
    daemon.id();
    let identity = fs::read_dir(daemon.path("state")).expect("it lists").flatten().find(|entry| {
        entry
            .metadata()
            .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o777 == 0o600)
    });
    let identity = identity.expect("an identity file that only its owner reads");
    fs::set_permissions(identity.path(), fs::Permissions::from_mode(0o644)).expect("ours");
    let readable = daemon.ask(["id"]);
    assert!(!readable.status.success());
    assert!(text(&readable).contains("chmod 600"), "{}", text(&readable));
}
