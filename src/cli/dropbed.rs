//! `dropbed`: the testbed's command line.

mod commands;
mod graph;
mod link;
mod peer;
mod signals;
mod up;
mod verbs;
mod which;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::exit::Exit;
use crate::testbed::contract;
use crate::testbed::runtime::RuntimeKind;
use crate::testbed::runtime::attach::AttachOptions;
use crate::toxiproxy::server::{ToxiproxyArgs, normalise_stock_flags};

/// Puts encrypted file-sharing peers on bad networks and says, layer by layer,
/// what happens.
#[derive(Debug, Parser)]
#[command(name = "dropbed", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 pass, 1 an assertion failed, 2 bad input, 3 the machine lacks \
something, 4 a peer or the harness failed, 5 a deadline passed, 130 interrupted (after clean-up).";

const RUN_EXAMPLES: &str = "Examples:
  dropbed run topologies/two-peer.yaml
  dropbed run topologies/two-peer.yaml --runtime process --set rtt=100ms
  dropbed run topologies/two-peer.yaml --json | jq .outcome
  dropbed run topologies/two-peer.yaml --hold";

const IMAGE_EXAMPLE: &str = "Example: dropbed image && docker compose up";

const TOXIPROXY_EXAMPLE: &str = "Example: dropbed toxiproxy -port 8474 -seed 7";

const EXPORT_EXAMPLE: &str =
    "Example: dropbed export compose topologies/two-peer.yaml > docker-compose.yaml";

const VALIDATE_EXAMPLES: &str = "Examples:
  dropbed validate topologies/*.yaml
  dropbed validate two-peer.yaml --set rtt=100ms
  dropbed validate topologies/*.yaml --format json | jq '.[].message'";

const DOCTOR_HELP: &str = "Exit code 3 when `dropbed run` would not work here. Example:\n  \
dropbed doctor --json | jq '.checks[] | select(.verdict != \"ok\")'";

const GC_HELP: &str = "Never touches a living run, a topology that `dropbed up` left up, or what \
this tool did not make. Example:\n  dropbed gc --dry-run";

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a topology, run its scenario, show what every layer did, remove everything.
    #[command(after_help = RUN_EXAMPLES)]
    Run(RunArgs),
    /// Make a topology stand, and leave it up; again, after a change: do what is left.
    Up(up::UpArgs),
    /// Remove a topology that stands.
    Down(up::DownArgs),
    /// Check topology files without starting anything; all errors at once.
    #[command(after_help = VALIDATE_EXAMPLES)]
    Validate(ValidateArgs),
    /// Print the JSON Schema of topologies, for editors.
    ///
    /// Made from the tables that `validate` itself reads by. An editor takes it from
    /// a file's first line: `# yaml-language-server: $schema=schema.json`.
    #[command(after_help = "Example: dropbed schema > schema.json")]
    Schema,
    /// Show what a run would do and take: peers, links, networks, rights, turns,
    /// time, memory. Starts nothing.
    Plan(PlanArgs),
    /// Draw the peers and links of a topology. Starts nothing.
    Graph(graph::GraphArgs),
    /// Check what this machine has, and say what to do about what it lacks. Mounts a
    /// file system and starts containers to see whether it can; removes both.
    #[command(after_help = DOCTOR_HELP)]
    Doctor {
        /// Print the checks as JSON.
        #[arg(long)]
        json: bool,
    },
    /// List live topologies, and what dead ones left; with --all also finished runs.
    Ls(verbs::ls::LsArgs),
    /// Show the parts of a live topology and its links: states, addresses, mounts.
    Inspect(verbs::inspect::InspectArgs),
    /// Run a command in peers of a live topology.
    Exec(verbs::exec::ExecArgs),
    /// Show what peers say, and go on with what they will.
    Logs(verbs::logs::LogsArgs),
    /// Show what happened in a topology, and go on with what happens.
    Events(verbs::events::EventsArgs),
    /// Copy files into a peer or out of it.
    Cp(verbs::cp::CpArgs),
    /// Kill, end, pause or restart peers of a live topology.
    Peer(verbs::peer::PeerArgs),
    /// What other verbs run within a container.
    #[command(hide = true)]
    Inside {
        #[command(subcommand)]
        verb: verbs::inside::InsideVerb,
    },
    /// Look at the links of a live topology, change them, measure them.
    Link(link::LinkArgs),
    /// Remove what runs left behind that were killed: containers, networks,
    /// volumes, processes, mounts, directories.
    #[command(after_help = GC_HELP)]
    Gc(GcArgs),
    /// Build the container image from this executable.
    #[command(after_help = IMAGE_EXAMPLE)]
    Image {
        /// Build even when the image is this very executable.
        #[arg(long)]
        force: bool,
    },
    /// The bundled Toxiproxy-compatible server; takes the stock server's flags,
    /// with one dash as well as two.
    #[command(disable_version_flag = true, after_help = TOXIPROXY_EXAMPLE)]
    Toxiproxy(ToxiproxyArgs),
    /// Render a plan for another orchestrator.
    #[command(after_help = EXPORT_EXAMPLE)]
    Export {
        #[command(subcommand)]
        to: Export,
    },
    /// Mount an empty file system and unmount it: whether a container may.
    #[command(hide = true)]
    ProbeMount {
        /// An empty directory.
        directory: PathBuf,
    },
}

#[derive(Debug, Args)]
struct RunArgs {
    /// The topology (YAML).
    file: PathBuf,
    /// Where peers and proxy run; without it, docker when an engine answers.
    #[arg(long, env = "DROPBED_RUNTIME", value_enum)]
    runtime: Option<RuntimeChoice>,
    /// Override a value of the file, such as `rtt=100ms` or `peers.bob.mount=false`.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// Print the result as JSON on stdout, and everything else on stderr.
    #[arg(long, env = "DROPBED_JSON")]
    json: bool,
    /// Try also what the plan advises against.
    #[arg(long, env = "DROPBED_FORCE")]
    force: bool,
    /// Keep everything up after the scenario, until Ctrl-C; the exit code is then
    /// the scenario's. `dropbed link` works on it meanwhile.
    #[arg(long)]
    hold: bool,
    /// Directory in which the run's directory is made.
    #[arg(long, env = "DROPBED_OUT", value_name = "DIR", default_value = "runs")]
    out: PathBuf,
    /// Start this executable as every peer, in place of the own daemon; the testbed
    /// calls it as docs/peer-contract.md says.
    #[arg(long = "peer-executable", env = contract::env::PEER, value_name = "PATH",
          value_parser = peer::executable)]
    peer: Option<PathBuf>,
    #[command(flatten, next_help_heading = "Where everything is, for --runtime attach")]
    attach: AttachOptions,
}

/// `auto` is a choice of the command line only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum RuntimeChoice {
    /// Docker when an engine answers, else processes.
    Auto,
    /// Local processes.
    Process,
    /// Containers.
    Docker,
    /// Peers and proxy that already run.
    Attach,
}

impl RuntimeChoice {
    const fn kind(self) -> Option<RuntimeKind> {
        match self {
            Self::Auto => None,
            Self::Process => Some(RuntimeKind::Process),
            Self::Docker => Some(RuntimeKind::Docker),
            Self::Attach => Some(RuntimeKind::Attach),
        }
    }
}

#[derive(Debug, Args)]
struct ValidateArgs {
    /// Topologies (YAML).
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Override a value of the files.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// How errors are written: for people, for programs, as GitHub annotations.
    #[arg(long, value_enum, default_value_t)]
    format: DiagnosticFormat,
}

/// How errors in a topology are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum DiagnosticFormat {
    /// Excerpts with the place marked.
    #[default]
    Human,
    /// One JSON array of objects for all files; an empty one when they are good.
    Json,
    /// Workflow commands that annotate the lines of a change.
    Github,
}

const PLAN_EXAMPLES: &str = "\
Examples:
  dropbed plan topologies/two-peer.yaml
  dropbed plan topologies/two-peer.yaml --set rtt=100ms --json | jq .estimate

The estimate is the least that the links and the scenario allow; a slower machine takes longer.";

#[derive(Debug, Args)]
#[command(after_help = PLAN_EXAMPLES)]
struct PlanArgs {
    /// The topology (YAML).
    file: PathBuf,
    /// Override a value of the file.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// Print the plan as JSON, byte for byte the same for the same file and seed.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct GcArgs {
    /// Remove also what belongs to owners that cannot be judged from here.
    #[arg(long)]
    all: bool,
    /// Say what would be removed, and remove nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print what was removed as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Export {
    /// A Compose project: peers, proxy, and a testbed service that runs the scenario.
    Compose {
        /// The topology (YAML).
        file: PathBuf,
        /// Override a value of the file.
        #[arg(long = "set", value_name = "KEY=VALUE")]
        sets: Vec<String>,
    },
}

/// Runs the command line; `arguments` begin with the program's name.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    if arguments.get(1).is_some_and(|command| command == "toxiproxy") {
        arguments = normalise_stock_flags(arguments);
    }
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; a reader that went away is none either.
            let _ = error.print();
            return if error.use_stderr() { Exit::BadInput } else { Exit::Pass }.into();
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start threads: {error}");
            return Exit::Environment.into();
        }
    };
    let exit = runtime.block_on(commands::dispatch(cli.command));
    // A blocking call that hangs must not hold the exit up; everything that has
    // to be cleaned up has been.
    runtime.shutdown_background();
    exit.into()
}

#[cfg(test)]
mod tests;
