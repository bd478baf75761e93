//! `dropbed up` and `dropbed down`: a topology that stands without a process of
//! the testbed's.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::MutexGuard;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Need, alone, dropbed, has, leftovers};

mod again;

/// Small files, and a mount at one side.
const TOPOLOGY: &str = "
version: 1
name: stand
vars: { rtt: 200ms, size: 64KiB }
peers:
  alice: { mount: false }
  bob: {}
links:
  - { a: alice, b: bob, both: { rtt: \"${rtt}\" } }
dataset:
  - { peer: alice, path: f.bin, size: \"${size}\" }
scenario:
  steps:
    - transfer: { name: t, from: alice, to: bob, path: f.bin, mode: mount }
";

/// A topology of its own, and its directory of runs.
struct Place {
    directory: TempDir,
    runtime: &'static str,
    _machine: MutexGuard<'static, ()>,
}

impl Place {
    fn new(runtime: &'static str) -> Self {
        let machine = alone();
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let place = Self { directory, runtime, _machine: machine };
        place.write(TOPOLOGY);
        place
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("stand.yaml")
    }

    fn out(&self) -> PathBuf {
        self.directory.path().join("runs")
    }

    fn write(&self, text: &str) {
        std::fs::write(self.file(), text).expect("the directory is ours");
    }

    fn command(&self, verb: &str, arguments: &[&str]) -> std::process::Command {
        let mut command = dropbed([verb]);
        if verb == "up" {
            command.arg(self.file()).args(["--runtime", self.runtime]);
        }
        command.arg("--out").arg(self.out()).args(arguments);
        command
    }

    fn run(&self, verb: &str, arguments: &[&str]) -> Output {
        self.command(verb, arguments).output().expect("the executable was just built")
    }

    /// What it prints as JSON, when it ends well.
    fn told(&self, verb: &str, arguments: &[&str]) -> Value {
        let output = self.command(verb, arguments).arg("--json").output();
        let output = output.expect("the executable was just built");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{verb} {arguments:?}: {said}");
        serde_json::from_slice(&output.stdout).expect("stdout is JSON")
    }

    /// live.json of what stands.
    fn live(&self) -> Value {
        let entries = std::fs::read_dir(self.out()).expect("the directory is ours");
        let live =
            entries.flatten().find_map(|entry| std::fs::read(entry.path().join("live.json")).ok());
        serde_json::from_slice(&live.expect("something stands")).expect("it is JSON")
    }
}

/// Where a part is: its process or container.
fn place_of(live: &Value, part: &str) -> (Value, Value) {
    let parts = live["parts"].as_array().expect("a list");
    let found = parts.iter().find(|one| one["name"] == part).expect("the part is told");
    (found["pid"].clone(), found["id"].clone())
}

fn actions(told: &Value) -> Vec<String> {
    let changes = told["changes"].as_array().expect("a list");
    let text = |change: &Value| {
        let [action, kind, name] =
            ["action", "kind", "name"].map(|key| change[key].as_str().expect("text").to_owned());
        format!("{action} {kind} {name}")
    };
    changes.iter().map(text).collect()
}

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

#[test]
fn it_stands_is_kept_is_changed_and_goes() {
    for runtime in runtimes() {
        let place = Place::new(runtime);
        let first = place.told("up", &[]);
        assert_eq!(
            actions(&first),
            [
                "create peer alice",
                "create peer bob",
                "create link alice:bob",
                "create link bob:alice",
                "create file alice/f.bin",
            ]
        );
        assert_eq!(first["links"].as_array().expect("a list").len(), 2, "both were measured");
        let run_id = first["run_id"].as_str().expect("text").to_owned();
        let before = place.live();
        assert_eq!(before["phase"], "up");

        // Again: nothing is touched, and nobody collects it as garbage.
        let again = place.told("up", &[]);
        assert!(actions(&again).iter().all(|line| line.starts_with("keep ")), "{again}");
        assert!(dropbed(["gc"]).output().expect("it runs").status.success());
        assert_eq!(place.live(), before);

        // Only what is dead, and what hangs on it, is made anew.
        kill(runtime, &before, "bob");
        let mended = actions(&place.told("up", &[]));
        assert_eq!(
            mended,
            [
                "keep peer alice",
                "replace peer bob",
                "replace link alice:bob",
                "replace link bob:alice",
                "keep file alice/f.bin",
            ]
        );
        let after = place.live();
        for part in ["proxy", "alice"] {
            assert_eq!(place_of(&after, part), place_of(&before, part));
        }
        assert_ne!(place_of(&after, "bob"), place_of(&before, "bob"));

        // Another shape and another file, without a change of peers.
        let dry = actions(&place.told("up", &["--set", "rtt=240ms", "--dry-run"]));
        assert!(dry.contains(&"replace link bob:alice".to_owned()), "{dry:?}");
        assert_eq!(place.live(), after, "a dry run changes nothing");
        let changed = actions(&place.told("up", &["--set", "rtt=240ms", "--set", "size=128KiB"]));
        assert_eq!(
            changed,
            [
                "keep peer alice",
                "keep peer bob",
                "replace link alice:bob",
                "replace link bob:alice",
                "replace file alice/f.bin",
            ]
        );
        assert_eq!(place.live()["links"][0]["shape"]["up"]["latency_us"], 120_000);

        let gone = place.told("down", &[]);
        assert_eq!(gone[0]["run_id"], run_id.as_str());
        let left = leftovers(&run_id);
        assert!(left.is_empty(), "{runtime}: {left:#?}");
        let directory = Path::new(gone[0]["directory"].as_str().expect("text"));
        assert!(directory.join("logs/bob.log").is_file(), "logs are kept");
        assert_eq!(place.run("down", &[]).status.code(), Some(3), "nothing stands any more");
    }
}

/// Ends a part as the kernel would.
fn kill(runtime: &str, live: &Value, part: &str) {
    let (pid, id) = place_of(live, part);
    if runtime == "process" {
        let pid = i32::try_from(pid.as_i64().expect("a process id")).expect("ids fit");
        let pid = rustix::process::Pid::from_raw(pid).expect("ids are not 0");
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it runs");
        // It is no child of ours, so its end can only be looked for.
        while Path::new(&format!("/proc/{}/exe", pid.as_raw_nonzero())).exists() {
            std::thread::yield_now();
        }
    } else {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime can be made").block_on(async {
            let docker = bollard::Docker::connect_with_defaults().expect("an engine is there");
            let id = id.as_str().expect("text");
            docker.kill_container(id, None).await.expect("it runs");
        });
    }
}

/// Peers come and go while the others stay.
#[test]
fn peers_are_added_and_removed_beside_what_stands() {
    for runtime in runtimes() {
        let place = Place::new(runtime);
        let run_id = place.told("up", &[])["run_id"].as_str().expect("text").to_owned();
        let before = place.live();
        let three = TOPOLOGY
            .replace("  bob: {}\n", "  bob: {}\n  carol: {}\n")
            .replace("dataset:", "  - { a: alice, b: carol, both: { rtt: 200ms } }\ndataset:");
        place.write(&three);
        let added = actions(&place.told("up", &[]));
        assert!(added.contains(&"create peer carol".to_owned()), "{added:?}");
        assert!(added.contains(&"keep link alice:bob".to_owned()), "{added:?}");
        let with_carol = place.live();
        assert_eq!(place_of(&with_carol, "bob"), place_of(&before, "bob"));
        assert_eq!(with_carol["peers"].as_array().expect("a list").len(), 3);

        place.write(TOPOLOGY);
        let removed = actions(&place.told("up", &[]));
        assert!(removed.contains(&"remove peer carol".to_owned()), "{removed:?}");
        assert!(removed.contains(&"remove link alice:carol".to_owned()), "{removed:?}");
        assert_eq!(place.live()["parts"].as_array().expect("a list").len(), 3);
        place.told("down", &[]);
        let left = leftovers(&run_id);
        assert!(left.is_empty(), "{runtime}: {left:#?}");
    }
}

/// Two at once: the second one is told who is at it; Ctrl-C leaves nothing.
#[test]
fn one_at_a_time_and_an_interrupt() {
    for runtime in runtimes() {
        let place = Place::new(runtime);
        let mut command = place.command("up", &[]);
        let mut first = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn();
        let first = first.as_mut().expect("the executable was just built");
        let mut said = BufReader::new(first.stderr.take().expect("stderr is piped")).lines();
        let starting = said.find(|line| line.as_ref().is_ok_and(|line| line.contains("starting")));
        assert!(starting.is_some(), "it says that it starts");

        let second = place.run("up", &[]);
        let told = String::from_utf8_lossy(&second.stderr);
        assert_eq!(second.status.code(), Some(3), "{told}");
        assert!(told.contains(&format!("process {}", first.id())), "{told}");

        let pid = i32::try_from(first.id()).expect("ids fit");
        let pid = rustix::process::Pid::from_raw(pid).expect("ids are not 0");
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
        let rest: Vec<String> = said.map_while(Result::ok).collect();
        let status = first.wait().expect("it can be waited for");
        assert_eq!(status.code(), Some(130), "{rest:#?}");
        let mut runs = std::fs::read_dir(place.out()).expect("the directory is ours").flatten();
        let run = runs.find(|entry| entry.path().is_dir()).expect("its directory stays");
        let run_id = std::fs::read_to_string(run.path().join("run-id")).expect("it is there");
        let left = leftovers(run_id.trim());
        assert!(left.is_empty(), "{runtime}: {left:#?}");
        assert_eq!(place.run("down", &[]).status.code(), Some(3), "nothing stands");
    }
}

/// A run that goes on is not taken down by accident.
#[test]
fn a_run_is_ended_by_force_only() {
    if !has(Need::Fuse) {
        return;
    }
    let place = Place::new("process");
    let mut command = dropbed(["run"]);
    command.arg(place.file()).args(["--runtime", "process", "--hold", "--out"]).arg(place.out());
    let mut run = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn();
    let run = run.as_mut().expect("the executable was just built");
    let mut said = BufReader::new(run.stderr.take().expect("stderr is piped")).lines();
    let held = said.find(|line| line.as_ref().is_ok_and(|line| line.contains("held:")));
    assert!(held.is_some(), "it is held");
    let refused = place.run("down", &[]);
    assert_eq!(refused.status.code(), Some(2));
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(told.contains("--force") && told.contains(&run.id().to_string()), "{told}");
    let run_id = place.told("down", &["--force"])[0]["run_id"].as_str().expect("text").to_owned();
    let rest: Vec<String> = said.map_while(Result::ok).collect();
    assert_eq!(run.wait().expect("it can be waited for").code(), Some(0), "{rest:#?}");
    let left = leftovers(&run_id);
    assert!(left.is_empty(), "{left:#?}");
}

/// More peers than are advised, which `--force` tries all the same.
#[test]
fn eighty_peers_stand_when_they_are_forced_to() {
    let place = Place::new("process");
    place.write(
        "version: 1\n\
         name: many\n\
         defaults: { peer: { mount: false } }\n\
         peers: { hub: {}, ray: { count: 79 } }\n\
         links: [ { star: { hub: hub, rtt: 0ms } } ]\n\
         dataset: [ { peer: hub, path: f.bin, size: 1KiB } ]\n\
         scenario:\n\
         \x20 steps: [ { transfer: { name: t, from: hub, to: ray-1, path: f.bin, mode: push } } ]\n",
    );
    let refused = place.run("up", &[]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--force"), "{refused:?}");
    let up = place.told("up", &["--force"]);
    assert_eq!(up["links"].as_array().map(Vec::len), Some(2 * 79), "each was measured");
    let list = place.told("ls", &[]);
    assert_eq!((&list[0]["peers_running"], &list[0]["peers"]), (&80.into(), &80.into()));
    let down = place.run("down", &[]);
    assert!(down.status.success(), "{down:?}");
    let run_id = up["run_id"].as_str().expect("text");
    assert_eq!(leftovers(run_id), [""; 0]);
}

/// A second `up` that is killed in its middle: what stands goes on, the next `up`
/// does the rest, and nothing is left after `down`.
#[test]
fn a_change_that_is_killed_is_done_by_the_next() {
    for runtime in runtimes() {
        let place = Place::new(runtime);
        place.told("up", &[]);
        let before = place.live();
        let changed = "bob: { environment: { A: \"1\" } }\n  carol: {}";
        place.write(&TOPOLOGY.replace("bob: {}", changed));
        let mut change = place.command("up", &[]);
        let mut change = change.stderr(Stdio::null()).spawn().expect("it was just built");
        // Bob has been taken away, or is there anew.
        while place.live()["parts"] == before["parts"] {
            assert_eq!(change.try_wait().expect("it can be asked"), None, "{runtime}: too late");
            std::thread::yield_now();
        }
        change.kill().expect("it has not been waited for");
        change.wait().expect("it can be waited for");

        let collected = dropbed(["gc"]).output().expect("it runs");
        assert!(collected.status.success(), "{collected:?}");
        assert_eq!(place_of(&place.live(), "alice"), place_of(&before, "alice"), "{runtime}");
        let up = place.told("up", &[]);
        assert!(actions(&up).contains(&"keep peer alice".to_owned()), "{runtime}: {up}");
        let list = place.told("ls", &[]);
        assert_eq!((&list[0]["phase"], &list[0]["peers_running"]), (&"up".into(), &3.into()));
        let read = place.run("exec", &["bob", "--", "dropd", "pull", "--hash", "alice/f.bin"]);
        assert!(read.status.success(), "{runtime}: {read:?}");
        let again = place.told("up", &[]);
        assert!(actions(&again).iter().all(|one| one.starts_with("keep ")), "{again}");
        assert!(place.run("down", &[]).status.success(), "{runtime}");
        assert_eq!(leftovers(up["run_id"].as_str().expect("text")), [""; 0], "{runtime}");
    }
}
