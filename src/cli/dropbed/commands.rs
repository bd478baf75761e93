//! What each command does: call the library, print, choose the exit code.

use std::io::Write as _;
use std::path::Path;

use serde::Serialize;

use super::signals::Signals;
use super::{Command, DiagnosticFormat, Export, GcArgs, PlanArgs, RunArgs, ValidateArgs, verbs};
use crate::cli::exit::Exit;
use crate::fuse;
use crate::telemetry::{colour, setup};
use crate::testbed::run::{self, Finished, RunError, RunRequest};
use crate::testbed::runtime::RuntimeError;
use crate::testbed::topology::{Diagnostics, schema};
use crate::testbed::ui::Ui;
use crate::testbed::{contract, doctor, export, gc, image, plan, report};
use crate::toxiproxy::{self, server::ToxiproxyArgs};

/// The orchestrator's own log says only what goes wrong; `DROPBED_LOG` says more.
const LOG_FILTER: &str = "warn";

pub(super) async fn dispatch(command: Command) -> Exit {
    let telemetry = setup::install("dropbed", "dropbed", None, LOG_FILTER);
    if let Err(error) = &telemetry {
        eprintln!("error: {error}");
        return Exit::BadInput;
    }
    match command {
        Command::Run(arguments) => run(arguments).await,
        Command::Up(arguments) => super::up::bring_up(arguments).await,
        Command::Down(arguments) => super::up::take_down(arguments).await,
        Command::Validate(arguments) => validate(&arguments),
        Command::Schema => {
            print(&schema::json());
            Exit::Pass
        }
        Command::Plan(arguments) => show_plan(&arguments),
        Command::Graph(arguments) => super::graph::run(&arguments),
        Command::Doctor { json } => check_machine(json).await,
        Command::Ls(arguments) => verbs::ls::run(arguments).await,
        Command::Inspect(arguments) => verbs::inspect::run(arguments).await,
        Command::Exec(arguments) => verbs::exec::run(arguments).await,
        Command::Logs(arguments) => verbs::logs::run(arguments).await,
        Command::Events(arguments) => verbs::events::run(arguments).await,
        Command::Cp(arguments) => verbs::cp::run(arguments).await,
        Command::Peer(arguments) => verbs::peer::run(arguments).await,
        Command::Inside { verb } => verbs::inside::run(verb).await,
        Command::Link(arguments) => super::link::run(arguments).await,
        Command::Gc(arguments) => collect_garbage(&arguments).await,
        Command::Image { force } => build_image(force).await,
        Command::Export { to: Export::Compose { file, sets } } => export_compose(&file, &sets),
        Command::Toxiproxy(arguments) => serve_proxy(arguments).await,
        Command::ProbeMount { directory } => probe_mount(&directory).await,
    }
}

async fn run(arguments: RunArgs) -> Exit {
    let request = RunRequest {
        file: arguments.file,
        sets: arguments.sets,
        runtime: arguments.runtime.and_then(super::RuntimeChoice::kind),
        attach: arguments.attach,
        peer: arguments.peer,
        out_dir: arguments.out,
        hold: arguments.hold,
        force: arguments.force,
    };
    let signals = Signals::take_over();
    let work = run::run(&request, Ui::new(false), signals.interrupted());
    let Some(ended) = signals.patiently(work).await else { return Exit::Interrupted };
    match ended {
        Ok(Finished { result, directory, exit }) => {
            let text = report::render(&result);
            if arguments.json {
                eprintln!("{text}");
                print_json(&result);
            } else {
                print(&format!("{text}\n"));
            }
            eprintln!("written to {}", directory.display());
            exit
        }
        Err(error @ RunError::Interrupted) => {
            eprintln!("{error}");
            Exit::Interrupted
        }
        Err(RunError::Runtime(error)) => {
            eprintln!("error: {error}");
            runtime_exit(&error)
        }
        Err(RunError::Input(diagnostics)) => explain(&diagnostics),
        Err(error @ (RunError::Directory { .. } | RunError::Refused(_))) => {
            eprintln!("error: {error}");
            Exit::BadInput
        }
    }
}

fn validate(arguments: &ValidateArgs) -> Exit {
    let mut wrong = Vec::new();
    for file in &arguments.files {
        match plan::load(file, &arguments.sets) {
            Ok((_, plan)) if arguments.format == DiagnosticFormat::Human => {
                let (peers, links) = (plan.peers.len(), plan.links.len());
                eprintln!(
                    "{}: good: {peers} peers, {links} links, {} turns",
                    file.display(),
                    plan.order.len()
                );
            }
            Ok(_) => {}
            Err(diagnostics) => wrong.push(diagnostics),
        }
    }
    match arguments.format {
        // One document for a program, however many files there are.
        DiagnosticFormat::Json => print(&Diagnostics::json_of(&wrong)),
        DiagnosticFormat::Human => wrong.iter().for_each(|found| eprint!("{}", found.human())),
        DiagnosticFormat::Github => wrong.iter().for_each(|found| print(&found.github())),
    }
    if wrong.is_empty() { Exit::Pass } else { Exit::BadInput }
}

fn show_plan(arguments: &PlanArgs) -> Exit {
    match plan::load(&arguments.file, &arguments.sets) {
        Ok((_, plan)) if arguments.json => print(&plan::render::json(&plan)),
        Ok((_, plan)) => print(&plan::render::render(&plan)),
        Err(diagnostics) => return explain(&diagnostics),
    }
    Exit::Pass
}

fn export_compose(file: &Path, sets: &[String]) -> Exit {
    match plan::load(file, sets) {
        Ok((_, plan)) => {
            print(&export::compose(&plan, &export::seen_from_compose(file)));
            Exit::Pass
        }
        Err(diagnostics) => explain(&diagnostics),
    }
}

async fn check_machine(json: bool) -> Exit {
    let report = match doctor::examine().await {
        Ok(report) => report,
        Err(error) => {
            eprintln!("error: {error}");
            return Exit::Environment;
        }
    };
    if json {
        print_json(&report);
    } else {
        print(&doctor::render(&report, colour::is_wanted(&std::io::stdout())));
    }
    if report.can_run() { Exit::Pass } else { Exit::Environment }
}

async fn probe_mount(directory: &Path) -> Exit {
    match fuse::trial(directory, "probe").await {
        Ok(()) => Exit::Pass,
        Err(error) => {
            let source = std::error::Error::source(&error);
            eprintln!("error: {error}{}", source.map(|why| format!(": {why}")).unwrap_or_default());
            Exit::Environment
        }
    }
}

async fn collect_garbage(arguments: &GcArgs) -> Exit {
    let options = gc::Options { all: arguments.all, dry_run: arguments.dry_run };
    let report = gc::sweep(options).await;
    if arguments.json {
        print_json(&report);
    } else {
        print(&report.to_string());
    }
    if report.failed() { Exit::Harness } else { Exit::Pass }
}

async fn build_image(force: bool) -> Exit {
    match image::ensure_image(contract::IMAGE_DEFAULT, force).await {
        Ok(built) => {
            let what = if built.rebuilt { "built" } else { "up to date" };
            eprintln!("{}: {what} (BLAKE3 {})", built.name, built.digest);
            Exit::Pass
        }
        Err(error) => {
            eprintln!("error: {error}");
            runtime_exit(&error)
        }
    }
}

const fn runtime_exit(error: &RuntimeError) -> Exit {
    match error {
        RuntimeError::Environment { .. } => Exit::Environment,
        RuntimeError::Died(_) | RuntimeError::Failed(_) => Exit::Harness,
    }
}

async fn serve_proxy(arguments: ToxiproxyArgs) -> Exit {
    match toxiproxy::server::run(arguments).await {
        Ok(()) => Exit::Pass,
        Err(error) => {
            eprintln!("error: {error:#}");
            Exit::Environment
        }
    }
}

pub(super) fn explain(diagnostics: &Diagnostics) -> Exit {
    eprint!("{}", diagnostics.human());
    Exit::BadInput
}

pub(super) fn print_json(value: &impl Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => print(&format!("{text}\n")),
        Err(error) => eprintln!("error: cannot write the result as JSON: {error}"),
    }
}

/// A reader that went away (`| head`) is no fault of the run.
pub(super) fn print(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}
