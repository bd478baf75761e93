//! `dropbed ls`.

use clap::Args;

use crate::cli::dropbed::commands::{print, print_json};
use crate::cli::dropbed::which::WhichArgs;
use crate::cli::exit::Exit;
use crate::testbed::parts::view::overview::overview;
use crate::testbed::parts::view::table;

const EXAMPLES: &str = "\
Examples:
  dropbed ls                   what is live on this machine, and what was left
  dropbed ls --all             with runs that are over, below runs/
  dropbed ls --json | jq -r '.[].run_id'

Phases: measuring (a run's scenario goes on), held (it is over), up (until `dropbed down`), dead \
(`dropbed gc` removes it).";

/// Arguments of `dropbed ls`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli::dropbed) struct LsArgs {
    /// Also runs that are over, below --out or runs/, with their outcome.
    #[arg(long)]
    all: bool,
    /// Print them as a JSON array.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    which: WhichArgs,
}

pub(in crate::cli::dropbed) async fn run(arguments: LsArgs) -> Exit {
    let LsArgs { all, json, which } = arguments;
    let (mut views, unasked) = overview(which.out.as_deref(), all).await;
    if let Some(run) = &which.run {
        views.retain(|view| {
            view.name == *run || view.run_id == *run || view.directory.ends_with(run)
        });
    }
    if let Some(why) = unasked {
        eprintln!("warning: topologies in containers may be missing: {why}");
    }
    if json {
        print_json(&views);
    } else if views.is_empty() {
        eprintln!("nothing is live; `dropbed ls --all` shows runs that are over");
    } else {
        print(&table::overview(&views));
    }
    Exit::Pass
}
