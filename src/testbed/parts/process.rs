//! A part that is a process of this machine, and no child of ours.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::part::paused;
use super::{Action, Chunk, PartState, RunState, VerbError};
use crate::testbed::contract::{MOUNT_DIR, SHARE_DIR, STATE_DIR, env};
use crate::testbed::runtime::part::START_FILE;
use crate::testbed::runtime::process::Start;
use crate::testbed::runtime::process::pids::Foreign;
use crate::testbed::runtime::{Death, last_log_lines, procfs};

mod run;

pub(super) use run::{
    END_DEADLINE as COMMAND_END_DEADLINE, Invocation, NOT_STARTED, code, end, not_started, run,
};

/// From a signal to the end: a daemon closes its sessions and unmounts; the kernel
/// may still be aborting FUSE requests.
const END_DEADLINE: Duration = Duration::from_secs(10);

/// One process.
#[derive(Clone, Debug)]
pub(crate) struct ProcessPart {
    pub(super) name: String,
    pub(super) pid: u32,
    pub(super) start_ticks: u64,
    pub(super) home: PathBuf,
    pub(super) log: PathBuf,
}

impl ProcessPart {
    pub(super) fn state(&self) -> PartState {
        let usage = procfs::usage(self.pid).filter(|usage| usage.start_ticks == self.start_ticks);
        let Some(usage) = usage else {
            // The exit status of a process is told to its parent alone.
            return PartState::only(RunState::Ended);
        };
        PartState {
            running: if usage.is_stopped { RunState::Paused } else { RunState::Running },
            how: None,
            pid: Some(self.pid),
            memory_bytes: Some(usage.resident_bytes),
            cpu_ms: Some(usage.cpu_ms),
        }
    }

    pub(super) async fn act(&self, action: Action) -> Result<(), VerbError> {
        let ended = || VerbError::failed(format!("{} has ended already", self.name));
        let process = self.open()?.ok_or_else(ended)?;
        let signals: &[Signal] = match action {
            Action::Kill => &[Signal::KILL],
            // A stopped process heeds SIGTERM only when it goes on.
            Action::Term => &[Signal::TERM, Signal::CONT],
            Action::Pause => &[Signal::STOP],
            Action::Unpause => &[Signal::CONT],
        };
        for &signal in signals {
            process.signal(signal).map_err(|error| self.failed(&error))?;
        }
        if matches!(action, Action::Pause | Action::Unpause) {
            return Ok(());
        }
        timeout(END_DEADLINE, process.ended()).await.map_err(|_| {
            VerbError::TimedOut(format!(
                "{} is still there {END_DEADLINE:?} after {signals:?}\n  hint: `dropbed peer kill \
                 {}`",
                self.name, self.name
            ))
        })
    }

    /// Runs it with the peer's environment, in its directory. `dropd` and `dropbed`
    /// are the executable that the peer was started from.
    pub(super) async fn exec(
        &self,
        command: &[String],
        output: mpsc::Sender<Chunk>,
        stop: CancellationToken,
    ) -> Result<u8, VerbError> {
        let start = self.start()?;
        let (program, arguments) = command.split_first().expect("the command line wants one");
        let is_ours = matches!(program.as_str(), "dropd" | "dropbed");
        // Nearly all of its verbs ask the daemon, and wait for as long as it takes.
        if program == "dropd" && self.state().running == RunState::Paused {
            return Err(VerbError::failed(paused(&self.name)));
        }
        let invocation = Invocation {
            program: if is_ours { start.program } else { PathBuf::from(program) },
            arg0: program.clone(),
            arguments: arguments.to_vec(),
            environment: start.environment,
            directory: self.home.clone(),
        };
        run(&self.name, invocation, output, stop).await
    }

    pub(super) async fn death(&self) -> Death {
        if let Ok(Some(process)) = self.open() {
            process.ended().await;
        }
        Death {
            who: self.name.clone(),
            exit_code: None,
            how: "only its parent is told how".to_owned(),
            last_log_lines: last_log_lines(&self.log),
        }
    }

    /// How it was started.
    pub(super) fn start(&self) -> Result<Start, VerbError> {
        let path = self.home.join(START_FILE);
        let read = std::fs::read_to_string(&path);
        let failed = |error: &dyn std::fmt::Display| {
            VerbError::failed(format!("reading how {} was started: {error}", path.display()))
        };
        serde_json::from_str(&read.map_err(|error| failed(&error))?).map_err(|error| failed(&error))
    }

    /// Where it mounts the shares of the others, if it does.
    pub(super) fn mount(&self) -> Result<Option<PathBuf>, VerbError> {
        Ok(self.start()?.environment.get(env::MOUNT).map(PathBuf::from))
    }

    /// The file of this machine that a container would have at `path`.
    pub(super) fn translate(&self, path: &Path) -> Result<PathBuf, VerbError> {
        let environment = self.start()?.environment;
        for (inside, variable) in
            [(SHARE_DIR, env::SHARE), (STATE_DIR, env::STATE), (MOUNT_DIR, env::MOUNT)]
        {
            let Ok(rest) = path.strip_prefix(inside) else { continue };
            let Some(own) = environment.get(variable) else {
                return Err(VerbError::input(
                    format!("{} has no {inside}: it does not mount", self.name),
                    "take the file from the share of the peer that has it",
                ));
            };
            return Ok(Path::new(own).join(rest));
        }
        Err(VerbError::input(
            format!("{} has no {}", self.name, path.display()),
            format!("its directories are {SHARE_DIR}, {STATE_DIR} and {MOUNT_DIR}"),
        ))
    }

    /// None when it has ended.
    pub(super) fn open(&self) -> Result<Option<Foreign>, VerbError> {
        Foreign::open(self.pid, self.start_ticks).map_err(|error| self.failed(&error))
    }

    fn failed(&self, why: &str) -> VerbError {
        VerbError::failed(format!("{}: {why}", self.name))
    }
}
