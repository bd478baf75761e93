//! Where one part of a topology is, so that any process can work on it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{RuntimeError, docker, procfs};

/// What the proxy is called among the parts; no peer can be.
pub const PROXY: &str = "proxy";

/// One part: a peer or the proxy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartPlace {
    /// A peer's name, or [`PROXY`].
    pub name: String,
    /// Where it is.
    #[serde(flatten)]
    pub place: Place,
}

impl PartPlace {
    /// Whether it runs; a paused one does. What is elsewhere is taken to.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn is_running(&self) -> Result<bool, RuntimeError> {
        match &self.place {
            Place::Process { pid, start_ticks, .. } => Ok(!procfs::has_ended(*pid, *start_ticks)),
            Place::Container { id, .. } => docker::is_running(id).await,
            Place::Elsewhere => Ok(true),
        }
    }
}

/// Where a part is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Place {
    /// A process of this machine.
    Process {
        /// Its id.
        pid: u32,
        /// When it started, in clock ticks since boot: ids are used again.
        start_ticks: u64,
        /// Its own directory: working directory, data, and how it was started
        /// ([`START_FILE`]).
        home: PathBuf,
        /// Where its output goes.
        log: PathBuf,
    },
    /// A container of the engine.
    Container {
        /// The engine's id.
        id: String,
        /// Its name at the engine.
        container: String,
    },
    /// Somebody else's to start and to stop.
    Elsewhere,
}

/// Name of the file in a process's directory that says how it was started.
pub const START_FILE: &str = "start.json";
