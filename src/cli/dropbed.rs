//! `dropbed`: the testbed's command line.

mod commands;
mod link;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::exit::Exit;
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

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a topology, run its scenario, show what every layer did, remove everything.
    Run(RunArgs),
    /// Check topology files without starting anything; all errors at once.
    Validate(ValidateArgs),
    /// Show what a run would do: peers, links, rights, turns. Starts nothing.
    Plan(PlanArgs),
    /// Check what this machine has, and say what to do about what it lacks.
    Doctor {
        /// Print the checks as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Look at the links of a run that goes on, change them, measure them.
    Link(link::LinkArgs),
    /// Remove what runs left behind that were killed: containers, networks,
    /// volumes, processes, mounts, directories.
    Gc(GcArgs),
    /// Build the container image from this executable.
    Image {
        /// Build even when the image is this very executable.
        #[arg(long)]
        force: bool,
    },
    /// The bundled Toxiproxy-compatible server; takes the stock server's flags,
    /// with one dash as well as two.
    #[command(disable_version_flag = true)]
    Toxiproxy(ToxiproxyArgs),
    /// Render a plan for another orchestrator.
    Export {
        #[command(subcommand)]
        to: Export,
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
    /// Keep everything up after the scenario, until Ctrl-C; the exit code is then
    /// the scenario's. `dropbed link` works on it meanwhile.
    #[arg(long)]
    hold: bool,
    /// Directory in which the run's directory is made.
    #[arg(long, env = "DROPBED_OUT", value_name = "DIR", default_value = "runs")]
    out: PathBuf,
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
    /// One JSON array of objects.
    Json,
    /// Workflow commands that annotate the lines of a change.
    Github,
}

#[derive(Debug, Args)]
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
