//! `dropbed up` and `dropbed down`: a topology that stands by itself.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::commands::{explain, print, print_json};
use super::peer::executable;
use super::signals::Signals;
use super::which::WhichArgs;
use crate::cli::exit::Exit;
use crate::telemetry::colour;
use crate::testbed::contract;
use crate::testbed::live::find::OUT_DEFAULT;
use crate::testbed::runtime::RuntimeKind;
use crate::testbed::ui::Ui;
use crate::testbed::up::{self, Action, Change, Kind, Up, UpError, UpRequest, Which};

const UP_EXAMPLES: &str = "\
Examples:
  dropbed up topologies/two-peer.yaml             start it, prove its links, and leave it up
  dropbed up topologies/two-peer.yaml             again: says that nothing is to be done
  dropbed up topologies/two-peer.yaml --set rtt=100ms --dry-run
  dropbed down                                    remove it

A topology is known by its name, below --out. Its scenario is not carried out.

Exit codes: 0 it stands, 2 bad input, 3 the machine lacks something or another `up` is at it, \
4 a peer or a link failed (what was started is removed), 5 a deadline passed, 130 interrupted.";

const DOWN_EXAMPLES: &str = "\
Examples:
  dropbed down                                    the only one that is live
  dropbed down --run two-peer
  dropbed down --all                              every one that `up` made below --out

Exit codes: 0 it is gone, 2 it belongs to a run that goes on, 3 nothing stands, 4 something is left; of \
the first failure where there are several.";

/// Arguments of `dropbed up`.
#[derive(Debug, Args)]
#[command(after_help = UP_EXAMPLES)]
pub(super) struct UpArgs {
    /// The topology (YAML).
    file: PathBuf,
    /// Where peers and proxy run; without it, docker when an engine answers.
    #[arg(long, env = "DROPBED_RUNTIME", value_enum)]
    runtime: Option<StartingRuntime>,
    /// Override a value of the file, such as `rtt=100ms` or `peers.bob.mount=false`.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// Directory of runs; the topology's own directory is made there.
    #[arg(long, env = "DROPBED_OUT", value_name = "DIR", default_value = "runs")]
    out: PathBuf,
    /// Start this executable as every peer, in place of the own daemon; the testbed
    /// calls it as docs/peer-contract.md says.
    #[arg(long = "peer-executable", env = contract::env::PEER, value_name = "PATH",
          value_parser = executable)]
    peer: Option<PathBuf>,
    /// Try also what the plan advises against.
    #[arg(long)]
    force: bool,
    /// Only say what would be created, kept, replaced and removed.
    #[arg(long)]
    dry_run: bool,
    /// Print what was done as JSON.
    #[arg(long, env = "DROPBED_JSON")]
    json: bool,
}

/// Runtimes that start peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum StartingRuntime {
    /// Docker when an engine answers, else processes.
    Auto,
    /// Local processes.
    Process,
    /// Containers.
    Docker,
}

/// Arguments of `dropbed down`.
#[derive(Debug, Args)]
#[command(after_help = DOWN_EXAMPLES)]
pub(super) struct DownArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// Every topology that `up` made below --out, or below runs/.
    #[arg(long, conflicts_with = "run")]
    all: bool,
    /// Also what a run that goes on has: that run is ended by SIGTERM.
    #[arg(long)]
    force: bool,
    /// Print what was removed as JSON.
    #[arg(long, env = "DROPBED_JSON")]
    json: bool,
}

pub(super) async fn bring_up(arguments: UpArgs) -> Exit {
    let request = UpRequest {
        file: arguments.file,
        sets: arguments.sets,
        runtime: arguments.runtime.and_then(StartingRuntime::kind),
        out_dir: arguments.out,
        peer: arguments.peer,
        force: arguments.force,
        dry_run: arguments.dry_run,
    };
    let signals = Signals::take_over();
    let work = up::up(&request, Ui::new(false), signals.interrupted());
    let Some(ended) = signals.patiently(work).await else { return Exit::Interrupted };
    match ended {
        Ok(up) => {
            up.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
            if arguments.json {
                print_json(&up);
            } else {
                print(&text(&up, request.dry_run));
            }
            Exit::Pass
        }
        Err(UpError::Input(diagnostics)) => explain(&diagnostics),
        Err(error) => {
            eprintln!("error: {error}");
            error.exit()
        }
    }
}

pub(super) async fn take_down(arguments: DownArgs) -> Exit {
    let WhichArgs { run, out } = arguments.which;
    let which = match arguments.all {
        true => Which::AllBelow(out.unwrap_or_else(|| OUT_DEFAULT.into())),
        false => Which::One { run, out },
    };
    let downed = up::down(&which, arguments.force, Ui::new(false)).await;
    let done = &downed.removed;
    if arguments.json && (!done.is_empty() || downed.failures.is_empty()) {
        print_json(done);
    } else if done.is_empty() && downed.failures.is_empty() {
        print("nothing stands\n");
    }
    for down in done.iter().filter(|_| !arguments.json) {
        let (name, kept) = (&down.name, down.directory.display());
        print(&format!("{name} is gone; its logs and events stay in {kept}\n"));
    }
    downed.failures.iter().for_each(|error| eprintln!("error: {error}"));
    downed.exit()
}

impl StartingRuntime {
    const fn kind(self) -> Option<RuntimeKind> {
        match self {
            Self::Auto => None,
            Self::Process => Some(RuntimeKind::Process),
            Self::Docker => Some(RuntimeKind::Docker),
        }
    }
}

/// More lines than this of one kind tell nobody anything.
const LINES_MAX: usize = 40;

fn text(up: &Up, dry_run: bool) -> String {
    let mut out = String::new();
    for kind in [Kind::Peer, Kind::Link, Kind::File] {
        let of_kind: Vec<&Change> = up.changes.iter().filter(|one| one.kind == kind).collect();
        of_kind.iter().take(LINES_MAX).for_each(|one| out += &line(one));
        if let Some(more) = of_kind.len().checked_sub(LINES_MAX).filter(|more| *more > 0) {
            out += &format!("  ... and {more} more of this kind (--json has all)\n");
        }
    }
    for link in up.links.iter().take(LINES_MAX) {
        let [asked, measured] =
            [link.rtt_asked_us, link.rtt_measured_us].map(|us| us as f64 / 1_000.0);
        out += &format!("  link {}: RTT asked {asked} ms, measured {measured} ms\n", link.link);
    }
    let name = &up.name;
    out + &match (dry_run, up.is_changed()) {
        (true, true) => "this is what `up` would do; nothing was changed\n".to_owned(),
        (_, false) => format!("{name} stands; nothing to do\n"),
        (false, true) => {
            let (runtime, at) = (&up.runtime, up.directory.display());
            let run = format!("--run {at}");
            format!(
                "{name} stands (runtime {runtime}) in {at}\n\
                 next: `dropbed link {run} ls`, `dropbed inspect {run}`, `dropbed down {run}`\n"
            )
        }
    }
}

fn line(change: &Change) -> String {
    let Change { kind, name, action, why } = change;
    let kind = match kind {
        Kind::Peer => "peer",
        Kind::Link => "link",
        Kind::File => "file",
    };
    let (verb, start) = match action {
        Action::Create => ("create ", GREEN),
        Action::Keep => ("keep   ", ""),
        Action::Replace => ("replace", YELLOW),
        Action::Remove => ("remove ", RED),
    };
    let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
    match colour::is_wanted(&std::io::stdout()) && !start.is_empty() {
        true => format!("  {start}{verb}\x1b[0m {kind} {name}{why}\n"),
        false => format!("  {verb} {kind} {name}{why}\n"),
    }
}

const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const RED: &str = "\x1b[31m";
