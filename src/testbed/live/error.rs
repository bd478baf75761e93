//! Why something could not be done to a live link.

use super::find::FindError;
use crate::cli::exit::Exit;
use crate::testbed::scenario::ScenarioError;
use crate::toxiproxy::client::ClientError;

/// What was attempted on what, why it failed, and what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    /// No topology to work on, or not one alone.
    #[error("{0}")]
    Find(#[from] FindError),
    /// A link that is not there.
    #[error("there is no link `{name}` at {at}\n  hint: {hint}")]
    UnknownLink {
        /// As given.
        name: String,
        /// The proxy's API.
        at: String,
        /// The nearest name, or all.
        hint: String,
    },
    /// A change that cannot be.
    #[error("link {link}: {what}\n  hint: {hint}")]
    Change {
        /// Which link.
        link: String,
        /// What is wrong with the change.
        what: String,
        /// What to ask for.
        hint: String,
    },
    /// A probe without daemons to ask.
    #[error(
        "link {link}: cannot be probed: only the daemons of a run can send through their session\n  \
         hint: leave --proxy out, and name the run with --run"
    )]
    NoDaemons {
        /// Which link.
        link: String,
    },
    /// The proxy refused or failed a call.
    #[error("{0}")]
    Proxy(#[from] ClientError),
    /// A daemon refused or failed a call.
    #[error("{0}")]
    Daemon(#[from] ScenarioError),
}

impl LinkError {
    /// What the command ends with.
    pub(crate) const fn exit(&self) -> Exit {
        match self {
            Self::Find(error) => error.exit(),
            Self::UnknownLink { .. }
            | Self::Change { .. }
            | Self::NoDaemons { .. }
            | Self::Proxy(ClientError::BaseUrl { .. } | ClientError::NotBundled { .. }) => {
                Exit::BadInput
            }
            // Not there any more, or there by now: somebody else was at work.
            Self::Proxy(ClientError::Refused { status: 404 | 409, .. }) => Exit::Harness,
            Self::Proxy(ClientError::Refused { status: 400..=499, .. }) => Exit::BadInput,
            Self::Proxy(_) | Self::Daemon(_) => Exit::Harness,
        }
    }
}

#[cfg(test)]
mod tests;
