//! Starts the commands under test, and looks for what they leave behind.

pub(crate) mod attached;
pub(crate) mod bystanders;
pub(crate) mod engine_proxy;
mod leftovers;
mod reference;
mod unfinished;

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) use leftovers::leftovers;
pub(crate) use reference::Peer;
use unfinished::Unfinished;

/// One run at a time: each measures round trips, and two at once on two cores
/// would measure each other.
static MACHINE: Mutex<()> = Mutex::new(());

/// The machine for oneself.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What this machine may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    Docker,
    Fuse,
}

/// Whether the machine has it. Says so when it has not, and panics when
/// `DROPBED_REQUIRE` names it: nothing is skipped in silence.
pub(crate) fn has(need: Need) -> bool {
    let (name, present) = match need {
        Need::Docker => ("docker", *ENGINE_ANSWERS),
        Need::Fuse => ("fuse", std::fs::File::open("/dev/fuse").is_ok()),
    };
    if present {
        return true;
    }
    let required = std::env::var("DROPBED_REQUIRE").unwrap_or_default();
    assert!(
        !required.split(',').any(|word| word.trim() == name),
        "DROPBED_REQUIRE names {name}, and this machine has none"
    );
    eprintln!("SKIPPED: this machine has no {name}; DROPBED_REQUIRE={name} makes that a failure");
    false
}

/// Asked once: `doctor` mounts, and starts containers.
static ENGINE_ANSWERS: LazyLock<bool> = LazyLock::new(engine_answers);

fn engine_answers() -> bool {
    let output = dropbed(["doctor", "--json"]).output().expect("the executable was just built");
    let report: Value = serde_json::from_slice(&output.stdout).expect("`doctor --json` is JSON");
    report["checks"]
        .as_array()
        .expect("`checks` is a list")
        .iter()
        .any(|check| check["name"] == "engine" && check["verdict"] == "ok")
}

/// The command under test.
pub(crate) fn dropbed<const N: usize>(arguments: [&str; N]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dropbed"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// The daemon as its own executable.
pub(crate) fn dropd<const N: usize>(arguments: [&str; N]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dropd"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// A topology that ships.
pub(crate) fn shipped(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("topologies").join(name).display().to_string()
}

/// One `dropbed run`, or another verb, alone on the machine.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) out: TempDir,
    command: Command,
    _machine: Option<MutexGuard<'static, ()>>,
}

/// How it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) directory: PathBuf,
    pub(crate) run_id: String,
    out: TempDir,
}

impl Run {
    /// A run of `topology` that prints its result as JSON.
    pub(crate) fn new(topology: &str, runtime: &str) -> Self {
        Self::on(topology, runtime, Some(alone()))
    }

    /// Two runs of the same topology at once, alone on the machine but for each other.
    pub(crate) fn pair(topology: &str, runtime: &str) -> [Self; 2] {
        [Self::new(topology, runtime), Self::on(topology, runtime, None)]
    }

    /// `dropbed run` or `up`, for whoever has the machine.
    pub(crate) fn verb(verb: &str, topology: &str, runtime: &str) -> Self {
        let command = dropbed([verb, topology, "--runtime", runtime]);
        Self::of(command, new_out(), None)
    }

    /// `dropbed down` of what stands there, for whoever has the machine.
    pub(crate) fn down(stood: Ended) -> Self {
        Self::of(dropbed(["down"]), stood.out, None)
    }

    fn on(topology: &str, runtime: &str, machine: Option<MutexGuard<'static, ()>>) -> Self {
        Self::of(dropbed(["run", topology, "--runtime", runtime]), new_out(), machine)
    }

    fn of(mut command: Command, out: TempDir, machine: Option<MutexGuard<'static, ()>>) -> Self {
        command.arg("--json").arg("--out").arg(out.path());
        Self { out, command, _machine: machine }
    }

    /// With `--set`.
    pub(crate) fn set(mut self, assignment: &str) -> Self {
        self.command.args(["--set", assignment]);
        self
    }

    /// With a flag and its value.
    pub(crate) fn option(mut self, flag: &str, value: &str) -> Self {
        self.command.args([flag, value]);
        self
    }

    /// With a flag.
    pub(crate) fn flag(mut self, flag: &str) -> Self {
        self.command.arg(flag);
        self
    }

    /// With a variable of the environment.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs it to its end.
    pub(crate) fn finish(self) -> Ended {
        self.start().finish()
    }

    /// Starts it.
    pub(crate) fn start(mut self) -> Running {
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().expect("the executable was just built");
        let stderr = BufReader::new(child.stderr.take().expect("stderr is piped"));
        Running { child: Unfinished(child), stderr, said: String::new(), run: self }
    }
}

/// A run that goes on.
#[derive(Debug)]
pub(crate) struct Running {
    child: Unfinished,
    stderr: BufReader<std::process::ChildStderr>,
    said: String,
    run: Run,
}

impl Running {
    /// Reads progress up to a line that contains `text`.
    pub(crate) fn wait_for_line(&mut self, text: &str) {
        let mut line = String::new();
        loop {
            line.clear();
            let read = self.stderr.read_line(&mut line).expect("stderr is UTF-8");
            self.said.push_str(&line);
            assert!(read > 0, "the run ended without saying `{text}`:\n{}", self.said);
            if line.contains(text) {
                return;
            }
        }
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let sent = kill_process(self.child.pid(), signal);
        sent.expect("the child has not been waited for");
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&self) -> bool {
        self.child.has_ended()
    }

    /// The directory of its runs.
    pub(crate) fn out(&self) -> &Path {
        self.run.out.path()
    }

    /// Its own directory, once that is there.
    pub(crate) fn directory(&self) -> PathBuf {
        run_id(self.run.out.path()).0
    }

    /// Some daemon of it, in whatever container, by its environment.
    pub(crate) fn daemon(&self) -> Pid {
        self.daemon_with(b"DROPD_NAME=")
    }

    /// The daemon of that name.
    pub(crate) fn daemon_of(&self, peer: &str) -> Pid {
        // A variable ends where the next begins, so no other name begins like this.
        self.daemon_with(format!("DROPD_NAME={peer}\0").as_bytes())
    }

    fn daemon_with(&self, variable: &[u8]) -> Pid {
        let run_id = self.run_id();
        let wanted = format!("DROPBED_RUN_ID={run_id}");
        for entry in std::fs::read_dir("/proc").expect("procfs is mounted").flatten() {
            let Ok(environment) = std::fs::read(entry.path().join("environ")) else { continue };
            let of_run = environment.split(|&byte| byte == 0).any(|one| one == wanted.as_bytes());
            let mut variables = environment.split_inclusive(|&byte| byte == 0);
            if of_run && variables.any(|one| one.starts_with(variable)) {
                let name = entry.file_name();
                let id = name.to_str().and_then(|name| name.parse().ok());
                return id.and_then(Pid::from_raw).expect("a process id");
            }
        }
        panic!("no daemon of {run_id} is there");
    }

    /// The run's id, once its directory is there.
    pub(crate) fn run_id(&self) -> String {
        run_id(self.run.out.path()).1
    }

    /// Waits for its end.
    pub(crate) fn finish(mut self) -> Ended {
        // Both pipes are read at once: a full one would hold the run up.
        let mut stdout = self.child.0.stdout.take().expect("stdout is piped");
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).expect("stdout is UTF-8");
            text
        });
        self.stderr.read_to_string(&mut self.said).expect("stderr is UTF-8");
        let status = self.child.0.wait().expect("the child can be waited for");
        let stdout = reader.join().expect("the reader does not panic");
        let (directory, run_id) = run_id(self.run.out.path());
        Ended {
            code: status.code().unwrap_or(-1),
            stdout,
            stderr: self.said,
            directory,
            run_id,
            out: self.run.out,
        }
    }
}

fn new_out() -> TempDir {
    tempfile::tempdir().expect("a temporary directory can be made")
}

impl Ended {
    /// The result, from stdout; checks the exit code first.
    pub(crate) fn result(&self, code: i32) -> Value {
        assert_eq!(self.code, code, "exit code\n{}\n{}", self.stderr, self.stdout);
        serde_json::from_str(&self.stdout).expect("stdout is the result as JSON")
    }

    /// Fails when anything of the run is left.
    pub(crate) fn assert_nothing_left(&self) {
        let left = leftovers(&self.run_id);
        assert!(left.is_empty(), "left behind by {}: {left:#?}\n{}", self.run_id, self.stderr);
    }
}

/// The only run directory in `out`, and its run's id (empty before it is known).
fn run_id(out: &Path) -> (PathBuf, String) {
    let entries = std::fs::read_dir(out).expect("the directory is ours");
    let mut entries = entries.map(|entry| entry.expect("the directory is ours").path());
    // `up` has its lock there as well.
    let Some(directory) = entries.find(|path| path.is_dir()) else { return Default::default() };
    let id = std::fs::read_to_string(directory.join("run-id")).unwrap_or_default();
    (directory, id.trim().to_owned())
}
