//! What each command does: call the library, print, choose the exit code.

use std::io::Write as _;
use std::path::Path;

use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use super::{Command, DiagnosticFormat, Export, GcArgs, PlanArgs, RunArgs, ValidateArgs};
use crate::cli::exit::Exit;
use crate::telemetry::setup;
use crate::testbed::run::{self, Finished, RunError, RunRequest};
use crate::testbed::runtime::RuntimeError;
use crate::testbed::topology::Diagnostics;
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
        Command::Validate(arguments) => validate(&arguments),
        Command::Plan(arguments) => show_plan(&arguments),
        Command::Doctor { json } => check_machine(json).await,
        Command::Link(arguments) => super::link::run(arguments).await,
        Command::Gc(arguments) => collect_garbage(&arguments).await,
        Command::Image { force } => build_image(force).await,
        Command::Export { to: Export::Compose { file, sets } } => export_compose(&file, &sets),
        Command::Toxiproxy(arguments) => serve_proxy(arguments).await,
    }
}

async fn run(arguments: RunArgs) -> Exit {
    let request = RunRequest {
        file: arguments.file,
        sets: arguments.sets,
        runtime: arguments.runtime.and_then(super::RuntimeChoice::kind),
        attach: arguments.attach,
        out_dir: arguments.out,
        hold: arguments.hold,
    };
    match run::run(&request, Ui::new(false), interrupted()).await {
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
        Err(RunError::Input(diagnostics)) => explain(&diagnostics, DiagnosticFormat::Human),
        Err(error @ RunError::Directory { .. }) => {
            eprintln!("error: {error}");
            Exit::BadInput
        }
    }
}

/// Resolves at the first SIGINT or SIGTERM. Later ones do nothing: clean-up has
/// begun, and has deadlines of its own.
async fn interrupted() {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        // Without handlers the signals end the process, and `gc` cleans up.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

fn validate(arguments: &ValidateArgs) -> Exit {
    let mut exit = Exit::Pass;
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
            Err(diagnostics) => exit = explain(&diagnostics, arguments.format),
        }
    }
    exit
}

fn show_plan(arguments: &PlanArgs) -> Exit {
    match plan::load(&arguments.file, &arguments.sets) {
        Ok((_, plan)) if arguments.json => print(&plan::render::json(&plan)),
        Ok((_, plan)) => print(&plan::render::render(&plan)),
        Err(diagnostics) => return explain(&diagnostics, DiagnosticFormat::Human),
    }
    Exit::Pass
}

fn export_compose(file: &Path, sets: &[String]) -> Exit {
    match plan::load(file, sets) {
        Ok((_, plan)) => {
            print(&export::compose(&plan, &export::seen_from_compose(file)));
            Exit::Pass
        }
        Err(diagnostics) => explain(&diagnostics, DiagnosticFormat::Human),
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
        print(&report.to_string());
    }
    if report.can_run() { Exit::Pass } else { Exit::Environment }
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

fn explain(diagnostics: &Diagnostics, format: DiagnosticFormat) -> Exit {
    match format {
        DiagnosticFormat::Human => eprint!("{}", diagnostics.human()),
        DiagnosticFormat::Json => print(&diagnostics.json()),
        DiagnosticFormat::Github => print(&diagnostics.github()),
    }
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
