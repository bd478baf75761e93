//! Daemons and proxies of the process runtime that outlived their owner.

use std::path::PathBuf;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::time::{sleep, timeout};

use super::{Claim, Leftover, Options, Report, Swept, Verdict, judge};
use crate::testbed::runtime::environment::{DIRECTORY_VARIABLE, RUN_ID_VARIABLE};
use crate::testbed::runtime::owner::OWNER_VARIABLE;
use crate::testbed::runtime::procfs;

/// From SIGTERM to SIGKILL, and from SIGKILL to giving up.
const END_DEADLINE: Duration = Duration::from_secs(5);

/// Pause between two looks at a process that was told to end: it is no child of
/// ours, so nothing wakes us.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(10);

/// A process that says whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owned {
    pub(super) pid: u32,
    pub(super) start_ticks: u64,
    pub(super) said: Said,
}

/// What stands in its environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) run_id: String,
    pub(super) owner: String,
    /// The run's directory, where it is told.
    pub(super) directory: Option<PathBuf>,
}

pub(super) async fn sweep(options: Options, report: &mut Report, swept: &mut Swept) {
    for process in find() {
        let Said { run_id, owner, directory } = &process.said;
        let directory = directory.as_deref();
        let verdict = judge(Claim { owner: Some(owner), run_id, directory }, options.all);
        let leftover =
            Leftover { kind: "process", name: process.pid.to_string(), run_id: run_id.clone() };
        if verdict == Verdict::Remove {
            swept.add(directory, run_id);
        }
        if report.decide(verdict, leftover.clone()) {
            let outcome = end(&process).await;
            report.record(leftover, outcome);
        }
    }
}

/// Those of this user, or of everybody for root. Both variables must be set:
/// what runs in containers has only the run's, and is the engine's to end.
pub(super) fn find() -> Vec<Owned> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| *pid != std::process::id()).filter_map(read).collect()
}

fn read(pid: u32) -> Option<Owned> {
    let start_ticks = procfs::start_ticks(pid)?;
    let environ = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    Some(Owned { pid, start_ticks, said: owned(&environ)? })
}

/// From an environment that has run id and owner.
pub(super) fn owned(environ: &[u8]) -> Option<Said> {
    let value = |wanted: &str| {
        procfs::parse_environ(environ)
            .find(|(name, _)| *name == wanted)
            .map(|(_, value)| value.to_owned())
    };
    Some(Said {
        run_id: value(RUN_ID_VARIABLE)?,
        owner: value(OWNER_VARIABLE)?,
        directory: value(DIRECTORY_VARIABLE).map(PathBuf::from),
    })
}

/// By a descriptor, so that a reused id cannot hit a stranger.
async fn end(process: &Owned) -> Result<(), String> {
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        format!("{what} process {} of run {}: {error}", process.pid, process.said.run_id)
    };
    let pid = i32::try_from(process.pid)
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| failed("naming", &"no valid id"))?;
    let handle = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(handle) => handle,
        Err(Errno::SRCH) => return Ok(()),
        Err(error) => return Err(failed("opening", &error)),
    };
    // The descriptor is of whoever had the id just now: is it still the same?
    if procfs::has_ended(process.pid, process.start_ticks) {
        return Ok(());
    }
    for signal in [Signal::TERM, Signal::KILL] {
        match pidfd_send_signal(&handle, signal) {
            Ok(()) => {}
            Err(Errno::SRCH) => return Ok(()),
            Err(error) => return Err(failed("ending", &error)),
        }
        if timeout(END_DEADLINE, ended(process)).await.is_ok() {
            return Ok(());
        }
    }
    Err(failed("ending", &"it outlives SIGKILL"))
}

async fn ended(process: &Owned) {
    while !procfs::has_ended(process.pid, process.start_ticks) {
        sleep(LOOK_AGAIN_AFTER).await;
    }
}
