//! The verbs that work on a live topology, each in both runtimes, on a run that is
//! held and on one that stands by itself.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{Need, Run, Running, dropbed, has, leftovers};

/// Bytes of the file that alice shares.
const FILE_BYTES: usize = 300 * 1024;

/// Two peers, of which bob reads from alice, also through his mount.
const TOPOLOGY: &str = "\
version: 1
name: verbs
peers: { alice: { mount: false }, bob: {} }
links:
  - { a: bob, b: alice, both: { rtt: 0ms }, dial: a }
dataset:
  - { peer: alice, path: f.bin, size: 300KiB }
scenario:
  steps:
    - transfer: { name: mount, from: alice, to: bob, path: f.bin, mode: mount }
";

fn runtimes() -> Vec<&'static str> {
    let mut runtimes = Vec::new();
    if has(Need::Fuse) {
        runtimes.push("process");
        if has(Need::Docker) {
            runtimes.push("docker");
        }
    }
    runtimes
}

fn topology() -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let file = directory.path().join("verbs.yaml");
    std::fs::write(&file, TOPOLOGY).expect("the directory is ours");
    let name = file.display().to_string();
    (directory, name)
}

fn held(runtime: &str) -> Running {
    let (_directory, file) = topology();
    let mut running = Run::new(&file, runtime).flag("--hold").start();
    running.wait_for_line("pass: verbs");
    running.wait_for_line("held:");
    running
}

/// A verb on the topologies below `out`.
fn verb(out: &Path, verb: &str, arguments: &[&str]) -> Command {
    let mut command = dropbed([verb, "--out"]);
    command.arg(out).args(arguments);
    command
}

fn finish(mut command: Command) -> Output {
    command.output().expect("the executable was just built")
}

/// What it prints, with this exit code.
fn said(out: &Path, name: &str, arguments: &[&str], code: i32) -> String {
    let output = finish(verb(out, name, arguments));
    let stderr = String::from_utf8_lossy(&output.stderr);
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(code), "{name} {arguments:?}: {stdout}{stderr}");
    stdout.into_owned()
}

/// What it complains of, with this exit code.
fn refused(out: &Path, name: &str, arguments: &[&str], code: i32) -> String {
    let output = finish(verb(out, name, arguments));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{name} {arguments:?}: {stderr}");
    stderr
}

fn told(out: &Path, name: &str, arguments: &[&str]) -> Value {
    let text = said(out, name, arguments, 0);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}: {text}"))
}

/// One part as `inspect` tells it.
fn part(out: &Path, name: &str) -> Value {
    told(out, "inspect", &[name, "--json"])["parts"][0].clone()
}

#[test]
fn each_verb_on_a_run_that_is_held() {
    for runtime in runtimes() {
        let running = held(runtime);
        let (out, run_id) = (running.out().to_owned(), running.run_id());

        looked_at(&out, runtime, &run_id);
        commands(&out);
        copies(&out);
        paused(&out);
        let logs = said(&out, "logs", &["--tail", "5"], 0);
        assert!(logs.contains("alice | ") && logs.contains("bob   | "), "{logs}");
        assert!(said(&out, "logs", &["bob"], 0).contains("ready"), "{runtime}");
        let restart = refused(&out, "peer", &["restart", "bob"], 2);
        assert!(restart.contains("dropbed up FILE"), "{restart}");

        killed(&out, running);
        let none = refused(&out, "inspect", &[], 3);
        assert!(none.contains("dropbed up FILE"), "{none}");
    }
}

fn looked_at(out: &Path, runtime: &str, run_id: &str) {
    let list = told(out, "ls", &["--json"]);
    let [one] = list.as_array().expect("a list").as_slice() else { panic!("{list}") };
    assert_eq!((&one["name"], &one["run_id"]), (&json!("verbs"), &json!(run_id)));
    assert_eq!((&one["phase"], &one["runtime"]), (&json!("held"), &json!(runtime)));
    assert_eq!((&one["peers_running"], &one["peers"]), (&json!(2), &json!(2)));

    let bob = part(out, "bob");
    assert_eq!((&bob["running"], &bob["answers"]), (&json!("running"), &json!(true)), "{bob}");
    assert_eq!(bob["mounted"], true, "{bob}");
    assert!(bob["memory_bytes"].as_u64() > Some(1 << 20), "{bob}");
    let inspected = told(out, "inspect", &["--link", "bob->alice", "--json"]);
    let link = &inspected["links"][0];
    let has_port = |address: &Value| {
        let address = address.as_str().unwrap_or_default();
        address.rsplit(':').next().is_some_and(|port| port.parse::<u16>().is_ok())
    };
    for address in [&link["peer"], &link["proxy"]["listen"], &link["proxy"]["upstream"]] {
        assert!(has_port(address), "{link}");
    }
    assert_eq!(has_port(&link["host"]), runtime == "process", "{link}");
    let unknown = refused(out, "inspect", &["bib"], 2);
    assert!(unknown.contains("did you mean `bob`?"), "{unknown}");
    // By the run's id, by the topology's name, by its directory.
    let directory = one["directory"].as_str().expect("a path");
    for run in [run_id, "verbs", directory] {
        said(out, "inspect", &["--run", run], 0);
        said(out, "link", &["ls", "--run", run], 0);
    }
    assert!(refused(out, "inspect", &["--run", "verb"], 2).contains("did you mean `verbs`?"));
}

fn commands(out: &Path) {
    let status = said(out, "exec", &["bob", "--", "dropd", "status"], 0);
    assert!(status.starts_with("bob ("), "{status}");
    let pulled = said(out, "exec", &["bob", "--", "dropd", "pull", "alice/f.bin"], 0);
    assert!(pulled.contains(&format!("{FILE_BYTES} bytes")), "{pulled}");
    let both = said(out, "exec", &["--all", "--", "dropd", "status"], 0);
    for name in ["alice", "bob"] {
        let line = format!("{name:5} | {name} (");
        assert!(both.lines().any(|told| told.starts_with(&line)), "{both}");
    }
    // The daemon's own codes pass through: 1 failed, 2 wrong input.
    said(out, "exec", &["bob", "--", "dropd", "ls", "nobody"], 1);
    said(out, "exec", &["bob,alice", "--", "dropd", "pull", "no-slash"], 2);
    assert!(!refused(out, "exec", &["bob", "--", "no-such-program"], 127).is_empty());
}

fn copies(out: &Path) {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let local = |name: &str| directory.path().join(name);
    let text = |name: &str| local(name).display().to_string();
    let read = |name: &str| std::fs::read(local(name)).expect("it was copied");

    // Out of the share, and through the mount of the other: the same bytes.
    said(out, "cp", &["alice:f.bin", &text("")], 0);
    said(out, "cp", &["bob:/mnt/dropd/alice/f.bin", &text("mounted.bin")], 0);
    assert_eq!(read("f.bin").len(), FILE_BYTES);
    assert!(read("f.bin") == read("mounted.bin"), "the mount gives other bytes");

    // A tree into a share, and out of it again.
    let tree = local("tree");
    std::fs::create_dir_all(tree.join("deep")).expect("the directory is ours");
    std::fs::write(tree.join("deep").join("odd name"), b"bytes").expect("the directory is ours");
    said(out, "cp", &[&text("tree"), "bob:"], 0);
    said(out, "cp", &["bob:/share/tree", &text("back")], 0);
    assert_eq!(read("back/deep/odd name"), b"bytes");
    let again = refused(out, "cp", &[&text("tree"), "bob:"], 4);
    assert!(again.contains("/tree"), "{again}");

    // What cannot be read or written leaves nothing.
    assert!(refused(out, "cp", &["bob:missing", &text("missing")], 2).contains("missing"));
    assert!(refused(out, "cp", &[&text("f.bin"), "bob:missing/f"], 2).contains("missing/f"));
    refused(out, "cp", &[&text("f.bin"), "bob:/mnt/dropd/alice/g.bin"], 4);
    let mut names: Vec<_> = std::fs::read_dir(directory.path())
        .expect("the directory is ours")
        .map(|entry| entry.expect("the directory is ours").file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["back", "f.bin", "mounted.bin", "tree"]);
}

fn paused(out: &Path) {
    // Named twice, done once: an engine pauses nothing that is paused.
    assert_eq!(said(out, "peer", &["pause", "alice", "alice"], 0), "alice: paused\n");
    let silent = refused(out, "exec", &["alice", "--", "dropd", "status"], 4);
    assert!(silent.contains("dropbed peer unpause alice"), "{silent}");
    let alice = part(out, "alice");
    assert_eq!((&alice["running"], &alice["answers"]), (&json!("paused"), &json!(false)));
    said(out, "peer", &["unpause", "alice"], 0);
    let alice = part(out, "alice");
    assert_eq!((&alice["running"], &alice["answers"]), (&json!("running"), &json!(true)));
}

/// A run ends with its peer; who follows its events is told first.
fn killed(out: &Path, running: Running) {
    let mut following = verb(out, "events", &["-f", "--json"]);
    let mut following = following.stdout(Stdio::piped()).spawn().expect("it was just built");
    let mut lines = BufReader::new(following.stdout.take().expect("it is piped")).lines();
    let mut next = |event: &str| {
        lines
            .by_ref()
            .map(|line| serde_json::from_str::<Value>(&line.expect("UTF-8")).expect("JSON"))
            .find(|told| told["event"] == event)
    };
    // From here on it follows: this event is written before it is asked for.
    next("hold").expect("the run is held");
    said(out, "peer", &["kill", "bob"], 0);
    assert_eq!(next("peer_kill").expect("the kill is noted")["peer"], "bob");
    next("down").expect("it follows to the end");
    assert!(following.wait().expect("it can be waited for").success());

    let ended = running.finish();
    let result = ended.result(4);
    assert!(result["reasons"].to_string().contains("bob"), "{result}");
    ended.assert_nothing_left();
    let events = std::fs::read_to_string(ended.directory.join("events.ndjson")).expect("events");
    for event in ["exec", "cp", "peer_pause", "peer_unpause", "peer_kill"] {
        assert!(events.contains(&format!("\"event\":\"{event}\"")), "{event}: {events}");
    }
    // What it left can be asked as before.
    let directory = ended.directory.display().to_string();
    let history = said(out, "events", &["--run", &directory], 0);
    assert!(history.contains("peer_kill") && history.contains("peer=bob"), "{history}");
    assert!(said(out, "logs", &["--run", &directory, "alice"], 0).contains("ready"));
    let over = told(out, "ls", &["--all", "--json"]);
    assert_eq!((&over[0]["phase"], &over[0]["outcome"]), (&json!("over"), &json!("error")));
}

#[test]
fn a_peer_comes_back_with_its_identity_and_its_files() {
    for runtime in runtimes() {
        let (_file_directory, file) = topology();
        let out = tempfile::tempdir().expect("a temporary directory can be made");
        let out = out.path();
        let up = verb(out, "up", &[&file, "--runtime", runtime, "--json"]);
        let output = finish(up);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{runtime}: {stderr}");
        let up: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let run_id = up["run_id"].as_str().expect("an id").to_owned();

        let id = |peer: &str| {
            let status = said(out, "exec", &[peer, "--", "dropd", "status", "--json"], 0);
            let status: Value = serde_json::from_str(&status).expect("JSON");
            status["id"].as_str().expect("an id").to_owned()
        };
        let before = (id("alice"), id("bob"));
        let mut following = verb(out, "events", &["-f"]);
        let following = following.stdout(Stdio::piped()).spawn().expect("it was just built");
        let mut from_now_on = verb(out, "logs", &["-f", "--tail", "0", "bob"]);
        let from_now_on = from_now_on.stdout(Stdio::piped()).spawn().expect("it was just built");

        // One that was killed leaves its mount; one that runs is ended first; one that
        // is paused goes on for that.
        said(out, "peer", &["kill", "bob"], 0);
        assert_eq!(part(out, "bob")["running"], "ended");
        said(out, "peer", &["restart", "bob"], 0);
        said(out, "peer", &["pause", "alice"], 0);
        said(out, "peer", &["restart", "alice"], 0);
        assert_eq!((id("alice"), id("bob")), before);
        assert_eq!(part(out, "bob")["mounted"], true);
        // Both know each other again, and the link leads where it did.
        let pulled = said(out, "exec", &["bob", "--", "dropd", "pull", "--hash", "alice/f.bin"], 0);
        assert!(pulled.contains(&format!("{FILE_BYTES} bytes")), "{pulled}");
        let mounted = out.join("mounted.bin");
        said(out, "cp", &["bob:/mnt/dropd/alice/f.bin", &mounted.display().to_string()], 0);
        assert_eq!(std::fs::metadata(mounted).expect("it was copied").len(), FILE_BYTES as u64);
        said(out, "peer", &["term", "alice"], 0);
        assert_eq!(part(out, "alice")["running"], "ended");

        said(out, "down", &[], 0);
        let output = following.wait_with_output().expect("it can be waited for");
        let followed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{followed}");
        for event in ["peer_died", "peer_restart", "peer_term"] {
            assert!(followed.contains(event), "{runtime}: no {event}: {followed}");
        }
        // What ends with its topology is no news: bob was killed once, the proxy never.
        let died = |who: &str| {
            let of = |line: &&str| line.contains("peer_died") && line.contains(who);
            followed.lines().filter(of).count()
        };
        assert!(died("peer=bob") <= 1 && died("peer=proxy") == 0, "{runtime}: {followed}");
        // What was there before is not told, not even after the restart.
        let output = from_now_on.wait_with_output().expect("it can be waited for");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.matches("dropd bob ready").count() <= 1, "{runtime}: {said}");
        let left = leftovers(&run_id);
        assert!(left.is_empty(), "{runtime}: {left:#?}");
    }
}

/// Ctrl-C ends what runs in a peer, not only what shows it.
#[test]
fn an_interrupted_command_ends_in_the_peer() {
    for runtime in runtimes() {
        let running = held(runtime);
        let out = running.out().to_owned();
        // It listens until it is told to end.
        let words = ["bob", "--", "dropbed", "toxiproxy", "-host", "127.0.0.1", "-port", "0"];
        let mut exec = verb(&out, "exec", &words);
        let mut exec = exec.stderr(Stdio::piped()).spawn().expect("it was just built");
        let mut lines = BufReader::new(exec.stderr.take().expect("it is piped")).lines();
        let listens = |line: std::io::Result<String>| line.expect("UTF-8").contains("listening on");
        assert!(lines.any(listens), "{runtime}: the command says where it listens");
        let id = i32::try_from(exec.id()).expect("process ids fit");
        let pid = rustix::process::Pid::from_raw(id).expect("process ids are not 0");
        let before = commands_of(&running.run_id());
        assert!(before > 0, "{runtime}");
        rustix::process::kill_process(pid, Signal::INT).expect("it runs");
        assert_eq!(exec.wait().expect("it can be waited for").code(), Some(130), "{runtime}");
        assert_eq!(commands_of(&running.run_id()), 0, "{runtime}");

        running.signal(Signal::INT);
        let ended = running.finish();
        assert_eq!(ended.result(0)["outcome"], "pass");
        ended.assert_nothing_left();
    }
}

/// Processes of the run, in whatever container, that a peer's environment and the
/// proxy's arguments give away.
fn commands_of(run_id: &str) -> usize {
    let wanted = format!("DROPBED_RUN_ID={run_id}");
    let entries = std::fs::read_dir("/proc").expect("procfs is mounted").flatten();
    let is_command = |entry: &std::fs::DirEntry| {
        let read = |name: &str| std::fs::read(entry.path().join(name)).unwrap_or_default();
        let (environment, arguments) = (read("environ"), read("cmdline"));
        let has = |bytes: &[u8], word: &[u8]| bytes.split(|&byte| byte == 0).any(|w| w == word);
        has(&environment, wanted.as_bytes())
            && environment.windows(11).any(|window| window == b"DROPD_NAME=")
            && has(&arguments, b"toxiproxy")
    };
    entries.filter(is_command).count()
}

/// The end of who reads is the end of who tells.
#[test]
fn events_that_nobody_reads_any_more() {
    for runtime in runtimes() {
        let running = held(runtime);
        let out = running.out().to_owned();
        let mut unread = verb(&out, "events", &["-f"]);
        let mut unread = unread.stdout(Stdio::piped()).spawn().expect("it was just built");
        let mut lines = BufReader::new(unread.stdout.take().expect("it is piped")).lines();
        lines.next().expect("something has happened").expect("UTF-8");
        drop(lines);
        // Each is an event; the first that finds nobody to read it ends the command.
        let status = || said(&out, "exec", &["bob", "--", "dropd", "status"], 0);
        let mut ended = (0..50).map(|_| {
            status();
            unread.try_wait().expect("it can be asked")
        });
        assert_eq!(ended.find_map(|how| how).and_then(|how| how.code()), Some(0), "{runtime}");

        running.signal(Signal::INT);
        let ended = running.finish();
        assert_eq!(ended.result(0)["outcome"], "pass");
        ended.assert_nothing_left();
    }
}

/// What a command leaves behind may hold its output open: Ctrl-C ends the wait.
#[test]
fn a_command_that_leaves_something_behind() {
    if !has(Need::Fuse) {
        return;
    }
    let running = held("process");
    let script = "sleep 600 & echo pid $!";
    let mut exec = verb(running.out(), "exec", &["bob", "--", "sh", "-c", script]);
    let mut exec = exec.stdout(Stdio::piped()).spawn().expect("it was just built");
    let mut lines = BufReader::new(exec.stdout.take().expect("it is piped")).lines();
    let line = lines.next().expect("it says one line").expect("UTF-8");
    let left = line.strip_prefix("pid ").and_then(|pid| pid.parse().ok());
    let left = left.and_then(rustix::process::Pid::from_raw).expect("a process id");
    let pid = rustix::process::Pid::from_child(&exec);
    rustix::process::kill_process(pid, Signal::INT).expect("it runs");
    assert_eq!(exec.wait().expect("it can be waited for").code(), Some(130));
    // It may have been told to end with the command.
    let _gone_already = rustix::process::kill_process(left, Signal::KILL);

    running.signal(Signal::INT);
    let ended = running.finish();
    assert_eq!(ended.result(0)["outcome"], "pass");
    ended.assert_nothing_left();
}
