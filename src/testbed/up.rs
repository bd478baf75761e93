//! `up` and `down`: a topology that stands without a process of ours.
//!
//! What stands is known from `live.json` and `plan.json` in its run directory;
//! nothing else is remembered, and nothing of ours runs on.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use super::bed::{BedError, CLEAN_UP_DEADLINE};
use super::events::Events;
use super::live::find::{self, Found};
use super::live::{Live, Phase};
use super::plan::{self, Plan, Refusal};
use super::run::directory::RunDirectory;
use super::runtime::choice::Wanted;
use super::runtime::owner::Liveness;
use super::runtime::{RuntimeError, RuntimeKind};
use super::scenario::ScenarioError;
use super::topology::{Diagnostics, Topology};
use super::ui::Ui;
use crate::cli::exit::Exit;
pub use changes::{Action, Change, Kind};
pub use down::{Down, DownError, Downed, Which, down};
pub use lock::LockError;

mod apply;
mod changes;
mod down;
mod drift;
mod forget;
mod fresh;
pub(in crate::testbed) mod lock;

/// What `dropbed up` was asked for.
#[derive(Clone, Debug)]
pub struct UpRequest {
    /// The topology.
    pub file: PathBuf,
    /// `key=value` overrides.
    pub sets: Vec<String>,
    /// `None` takes what stands has, else Docker when an engine answers.
    pub runtime: Option<RuntimeKind>,
    /// Where run directories go. One topology of a name stands below it.
    pub out_dir: PathBuf,
    /// The peers' executable; none: the daemon within ours.
    pub peer: Option<PathBuf>,
    /// Whether what the plan advises against is tried.
    pub force: bool,
    /// Only say what would change.
    pub dry_run: bool,
}

impl UpRequest {
    fn wanted(&self, runtime: Option<RuntimeKind>) -> Wanted<'_> {
        Wanted { runtime, peer: self.peer.as_deref(), ..Wanted::default() }
    }
}

/// A topology that stands as its file says.
#[derive(Clone, Debug, Serialize)]
pub struct Up {
    /// The topology's name.
    pub name: String,
    /// Label of everything that it consists of.
    pub run_id: String,
    /// `process` or `docker`.
    pub runtime: String,
    /// Its run directory; empty when nothing stands and nothing was made.
    pub directory: PathBuf,
    /// What was done, or what would be.
    pub changes: Vec<Change>,
    /// The links that were measured.
    pub links: Vec<Measured>,
    /// What the runtime cannot give.
    pub warnings: Vec<String>,
}

/// A link that was proven.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Measured {
    /// `<dialler>:<listener>`.
    pub link: String,
    /// What the file asks for.
    pub rtt_asked_us: u64,
    /// The median of what was measured.
    pub rtt_measured_us: u64,
}

/// Why a topology does not stand. What was started for it is removed again.
#[derive(Debug, thiserror::Error)]
pub enum UpError {
    /// The topology or an override is wrong.
    #[error(transparent)]
    Input(#[from] Diagnostics),
    /// The plan is not for this machine.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Somebody else is at it.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// Ctrl-C; what was started is removed.
    #[error("interrupted")]
    Interrupted,
    /// It stands elsewhere than asked.
    #[error("{name} stands as {stands} ({})\n  hint: `dropbed down --run {name}` first", directory.display())]
    OtherRuntime {
        /// The topology.
        name: String,
        /// Its runtime.
        stands: String,
        /// Its run directory.
        directory: PathBuf,
    },
    /// Its networks come from elsewhere than asked.
    #[error(
        "{name} stands with networks out of {stands}, and the file says {asked} (network.range)\n  \
         hint: networks cannot move: `dropbed down --run {name}` first"
    )]
    OtherRange {
        /// The topology.
        name: String,
        /// Where its networks come from.
        stands: String,
        /// Where they should.
        asked: String,
    },
    /// Another version of dropbed has left one of this name.
    #[error("{0}")]
    OtherSchema(String),
    /// Peers that somebody else starts cannot be brought up.
    #[error(
        "`up` starts peers, and --runtime attach does not\n  hint: use `--runtime process` or `docker`"
    )]
    Attach,
    /// A file of the run directory cannot be read or written.
    #[error("{}: {source}\n  hint: {hint}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
        /// What to do.
        hint: &'static str,
    },
    /// A runtime, a peer, the proxy or a link.
    #[error("{reason}")]
    Bed {
        /// In words, with what to do.
        reason: String,
        /// The exit code that it means.
        exit: Exit,
    },
}

impl UpError {
    /// The exit code of the command.
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Input(_)
            | Self::Refused(_)
            | Self::OtherRuntime { .. }
            | Self::OtherRange { .. }
            | Self::Attach => Exit::BadInput,
            Self::Lock(_) | Self::OtherSchema(_) => Exit::Environment,
            Self::Interrupted => Exit::Interrupted,
            Self::File { .. } => Exit::BadInput,
            Self::Bed { exit, .. } => *exit,
        }
    }

    fn bed(error: BedError) -> Self {
        let exit = match &error {
            BedError::Runtime(RuntimeError::Environment { .. }) | BedError::Telemetry(_) => {
                Exit::Environment
            }
            BedError::Scenario(ScenarioError::Deadline { .. }) => Exit::TimedOut,
            BedError::Runtime(_) | BedError::Scenario(_) | BedError::Dead(_) => Exit::Harness,
        };
        Self::Bed { reason: error.to_string(), exit }
    }

    fn runtime(error: RuntimeError) -> Self {
        Self::bed(BedError::Runtime(error))
    }

    fn harness(reason: String) -> Self {
        Self::Bed { reason, exit: Exit::Harness }
    }

    fn down(error: DownError) -> Self {
        Self::Bed { exit: error.exit(), reason: error.to_string() }
    }

    fn deadline(deadline_ms: u64) -> Self {
        let seconds = deadline_ms / 1_000;
        let reason = format!("it does not stand within its deadline of {seconds} s (run.deadline)");
        Self::Bed { reason, exit: Exit::TimedOut }
    }

    fn live(directory: &RunDirectory, source: std::io::Error) -> Self {
        let hint = "without it nobody finds the topology; is the disk full?";
        Self::File { path: directory.path.join("live.json"), source, hint }
    }
}

/// Makes a topology stand: starts what is not there, replaces what ended or has to
/// be otherwise, removes what is no longer wanted, and keeps the rest. Every new
/// link is measured. Doing it again changes nothing.
///
/// `cancelled` ends it early, and removes what it started; `dropbed up` again does
/// the rest. Dropping the future leaves that to destructors.
///
/// # Errors
/// [`UpError`]; what it started is removed then.
pub async fn up(
    request: &UpRequest,
    ui: Ui,
    cancelled: impl Future<Output = ()>,
) -> Result<Up, UpError> {
    let (topology, plan) = plan::load(&request.file, &request.sets)?;
    if request.runtime == Some(RuntimeKind::Attach) {
        return Err(UpError::Attach);
    }
    plan.refusal(request.force).map_or(Ok(()), Err)?;
    // A dry run only reads, and leaves nothing behind.
    let lock = || lock::Lock::take(&request.out_dir, &plan.name);
    let _lock = (!request.dry_run).then(lock).transpose()?;
    let standing = standing(&request.out_dir, &plan.name)?;
    let work = async {
        match standing {
            Some(found) => apply::apply(request, &topology, plan, found, ui, cancelled).await,
            None => fresh::fresh(request, &topology, plan, ui, cancelled).await,
        }
    };
    work.await
}

/// The topology of that name that stands below a directory of runs. What another version
/// left under that name may stand: a second one beside it would be nobody's wish.
fn standing(out: &Path, name: &str) -> Result<Option<Found>, UpError> {
    let stands = |found: &Found| {
        let Live { phase, name: found_name, .. } = &found.live;
        *phase == Phase::Up && found_name == name && found.live.liveness() != Liveness::Gone
    };
    let (found, others) = find::all(out);
    for other in others {
        if other.is_called(name) {
            return Err(UpError::OtherSchema(other.to_string()));
        }
        tracing::warn!("{other}");
    }
    Ok(found.into_iter().find(stands))
}

/// Writes the plan and the topology that a run directory is now about.
fn save(directory: &RunDirectory, topology: &Topology, plan: &Plan) -> Result<(), UpError> {
    directory.write_inputs(topology, plan).map_err(|source| UpError::File {
        path: directory.path.clone(),
        source,
        hint: "is the disk full? name another directory with --out",
    })
}

fn told(events: &Events, changes: &[Change]) {
    let done = changes.iter().filter(|change| change.action != Action::Keep);
    for change in done {
        events.add("change", json!(change));
    }
}

/// Bound of saving logs, which are worth less than the removal.
pub(in crate::testbed) const LOGS_DEADLINE: Duration = Duration::from_secs(20);
