//! Removal of a topology that stands.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use tokio::time::timeout;

use super::lock::{Lock, LockError};
use super::{CLEAN_UP_DEADLINE, LOGS_DEADLINE};
use crate::cli::exit::Exit;
use crate::testbed::events::Events;
use crate::testbed::gc;
use crate::testbed::live::LiveFile;
use crate::testbed::live::find::{self, FindError, Found};
use crate::testbed::run::directory::RunDirectory;
use crate::testbed::runtime::docker::{DockerOptions, DockerRuntime};
use crate::testbed::runtime::owner::{Liveness, Owner};
use crate::testbed::runtime::process::{ProcessRuntime, pids};
use crate::testbed::runtime::{Claim, Runtime, RuntimeError, RuntimeKind};
use crate::testbed::ui::Ui;

/// How long a run has to clean up after SIGTERM: three times its own bound, for links,
/// logs and parts.
const OWNER_DEADLINE: Duration = Duration::from_secs(180);

/// What was removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Down {
    /// The topology's name.
    pub name: String,
    /// Label of everything that it consisted of.
    pub run_id: String,
    /// Its run directory, which stays: plan, events, logs.
    pub directory: PathBuf,
    /// Proxy and peers.
    pub parts: Vec<String>,
}

/// Why something may still stand.
#[derive(Debug, thiserror::Error)]
pub enum DownError {
    /// Nothing stands, or it is not clear what is meant.
    #[error("{reason}")]
    Find {
        /// In words, with what to do.
        reason: String,
        /// The exit code that it means.
        exit: Exit,
    },
    /// Somebody else is at it.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A run's own process has it.
    #[error(
        "{run_id} belongs to the run of process {pid}, which removes it when it ends\n  \
         hint: end that run with Ctrl-C, or use --force to send it SIGTERM"
    )]
    Owned {
        /// The run.
        run_id: String,
        /// Its process.
        pid: u32,
    },
    /// Something could not be removed.
    #[error(
        "removing {run_id}: {reason}\n  hint: `dropbed down` again; `dropbed gc` removes what a run left"
    )]
    Left {
        /// The run.
        run_id: String,
        /// What, and why not.
        reason: String,
    },
    /// It takes too long.
    #[error(
        "removing {run_id}: {reason}\n  hint: `dropbed down` again; `dropbed gc` removes what a run left"
    )]
    Late {
        /// The run.
        run_id: String,
        /// What, and how long it had.
        reason: String,
    },
}

impl DownError {
    fn late(run_id: &str, what: &str, deadline: Duration) -> Self {
        Self::Late { run_id: run_id.to_owned(), reason: format!("{what} within {deadline:?}") }
    }

    /// The exit code of the command.
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Find { exit, .. } => *exit,
            Self::Lock(_) => Exit::Environment,
            Self::Owned { .. } => Exit::BadInput,
            Self::Left { .. } => Exit::Harness,
            Self::Late { .. } => Exit::TimedOut,
        }
    }
}

impl From<FindError> for DownError {
    fn from(error: FindError) -> Self {
        Self::Find { reason: error.to_string(), exit: error.exit() }
    }
}

/// Which topologies go.
#[derive(Clone, Debug)]
pub enum Which {
    /// One alone.
    One {
        /// Its name, its run's id or its run directory; none: the only live one.
        run: Option<String>,
        /// A directory of runs to look in; none: all of this machine.
        out: Option<PathBuf>,
    },
    /// All that `up` made below a directory of runs.
    AllBelow(PathBuf),
}

/// What became of all that were to go.
#[derive(Debug, Default)]
pub struct Downed {
    /// Those that are gone.
    pub removed: Vec<Down>,
    /// Why others may still stand, in the order in which they were tried.
    pub failures: Vec<DownError>,
}

impl Downed {
    /// The exit code of the command: of the first failure.
    pub fn exit(&self) -> Exit {
        self.failures.first().map_or(Exit::Pass, DownError::exit)
    }

    fn add(&mut self, outcome: Result<Down, DownError>) {
        match outcome {
            Ok(down) => self.removed.push(down),
            Err(error) => self.failures.push(error),
        }
    }
}

/// Removes topologies that stand. With `force` also those of a run that goes on, by
/// ending that run. One that fails keeps no other from being tried.
pub async fn down(which: &Which, force: bool, ui: Ui) -> Downed {
    let mut downed = Downed::default();
    match which {
        Which::One { run, out } => {
            let which = find::Which { run: run.clone(), out: out.clone(), half_removed: true };
            match find::find(&which).await {
                Ok(found) => downed.add(one(found, force, ui).await),
                Err(error) => downed.failures.push(error.into()),
            }
        }
        Which::AllBelow(out) => {
            let (found, others) = find::all(out);
            for found in found.into_iter().filter(|found| !found.live.phase.is_of_a_run()) {
                downed.add(one(found, force, ui).await);
            }
            downed.failures.extend(others.into_iter().map(|o| FindError::from(o).into()));
        }
    }
    downed
}

async fn one(found: Found, force: bool, ui: Ui) -> Result<Down, DownError> {
    if found.live.phase.is_of_a_run() {
        return end_owner(found, force, ui).await;
    }
    let out = found.directory.parent().unwrap_or_else(|| Path::new("."));
    let _lock = Lock::take(out, &found.live.name)?;
    // Another may have removed it since it was found.
    remove(find::at(&found.directory, true)?, ui).await
}

/// Removes what stands, whoever has the lock.
pub(super) async fn remove(found: Found, ui: Ui) -> Result<Down, DownError> {
    let Found { directory, live } = found;
    let down = Down {
        name: live.name.clone(),
        run_id: live.run_id.clone(),
        directory: directory.clone(),
        parts: live.parts.iter().map(|part| part.name.clone()).collect(),
    };
    ui.line(format!("removing {}: {} peers and a proxy ...", live.name, live.peers.len()));
    let left = |reason: String| DownError::Left { run_id: live.run_id.clone(), reason };
    let mut file = LiveFile::adopt(&directory, live.clone());
    // Before anything goes: its end is no news then, and what this leaves when it is
    // killed is not taken for what stands. A full disk must not keep it up.
    if let Err(error) = file.end() {
        ui.line(format!("warning: live.json does not say that it ends: {error}"));
    }
    let removing = async {
        let mut runtime = runtime(live.runtime_kind())?;
        let context = RunDirectory::of(directory.clone(), &live).context(true);
        runtime.resume(None, &live.standing(), &context, Claim::Whole).await?;
        match timeout(LOGS_DEADLINE, runtime.save_logs(&directory.join("logs"))).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => ui.line(format!("warning: the logs cannot be kept: {error}")),
            Err(_) => ui.line("warning: the logs cannot be kept in time"),
        }
        runtime.down().await
    };
    match timeout(CLEAN_UP_DEADLINE, removing).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err(left(error.to_string())),
        Err(_) => return Err(DownError::late(&live.run_id, "it is not gone", CLEAN_UP_DEADLINE)),
    }
    if let Ok(events) = Events::join(&directory.join("events.ndjson"), live.started_unix_ns) {
        events.add("down", json!({}));
    }
    file.remove();
    Ok(down)
}

fn runtime(kind: RuntimeKind) -> Result<Box<dyn Runtime>, RuntimeError> {
    if kind == RuntimeKind::Docker {
        return Ok(Box::new(DockerRuntime::new(DockerOptions::from_environment()?)));
    }
    Ok(Box::new(ProcessRuntime::of_current_executable()?))
}

/// A run ends by SIGTERM as by Ctrl-C: it removes everything itself.
async fn end_owner(found: Found, force: bool, ui: Ui) -> Result<Down, DownError> {
    let Found { directory, live } = found;
    let run_id = live.run_id.clone();
    let left = |reason: String| DownError::Left { run_id: run_id.clone(), reason };
    let owner: Owner = live.owner.parse().map_err(|error| left(format!("its owner: {error}")))?;
    if !force {
        return Err(DownError::Owned { run_id, pid: owner.pid });
    }
    if owner.liveness() == Liveness::Unknown {
        let reason = "its process cannot be seen from here: end it where it runs".to_owned();
        return Err(left(reason));
    }
    ui.line(format!("ending the run of process {} ...", owner.pid));
    let process = pids::Foreign::open(owner.pid, owner.start_ticks).map_err(left)?;
    if let Some(process) = process {
        process.signal(rustix::process::Signal::TERM).map_err(left)?;
        let ended = timeout(OWNER_DEADLINE, process.ended()).await;
        ended.map_err(|_| DownError::late(&run_id, "its process did not end", OWNER_DEADLINE))?;
    }
    // One that does not heed the signal as a run does leaves everything.
    let swept = gc::sweep(gc::Options::default()).await;
    if let Some(failure) = swept.failures.first() {
        return Err(left(failure.clone()));
    }
    Ok(Down {
        name: live.name,
        run_id,
        directory,
        parts: live.parts.into_iter().map(|part| part.name).collect(),
    })
}

#[cfg(test)]
mod tests;
