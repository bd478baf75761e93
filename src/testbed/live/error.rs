//! Why something could not be done to a live link.

use std::path::PathBuf;

use crate::cli::exit::Exit;
use crate::testbed::scenario::ScenarioError;
use crate::toxiproxy::client::ClientError;

/// What was attempted on what, why it failed, and what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    /// Nothing to work on.
    #[error(
        "no run is live in {}\n  hint: start one with `dropbed run FILE --hold`, name its \
         directory with --run or the directory of runs with --out, or a proxy server with --proxy",
        out.display()
    )]
    NoRun {
        /// Where was looked.
        out: PathBuf,
    },
    /// Too much to work on.
    #[error("several runs are live in {}\n  hint: choose one with {}", out.display(), choices(found))]
    SeveralRuns {
        /// Where was looked.
        out: PathBuf,
        /// Their directories.
        found: Vec<PathBuf>,
    },
    /// The directory that was named is none of a live run.
    #[error("no run is live in {}: {why}\n  hint: {hint}", directory.display())]
    NotLive {
        /// As given.
        directory: PathBuf,
        /// In words.
        why: String,
        /// What to do.
        hint: &'static str,
    },
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
            Self::NoRun { .. } | Self::NotLive { .. } => Exit::Environment,
            Self::SeveralRuns { .. }
            | Self::UnknownLink { .. }
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

fn choices(found: &[PathBuf]) -> String {
    let flags: Vec<String> =
        found.iter().map(|directory| format!("`--run {}`", directory.display())).collect();
    flags.join(" or ")
}

#[cfg(test)]
mod tests;
