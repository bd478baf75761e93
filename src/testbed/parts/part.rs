//! One part: what every kind can do, by its kind.

use serde::Serialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::container::ContainerPart;
use super::elsewhere::ElsewherePart;
use super::process::ProcessPart;
use super::{Chunk, VerbError};
use crate::testbed::runtime::Death;

/// One part: a peer or the proxy.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    /// A process of this machine.
    Process(ProcessPart),
    /// A container.
    Container(ContainerPart),
    /// Somebody else's: only its control service is ours to use.
    Elsewhere(ElsewherePart),
}

/// Whether a part runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RunState {
    /// It does.
    Running,
    /// It is stopped, and can go on.
    Paused,
    /// It has ended.
    Ended,
    /// Not for us to know.
    Unknown,
}

/// What the machine says about a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct PartState {
    pub(crate) running: RunState,
    /// How it ended, where that can be known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) how: Option<String>,
    /// Its id on this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pid: Option<u32>,
    /// Resident: without what is on disk as well, for containers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) memory_bytes: Option<u64>,
    /// Since it was started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cpu_ms: Option<u64>,
}

impl PartState {
    /// With nothing known but this.
    pub(super) const fn only(running: RunState) -> Self {
        Self { running, how: None, pid: None, memory_bytes: None, cpu_ms: None }
    }
}

/// Something to do to a peer as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Action {
    /// SIGKILL: it closes nothing.
    Kill,
    /// SIGTERM, and wait for its end: it closes its sessions and unmounts.
    Term,
    /// Stop it in its tracks.
    Pause,
    /// Let it go on.
    Unpause,
}

impl Action {
    /// Of the event.
    pub(crate) const fn event(self) -> &'static str {
        match self {
            Self::Kill => "peer_kill",
            Self::Term => "peer_term",
            Self::Pause => "peer_pause",
            Self::Unpause => "peer_unpause",
        }
    }

    /// What was done, in one word.
    pub(crate) const fn done(self) -> &'static str {
        match self {
            Self::Kill => "killed",
            Self::Term => "ended",
            Self::Pause => "paused",
            Self::Unpause => "goes on",
        }
    }
}

/// Why no command answers in a part.
pub(super) fn paused(name: &str) -> String {
    format!("{name} is paused: nothing in it answers\n  hint: `dropbed peer unpause {name}`")
}

impl Part {
    /// A peer's name, or `proxy`.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Process(part) => &part.name,
            Self::Container(part) => &part.name,
            Self::Elsewhere(part) => &part.name,
        }
    }

    /// What the machine says of it.
    pub(crate) async fn state(&self) -> Result<PartState, VerbError> {
        match self {
            Self::Process(part) => Ok(part.state()),
            Self::Container(part) => part.state().await,
            Self::Elsewhere(_) => Ok(PartState::only(RunState::Unknown)),
        }
    }

    /// Does it, and returns when it is done.
    pub(crate) async fn act(&self, action: Action) -> Result<(), VerbError> {
        match self {
            Self::Process(part) => part.act(action).await,
            Self::Container(part) => part.act(action).await,
            Self::Elsewhere(part) => Err(part.not_ours()),
        }
    }

    /// Runs a command in it; what it writes goes to `output` as it comes. Its exit
    /// code; 128 and the signal's number where a signal ended it. Ends it when
    /// `stop` is cancelled, and waits for that.
    pub(crate) async fn exec(
        &self,
        command: &[String],
        output: mpsc::Sender<Chunk>,
        stop: CancellationToken,
    ) -> Result<u8, VerbError> {
        match self {
            Self::Process(part) => part.exec(command, output, stop).await,
            Self::Container(part) => part.exec(command, output, stop).await,
            Self::Elsewhere(part) => part.exec(command, output, stop).await,
        }
    }

    /// Resolves when it has ended; at once when it has already, and never when that
    /// cannot be known. Cancel-safe.
    pub(crate) async fn death(&self) -> Death {
        match self {
            Self::Process(part) => part.death().await,
            Self::Container(part) => part.death().await,
            Self::Elsewhere(_) => std::future::pending().await,
        }
    }
}
