//! What a run stands on breaks under it: the engine dies, the disk is full.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use bollard::query_parameters::ListContainersOptionsBuilder;
use dropbed::telemetry::clock;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::kills::SMALL;
use crate::support::bystanders::in_engine;
use crate::support::engine_proxy::EngineProxy;
use crate::support::{Need, Run, alone, dropbed, has, leftovers};

/// Between two looks at the engine, whose containers another process makes.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// Everything that asks a dead engine is refused at once; this is for a busy machine.
const END_WITHIN: Duration = Duration::from_secs(30);

fn small(home: &Path) -> String {
    let topology = home.join("small.yaml");
    fs::write(&topology, SMALL).expect("the directory is ours");
    topology.display().to_string()
}

/// The state is reported, and `gc` finishes when there is an engine again.
#[test]
fn an_engine_that_dies_while_peers_start() {
    if !has(Need::Fuse) || !has(Need::Docker) {
        return;
    }
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let Some(mut proxy) = EngineProxy::start(&home.path().join("engine.sock")) else {
        eprintln!("SKIPPED: the engine is not reached by a unix socket");
        return;
    };
    let run = Run::new(&small(home.path()), "docker").env("DOCKER_HOST", proxy.host());
    let mut running = run.start();
    running.wait_for_line("starting");
    let run_id = running.run_id();
    // The proxy and a peer at least: the probes of rights are gone by then.
    while !has_container(&run_id, "proxy") {
        assert!(!running.has_ended(), "the run ended before it had containers");
        std::thread::park_timeout(LOOK_AGAIN_AFTER);
    }
    proxy.cut();
    let cut_ns = clock::now_ns();
    let ended = running.finish();
    let took = Duration::from_nanos(clock::now_ns() - cut_ns);
    let result = ended.result(4);
    assert_eq!(result["outcome"], "error");
    let reasons = result["reasons"].to_string();
    assert!(reasons.contains("dropbed gc"), "says who removes the rest: {reasons}");
    let labelled = format!("dropbed.run={run_id}");
    for word in ["the engine does not answer any more", "proxy", &labelled] {
        assert!(reasons.contains(word), "{word}: {reasons}");
    }
    assert!(took < END_WITHIN, "{took:?}");
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    let left = leftovers(&run_id);
    assert!(left.iter().any(|one| one.starts_with("container")), "{left:#?}");

    let output = dropbed(["gc"]).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
    let left = leftovers(&run_id);
    assert!(left.is_empty(), "{left:#?}\n{said}");
}

fn has_container(run_id: &str, part: &str) -> bool {
    let wanted = format!("/{run_id}-{part}");
    in_engine(async |docker| {
        let options = ListContainersOptionsBuilder::new().all(true).build();
        let containers = docker.list_containers(Some(options)).await.expect("the engine lists");
        containers.iter().flat_map(|one| one.names.iter().flatten()).any(|name| *name == wanted)
    })
}

/// A file system of that many bytes; unmounted when dropped.
struct Tiny(PathBuf);

impl Tiny {
    fn mount(target: &Path, size_bytes: u64) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED: only root may mount a full disk");
            return None;
        }
        let options = std::ffi::CString::new(format!("size={size_bytes}")).expect("no NUL in it");
        mount("tiny", target, "tmpfs", MountFlags::empty(), options.as_c_str())
            .expect("root may mount");
        Some(Self(target.to_owned()))
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        unmount(&self.0, UnmountFlags::DETACH).expect("it was mounted");
    }
}

/// Where results go. The run is done, and what could not be written is told.
#[test]
fn a_full_disk_for_results() {
    if !has(Need::Fuse) {
        return;
    }
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let run = Run::new(&small(home.path()), "process");
    // A few pages: the directory and its first files fit, and not much more.
    let Some(tiny) = Tiny::mount(run.out.path(), 24 << 10) else { return };
    let ended = run.finish();
    assert_eq!(ended.code, 4, "{}\n{}", ended.stderr, ended.stdout);
    let said = format!("{}{}", ended.stderr, ended.stdout);
    assert!(said.contains("cannot write") && said.contains("No space left"), "{said}");
    ended.assert_nothing_left();
    drop(tiny);
}

/// Where daemons keep their files: the sample does not fit.
#[test]
fn a_full_disk_for_shares() {
    if !has(Need::Fuse) {
        return;
    }
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let temporary = home.path().join("t");
    fs::create_dir(&temporary).expect("the directory is ours");
    let Some(tiny) = Tiny::mount(&temporary, 600 << 10) else { return };
    let ended = Run::new(&small(home.path()), "process").env("TMPDIR", &temporary).finish();
    let reasons = ended.result(4)["reasons"].to_string();
    assert!(reasons.contains("No space left") && reasons.contains("alice"), "{reasons}");
    ended.assert_nothing_left();
    assert_eq!(fs::read_dir(&temporary).expect("it is mounted").count(), 0, "{}", ended.stderr);
    drop(tiny);
}

/// An engine that accepts and says nothing holds no command up.
#[test]
fn an_engine_that_never_answers() {
    let _machine = alone();
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let socket = home.path().join("engine");
    // Nobody accepts: the kernel does, and bytes go nowhere.
    let _engine = UnixListener::bind(&socket).expect("the directory is ours");
    let (file, out) = (small(home.path()), home.path().join("runs").display().to_string());
    let cases: [(&[&str], i32); 8] = [
        (&["ls", "--out", &out], 0),
        (&["inspect", "--out", &out], 3),
        (&["exec", "bob", "--out", &out, "--", "dropd", "status"], 3),
        (&["run", &file, "--runtime", "docker", "--out", &out], 3),
        (&["up", &file, "--runtime", "docker", "--out", &out], 3),
        (&["down", "--out", &out], 3),
        (&["image"], 3),
        (&["gc", "--dry-run"], 0),
    ];
    let mut started = Vec::new();
    for (arguments, code) in cases {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dropbed"));
        command.args(arguments).env("DOCKER_HOST", format!("unix://{}", socket.display()));
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        started.push((arguments, code, child.spawn().expect("it was just built")));
    }
    let begin_ns = clock::now_ns();
    for (arguments, code, child) in started {
        let output = child.wait_with_output().expect("it can be waited for");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains("hint: ") || code == 0, "{arguments:?}: {said}");
        let took = Duration::from_nanos(clock::now_ns() - begin_ns);
        assert!(took < END_WITHIN, "{arguments:?}: {said}");
    }
}
