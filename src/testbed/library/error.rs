//! Why a bed does not do what it was asked for.

use std::path::{Path, PathBuf};

use crate::testbed::bed::BedError;
use crate::testbed::plan::Refusal;
use crate::testbed::runtime::{Death, RuntimeError};
use crate::testbed::topology::Diagnostics;

/// Why a bed does not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum TestbedError {
    /// The topology or an override is wrong.
    #[error("{0}")]
    Input(#[from] Diagnostics),
    /// The plan is not for this machine; [`Testbed::force`](super::Testbed::force) tries.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The runtime cannot start, run or remove its parts.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// A file of the run directory cannot be written.
    #[error("{}: {source}\n  hint: is the disk full? name another directory with `out`", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A peer, the proxy or a link failed, or a link is not what was asked.
    #[error("{0}")]
    Harness(String),
    /// A part ended by itself.
    #[error("{0}")]
    Dead(Death),
    /// What was asked for names nothing of the topology.
    #[error("{what}\n  hint: {hint}")]
    Unknown {
        /// What.
        what: String,
        /// What there is.
        hint: String,
    },
    /// It was carried out, and is not as the topology or the bed demands: digests,
    /// bytes on the link, changes of keys.
    #[error("{}", .0.join("\n"))]
    Assertion(Vec<String>),
}

impl From<BedError> for TestbedError {
    fn from(error: BedError) -> Self {
        match error {
            BedError::Runtime(error) => Self::Runtime(error),
            BedError::Dead(death) => Self::Dead(death),
            BedError::Telemetry(_) | BedError::Scenario(_) => Self::Harness(error.to_string()),
        }
    }
}

impl TestbedError {
    /// This one, and that something is left: whoever reads it has to know both.
    pub(super) fn and(self, left: &Self) -> Self {
        Self::Harness(format!("{self}\n{left}"))
    }
}

pub(super) fn file(path: &Path, source: std::io::Error) -> TestbedError {
    TestbedError::File { path: path.to_owned(), source }
}
