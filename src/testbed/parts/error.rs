//! Why a verb could not do its work on a live topology.

use crate::cli::exit::Exit;
use crate::testbed::live::find::FindError;
use crate::testbed::runtime::RuntimeError;

/// What was attempted on what, why it failed, and what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VerbError {
    /// No topology, or not one alone.
    #[error(transparent)]
    Find(#[from] FindError),
    /// What was asked for cannot be.
    #[error("{what}\n  hint: {hint}")]
    Input { what: String, hint: String },
    /// This machine, or this kind of runtime, cannot do it.
    #[error("{what}\n  hint: {hint}")]
    Lacks { what: String, hint: String },
    /// The engine, the kernel or a peer refused or failed.
    #[error("{0}")]
    Failed(String),
    /// It took too long.
    #[error("{0}")]
    TimedOut(String),
}

impl VerbError {
    pub(super) fn input(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Input { what: what.into(), hint: hint.into() }
    }

    pub(super) fn lacks(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Lacks { what: what.into(), hint: hint.into() }
    }

    pub(super) fn failed(what: impl Into<String>) -> Self {
        Self::Failed(what.into())
    }

    /// What the command ends with.
    pub(crate) const fn exit(&self) -> Exit {
        match self {
            Self::Find(error) => error.exit(),
            Self::Input { .. } => Exit::BadInput,
            Self::Lacks { .. } => Exit::Environment,
            Self::Failed(_) => Exit::Harness,
            Self::TimedOut(_) => Exit::TimedOut,
        }
    }
}

impl From<RuntimeError> for VerbError {
    fn from(error: RuntimeError) -> Self {
        match error {
            RuntimeError::Environment { what, hint } => Self::Lacks { what, hint },
            RuntimeError::Died(_) | RuntimeError::Failed(_) => Self::Failed(error.to_string()),
        }
    }
}
