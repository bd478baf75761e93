//! Daemons and proxies of the process runtime that outlived their owner.

use std::path::PathBuf;

use super::{Claim, Leftover, Options, Report, Swept, Verdict, judge};
use crate::testbed::runtime::environment::{DIRECTORY_VARIABLE, RUN_ID_VARIABLE};
use crate::testbed::runtime::owner::OWNER_VARIABLE;
use crate::testbed::runtime::process::pids;
use crate::testbed::runtime::procfs;

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
            let ended = pids::end(process.pid, process.start_ticks).await;
            report.record(leftover, ended.map_err(|error| error.to_string()));
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
