use std::collections::BTreeMap;

use super::*;
use crate::testbed::plan::{Resources, Volumes};
use crate::testbed::runtime::owner::Liveness;
use crate::testbed::runtime::procfs;

fn plan(peers: &[&str]) -> Plan {
    let peer = |name: &&str| PeerPlan {
        name: (*name).to_owned(),
        mount: false,
        privileged: false,
        rekey_bytes: None,
        environment: BTreeMap::new(),
        resources: Resources::default(),
        volumes: Volumes::default(),
    };
    Plan {
        name: "t".to_owned(),
        peers: peers.iter().map(peer).collect(),
        deadline_ms: 1000,
        ..Plan::default()
    }
}

fn context() -> RunContext {
    RunContext {
        run_id: "r-test".to_owned(),
        directory: "/runs/r-test".into(),
        log_filter: "info".to_owned(),
        outlives: false,
    }
}

fn script(directory: &Path, text: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let file = directory.join("stand-in");
    std::fs::write(&file, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    file
}

/// A stand-in that is the proxy, and as a daemon does what `daemon` says.
fn stand_in(directory: &Path, daemon: &str) -> PathBuf {
    let text = format!(
        "if [ \"$1\" = toxiproxy ]; then echo 'API listening on 127.0.0.1:1' >&2; exec sleep 600; fi\n{daemon}"
    );
    script(directory, &text)
}

#[tokio::test]
async fn a_daemon_that_ends_while_starting_is_told_at_once_with_its_log() {
    let directory = tempfile::tempdir().unwrap();
    let file = stand_in(directory.path(), "echo \"$DROPD_NAME: no disk\" >&2; exit 7");
    let mut runtime = prepared(file);
    let error = runtime.up(&plan(&["alice"]), &Spans::Off).await.unwrap_err();
    let RuntimeError::Died(death) = error else { panic!("{error}") };
    assert_eq!((death.who.as_str(), death.exit_code), ("alice", Some(7)));
    assert_eq!(death.how, "exit code 7");
    assert_eq!(death.last_log_lines, ["alice: no disk"]);

    let logs = tempfile::tempdir().unwrap();
    let target = logs.path().join("logs");
    runtime.save_logs(&target).await.unwrap();
    let saved = std::fs::read_to_string(target.join("alice.log")).unwrap();
    assert_eq!(saved, "alice: no disk\n");
    runtime.down().await.unwrap();
}

#[tokio::test]
async fn a_proxy_that_ends_while_starting_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let file = script(directory.path(), "exit 2");
    let mut runtime = prepared(file);
    let error = runtime.up(&plan(&["alice"]), &Spans::Off).await.unwrap_err();
    assert!(matches!(&error, RuntimeError::Died(death) if death.who == "proxy"), "{error}");
    runtime.down().await.unwrap();
}

fn prepared(file: PathBuf) -> ProcessRuntime {
    ProcessRuntime { context: Some(context()), ..ProcessRuntime::new(file) }
}

/// Starts what `up` starts, without waiting for daemons that never answer.
async fn start_parts(runtime: &mut ProcessRuntime, peers: &[&str]) {
    let directory = RunDirectory::create(&context()).unwrap();
    let running = Running::new(context(), directory, Standing::default()).unwrap();
    let running = runtime.running.insert(running);
    proxy::start(running, &runtime.executable).await.unwrap();
    for (peer, address) in plan(peers).peers.iter().zip(free_addresses(&[])) {
        running.start_peer(&runtime.executable, peer, address, &Spans::Off).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_released_stands_until_another_runtime_removes_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = stand_in(directory.path(), "exec sleep 600");
    let mut first = prepared(file.clone());
    start_parts(&mut first, &["alice", "bob"]).await;
    let parts = first.parts();
    let path = first.running.as_ref().unwrap().directory.log("x").parent().unwrap().to_owned();
    first.release();
    drop(first);
    let alive = |part: &PartPlace| match &part.place {
        Place::Process { pid, start_ticks, .. } => !procfs::has_ended(*pid, *start_ticks),
        place => panic!("{place:?}"),
    };
    assert!(parts.len() == 3 && parts.iter().all(alive), "{parts:?}");

    let mut second = ProcessRuntime::new(file);
    let standing = Standing { parts: parts.clone(), ..Standing::default() };
    second.resume(None, &standing, &context(), Claim::Beside).await.unwrap();
    second.remove("alice").await.unwrap();
    assert_eq!(parts.iter().map(alive).collect::<Vec<_>>(), [true, false, true]);
    assert!(!path.join("alice").exists() && path.join("bob").exists());
    second.remove("carol").await.expect("what is not there is removed");
    // Of what it did not start, it removes nothing by itself.
    second.down().await.unwrap();
    assert!(alive(&parts[0]) && alive(&parts[2]));

    let logs = tempfile::tempdir().unwrap();
    second.resume(None, &standing, &context(), Claim::Whole).await.unwrap();
    second.save_logs(logs.path()).await.unwrap();
    assert!(logs.path().join("bob.log").exists());
    second.down().await.unwrap();
    assert!(!parts.iter().any(alive) && !path.exists());
}

#[tokio::test]
async fn watch_names_who_died_and_by_which_signal_and_down_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = stand_in(directory.path(), "exec sleep 600");
    let mut runtime = prepared(file);
    start_parts(&mut runtime, &["alice", "bob"]).await;
    let running = runtime.running.as_ref().unwrap();
    let path = running.directory.log("x").parent().unwrap().to_owned();
    let pids: Vec<_> = running.parts.iter().filter_map(|part| part.child.id()).collect();
    assert_eq!(pids.len(), 3);

    let victim = rustix::process::Pid::from_raw(i32::try_from(pids[2]).unwrap()).unwrap();
    rustix::process::kill_process(victim, rustix::process::Signal::KILL).unwrap();
    for _ in 0..2 {
        let death = runtime.watch().await;
        assert_eq!((death.who.as_str(), death.exit_code), ("bob", None));
        assert_eq!(death.how, "signal 9 (SIGKILL)");
    }

    runtime.down().await.unwrap();
    assert!(!path.exists());
    assert!(pids.iter().all(|pid| procfs::start_ticks(*pid).is_none()));
}

#[tokio::test]
async fn a_daemon_that_ignores_sigterm_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let file = stand_in(directory.path(), "trap '' TERM; echo deaf; while :; do sleep 1; done");
    let mut runtime = prepared(file);
    start_parts(&mut runtime, &["alice"]).await;
    let part = &runtime.running.as_ref().unwrap().parts[1];
    let (pid, log) = (part.child.id().unwrap(), part.log.clone());
    tokio::time::timeout(READY_DEADLINE, async {
        while !std::fs::read_to_string(&log).unwrap().contains("deaf") {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    runtime.down().await.unwrap();
    assert_eq!(procfs::start_ticks(pid), None);
}

#[tokio::test]
async fn dropping_without_down_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = stand_in(directory.path(), "exec sleep 600");
    let mut runtime = prepared(file);
    start_parts(&mut runtime, &["alice"]).await;
    let running = runtime.running.as_ref().unwrap();
    let path = running.directory.log("x").parent().unwrap().to_owned();
    let owner = std::fs::read_to_string(path.join(OWNER_FILE)).unwrap();
    let owner: Owner = owner.lines().next().unwrap().parse().unwrap();
    assert_eq!(owner.liveness(), Liveness::Alive);
    drop(runtime);
    assert!(!path.exists());
}

#[test]
fn the_proxy_address_is_read_from_a_whole_line_only() {
    let whole = "starting\nINFO toxiproxy API listening on 127.0.0.1:38127\nmore\n";
    let found = proxy::listening_address(whole).unwrap();
    assert_eq!(found.to_string(), "127.0.0.1:38127");
    assert_eq!(proxy::listening_address("API listening on 127.0.0.1:381"), None);
    assert_eq!(proxy::listening_address("listening on nothing\n"), None);
}

#[test]
fn peers_have_addresses_of_their_own() {
    let address = |index| free_addresses(&[]).nth(index).map(|address| address.to_string());
    assert_eq!(address(0).unwrap(), "127.0.0.2");
    assert_eq!(address(254).unwrap(), "127.0.1.0");
    assert_eq!(address(1 << 24), None);
    let standing = |upstream: &str| PeerEndpoint {
        name: "alice".to_owned(),
        control: ControlAddress::Unix("x".into()),
        upstream: upstream.to_owned(),
    };
    let taken = [standing("127.0.0.2:4711"), standing("127.0.0.4:1")];
    let free: Vec<_> = free_addresses(&taken).take(2).map(|one| one.to_string()).collect();
    assert_eq!(free, ["127.0.0.3", "127.0.0.5"]);
}

#[test]
fn a_missing_device_or_tool_is_named() {
    let plan = plan(&["alice"]);
    let all = fuse::Fuse { device: true, sys_admin: true, fusermount: false };
    fuse::check(&all, &plan).unwrap();
    fuse::check(&fuse::Fuse { sys_admin: false, fusermount: true, ..all }, &plan).unwrap();
    let error = fuse::check(&fuse::Fuse { device: false, ..all }, &plan).unwrap_err().to_string();
    assert!(error.contains("/dev/fuse") && error.contains("defaults.peer.mount=false"), "{error}");
    let error =
        fuse::check(&fuse::Fuse { sys_admin: false, ..all }, &plan).unwrap_err().to_string();
    assert!(error.contains("fuse3"), "{error}");
}

#[test]
fn a_socket_path_that_is_too_long_is_refused() {
    let directory = RunDirectory::create(&context()).unwrap();
    let error = directory.add_peer(&"n".repeat(120)).unwrap_err().to_string();
    assert!(error.contains("TMPDIR"), "{error}");
}

#[test]
fn a_mount_below_is_detached_and_never_walked_into() {
    if !procfs::has_sys_admin() {
        assert!(
            !std::env::var("DROPBED_REQUIRE").is_ok_and(|need| need.contains("mount")),
            "DROPBED_REQUIRE wants mounts, but CAP_SYS_ADMIN is missing"
        );
        eprintln!("skipped: mounting needs CAP_SYS_ADMIN");
        return;
    }
    use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, unmount};
    // Somebody's file behind a mount: removal must not reach it.
    let precious = tempfile::tempdir().unwrap();
    std::fs::write(precious.path().join("file"), "x").unwrap();
    let mut run = RunDirectory::create(&context()).unwrap();
    let home = run.add_peer("alice").unwrap();
    mount("none", home.mount(), "tmpfs", MountFlags::empty(), None).unwrap();
    mount_bind(precious.path(), home.mount()).unwrap();
    run.remove().unwrap();
    assert!(!home.path().exists());
    assert!(precious.path().join("file").exists());
    assert!(unmount(home.mount(), UnmountFlags::DETACH).is_err());
}
