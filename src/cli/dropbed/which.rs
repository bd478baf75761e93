//! Which topology: the arguments that all verbs share.

use std::path::PathBuf;

use clap::Args;

use crate::testbed::live::find::Which;

/// `--run` and `--out`.
#[derive(Clone, Debug, Args)]
pub(super) struct WhichArgs {
    /// The topology's name, its run's id, or its run's directory (with a slash); not
    /// needed when only one is live.
    #[arg(long, value_name = "NAME|ID|DIR", global = true)]
    pub(super) run: Option<String>,
    /// Look only at runs in this directory; without it, at all of this machine.
    #[arg(long, env = "DROPBED_OUT", value_name = "DIR", global = true)]
    pub(super) out: Option<PathBuf>,
}

impl From<WhichArgs> for Which {
    fn from(WhichArgs { run, out }: WhichArgs) -> Self {
        Self { run, out, half_removed: false }
    }
}
