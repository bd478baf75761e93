//! SIGKILL at any moment, then `gc`: nothing of the run is left, and what others have
//! is untouched.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::MutexGuard;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::support::bystanders::Bystanders;
use crate::support::{Ended, Need, Run, Running, alone, dropbed, has, leftovers};

/// Of the moments, unless the variable names another.
const SEED_DEFAULT: u64 = 5;
const SEED_VARIABLE: &str = "DROPBED_TEST_SEED";

/// Kills in each runtime: of `up`, of `run` and of `down`.
const KILLS: [usize; 3] = [4, 3, 3];

/// A command may end before its moment comes, and then another is tried.
const ATTEMPTS_PER_KILL: usize = 5;

/// Between two looks at the history of a run, which another process writes.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(2);

/// Small files and no delay: a run of half a second as processes.
pub(crate) const SMALL: &str = "version: 1
name: small
seed: 7
peers: { alice: {}, bob: {} }
links:
  - { a: alice, b: bob }
dataset:
  - { peer: alice, path: small.bin, size: 1MiB }
scenario:
  deadline: 30s
  steps:
    - transfer: { name: push, from: alice, to: bob, path: small.bin, mode: push }
    - transfer: { name: mount, from: alice, to: bob, path: small.bin, mode: mount }
";

/// How long the phases last, about, in milliseconds: moments are drawn from these.
struct Lasts {
    bring_up_ms: u64,
    scenario_ms: u64,
    take_down_ms: u64,
}

#[test]
fn as_processes() {
    if has(Need::Fuse) {
        let lasts = Lasts { bring_up_ms: 150, scenario_ms: 150, take_down_ms: 20 };
        Ground::new("process", lasts).kill_and_collect();
    }
}

#[test]
fn in_containers() {
    if has(Need::Fuse) && has(Need::Docker) {
        let lasts = Lasts { bring_up_ms: 2500, scenario_ms: 150, take_down_ms: 1200 };
        Ground::new("docker", lasts).kill_and_collect();
    }
}

/// Where commands are killed, and who must not notice.
struct Ground {
    runtime: &'static str,
    lasts: Lasts,
    topology: String,
    /// Nobody else's directories are here.
    temporary: PathBuf,
    /// What was in it before.
    names: Vec<OsString>,
    bystanders: Bystanders,
    seed: u64,
    random: StdRng,
    _home: TempDir,
    _machine: MutexGuard<'static, ()>,
}

impl Ground {
    fn new(runtime: &'static str, lasts: Lasts) -> Self {
        let machine = alone();
        let home = tempfile::tempdir().expect("a temporary directory can be made");
        let topology = home.path().join("small.yaml");
        fs::write(&topology, SMALL).expect("the directory is ours");
        // Short, for a daemon's socket lies in it.
        let temporary = home.path().join("t");
        fs::create_dir(&temporary).expect("the directory is ours");
        let bystanders = Bystanders::start(&temporary, runtime == "docker");
        let seed = std::env::var(SEED_VARIABLE).map_or(SEED_DEFAULT, |seed| {
            seed.parse().unwrap_or_else(|error| panic!("{SEED_VARIABLE}={seed}: {error}"))
        });
        Self {
            runtime,
            lasts,
            topology: topology.display().to_string(),
            names: names_in(&temporary),
            temporary,
            bystanders,
            seed,
            random: StdRng::seed_from_u64(seed),
            _home: home,
            _machine: machine,
        }
    }

    fn kill_and_collect(mut self) {
        let verbs: [fn(&mut Self, usize) -> bool; 3] =
            [Self::kill_up, Self::kill_run, Self::kill_down];
        for (kill, wanted) in verbs.into_iter().zip(KILLS) {
            let mut killed = 0;
            for _ in 0..wanted * ATTEMPTS_PER_KILL {
                if killed < wanted {
                    killed += usize::from(kill(&mut self, killed));
                }
            }
            assert_eq!(killed, wanted, "so many were met before their end");
        }
        self.bring_up_beside_a_dead_one();
    }

    /// Whether it was killed before its end. Every other way it stands, and only
    /// `down` removes it.
    fn kill_up(&mut self, number: usize) -> bool {
        let mut running = self.start("up");
        running.wait_for_line("starting");
        let (ended, place) = self.kill(running, self.lasts.bring_up_ms, number);
        let stood = phase(&ended);
        let said = collect(&self.temporary);
        let place = format!("{place}, of phase {stood:?}\n{said}");
        if stood.as_deref() == Some("up") {
            assert!(said.contains("kept, up:") && said.contains(&ended.run_id), "{place}");
            assert!(!leftovers(&ended.run_id).is_empty(), "{place}");
            let (killed, down) = (ended.code == -1, self.down(ended));
            assert_eq!(down.code, 0, "{place}{}", down.stderr);
            self.assert_clean(&down, &place);
            return killed;
        }
        assert_eq!(ended.code, -1, "{place}{}", ended.stderr);
        self.assert_clean(&ended, &place);
        true
    }

    fn kill_run(&mut self, number: usize) -> bool {
        let mut running = self.start("run");
        running.wait_for_line("starting");
        let lasts_ms = match number {
            0 => self.lasts.bring_up_ms,
            1 => {
                wait_for_event(&running, r#""event":"turn""#);
                self.lasts.scenario_ms
            }
            _ => {
                wait_for_event(&running, r#""event":"transfer","name":"mount""#);
                self.lasts.take_down_ms
            }
        };
        let (ended, place) = self.kill(running, lasts_ms, number);
        let said = collect(&self.temporary);
        self.assert_clean(&ended, &format!("{place}\n{said}"));
        ended.code == -1
    }

    /// What it leaves is as good for another `down` as for `gc`.
    fn kill_down(&mut self, number: usize) -> bool {
        let up = self.start("up").finish();
        assert_eq!(up.code, 0, "{}", up.stderr);
        let mut running = Run::down(up).env("TMPDIR", &self.temporary).start();
        running.wait_for_line("removing");
        let (ended, place) = self.kill(running, self.lasts.take_down_ms, number);
        let (killed, stood) = (ended.code == -1, phase(&ended));
        let place = format!("{place}, of phase {stood:?}");
        if number.is_multiple_of(2) {
            let said = collect(&self.temporary);
            let left = leftovers(&ended.run_id);
            assert!(left.is_empty(), "{left:#?}\n{place}\n{said}");
        }
        // What `gc` finds nothing of any more may still have its file.
        let is_known = phase(&ended).is_some();
        let again = self.down(ended);
        assert_eq!(again.code, if is_known { 0 } else { 3 }, "{place}\n{}", again.stderr);
        self.assert_clean(&again, &place);
        let said = collect(&self.temporary);
        self.assert_clean(&again, &format!("{place}\n{said}"));
        killed
    }

    /// It removes that first.
    fn bring_up_beside_a_dead_one(&mut self) {
        let mut running = self.start("up");
        running.wait_for_line("starting");
        wait_for_event(&running, r#""event":"up""#);
        let (dead, place) = self.kill(running, 1, 0);
        assert_eq!((dead.code, phase(&dead)), (-1, None), "{place}");
        assert!(!leftovers(&dead.run_id).is_empty(), "{place}");
        let up = self.start("up").finish();
        assert_eq!(up.code, 0, "{}", up.stderr);
        let left = leftovers(&dead.run_id);
        assert!(left.is_empty(), "{left:#?}\n{}", up.stderr);
        let down = self.down(up);
        assert_eq!(down.code, 0, "{}", down.stderr);
        self.assert_clean(&down, &place);
    }

    fn start(&self, verb: &str) -> Running {
        Run::verb(verb, &self.topology, self.runtime).env("TMPDIR", &self.temporary).start()
    }

    fn down(&self, stands: Ended) -> Ended {
        Run::down(stands).env("TMPDIR", &self.temporary).finish()
    }

    /// At any moment of a phase that lasts so long; how it ended, and when that was.
    fn kill(&mut self, running: Running, lasts_ms: u64, number: usize) -> (Ended, String) {
        // No condition: any moment of the phase will do, and this one is drawn.
        let after = Duration::from_millis(self.random.random_range(0..lasts_ms));
        std::thread::park_timeout(after);
        running.signal(Signal::KILL);
        let (runtime, seed) = (self.runtime, self.seed);
        let place = format!("{runtime}, seed {seed}, kill {number}, {after:?} into its phase");
        (running.finish(), place)
    }

    fn assert_clean(&mut self, ended: &Ended, place: &str) {
        let left = leftovers(&ended.run_id);
        assert!(left.is_empty(), "{left:#?}\n{place}");
        assert_eq!(names_in(&self.temporary), self.names, "{place}");
        // It holds control tokens.
        assert!(!ended.directory.join("live.json").exists(), "{place}");
        self.bystanders.assert_untouched();
    }
}

/// What its live.json says that it is doing.
fn phase(ended: &Ended) -> Option<String> {
    let text = fs::read(ended.directory.join("live.json")).ok()?;
    let live: serde_json::Value = serde_json::from_slice(&text).expect("it is whole");
    Some(live["phase"].as_str().expect("it is text").to_owned())
}

/// What `dropbed up` left up looks like a killed run's, but for what its directory says.
#[test]
fn a_topology_that_was_kept_up_is_no_leftover() {
    let runtime = if has(Need::Docker) { "docker" } else { "process" };
    if !has(Need::Fuse) {
        return;
    }
    // All along: another test's `gc` would collect what is killed here.
    let _machine = alone();
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let topology = home.path().join("small.yaml");
    fs::write(&topology, SMALL).expect("the directory is ours");
    let topology = topology.display().to_string();
    let mut running = Run::verb("run", &topology, runtime).flag("--hold").start();
    running.wait_for_line("held:");
    let (run_id, file) = (running.run_id(), running.directory().join("live.json"));
    running.signal(Signal::KILL);
    let ended = running.finish();
    let say = |phase: &str| {
        let text = fs::read_to_string(&file).expect("a killed run leaves it");
        let mut live: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
        live["phase"] = phase.into();
        fs::write(&file, live.to_string()).expect("the directory is ours");
    };
    say("up");
    let said = collect(&std::env::temp_dir());
    assert!(said.contains("kept, up:") && said.contains(&run_id), "{said}");
    assert!(!leftovers(&run_id).is_empty() && file.exists(), "{said}");
    say("held");
    let said = collect(&std::env::temp_dir());
    assert!(said.contains(&format!("removed file {}", file.display())), "{said}");
    assert!(!file.exists(), "{said}");
    ended.assert_nothing_left();
}

/// Runs `gc`, which must say that all went well.
fn collect(temporary: &Path) -> String {
    let output = dropbed(["gc"]).env("TMPDIR", temporary).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    said.into_owned()
}

fn wait_for_event(running: &Running, text: &str) {
    let file = running.directory().join("events.ndjson");
    while !fs::read_to_string(&file).is_ok_and(|history| history.contains(text)) {
        assert!(!running.has_ended(), "the run ended without {text}");
        std::thread::park_timeout(LOOK_AGAIN_AFTER);
    }
}

fn names_in(directory: &Path) -> Vec<OsString> {
    let entries = fs::read_dir(directory).expect("the directory is ours").flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
    names.sort();
    names
}
