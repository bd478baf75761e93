//! Daemons and proxies of the process runtime that outlived their owner.

use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::time::{sleep, timeout};

use super::{Leftover, Options, Report, judge};
use crate::testbed::runtime::environment::RUN_ID_VARIABLE;
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
    pub(super) run_id: String,
    pub(super) owner: String,
}

pub(super) async fn sweep(options: Options, report: &mut Report) {
    for process in find() {
        let verdict = judge(Some(&process.owner), options.all);
        let leftover = Leftover {
            kind: "process",
            name: process.pid.to_string(),
            run_id: process.run_id.clone(),
        };
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
    let (run_id, owner) = owned(&environ)?;
    Some(Owned { pid, start_ticks, run_id, owner })
}

/// Run id and owner from an environment that has both.
pub(super) fn owned(environ: &[u8]) -> Option<(String, String)> {
    let value = |wanted: &str| {
        procfs::parse_environ(environ)
            .find(|(name, _)| *name == wanted)
            .map(|(_, value)| value.to_owned())
    };
    Some((value(RUN_ID_VARIABLE)?, value(OWNER_VARIABLE)?))
}

/// By a descriptor, so that a reused id cannot hit a stranger.
async fn end(process: &Owned) -> Result<(), String> {
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        format!("{what} process {} of run {}: {error}", process.pid, process.run_id)
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
