//! One run from file to verdict: everything is started here, and removed here.

mod directory;
mod hold;
mod host;
mod record;

use std::path::PathBuf;
use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use tokio::time::timeout;

use super::collect::{Collector, append_ndjson};
use super::contract;
use super::events::Events;
use super::live::{Live, LiveFile};
use super::plan::{self, Plan, Shape};
use super::result::RunResult;
use super::runtime::attach::AttachOptions;
use super::runtime::choice::{Choice, choose};
use super::runtime::{RunContext, Runtime, RuntimeError, RuntimeKind, World};
use super::scenario::{LiveLink, ScenarioError, Stage};
use super::topology::{self, Diagnostics, Topology};
use super::ui::Ui;
use crate::cli::exit::Exit;
use crate::telemetry::{clock, names};
use crate::toxiproxy::client::ProxyGuard;
use directory::RunDirectory;
use record::{Ending, Record, RecordEnd};

/// Bound of each part of clean-up, in which signals are not heeded: an engine that
/// stalls must not hold the command for ever.
const CLEAN_UP_DEADLINE: Duration = Duration::from_secs(60);

/// What `dropbed run` was asked for.
#[derive(Clone, Debug)]
pub struct RunRequest {
    /// The topology.
    pub file: PathBuf,
    /// `key=value` overrides.
    pub sets: Vec<String>,
    /// `None` takes Docker when an engine answers.
    pub runtime: Option<RuntimeKind>,
    /// Where everything is, for [`RuntimeKind::Attach`].
    pub attach: AttachOptions,
    /// Where run directories go.
    pub out_dir: PathBuf,
    /// Whether everything stays up after the scenario, until `cancelled`.
    pub hold: bool,
}

/// A run that got as far as having a directory.
#[derive(Debug)]
pub struct Finished {
    /// What was found.
    pub result: RunResult,
    /// Where it was written.
    pub directory: PathBuf,
    /// The exit code that it means.
    pub exit: Exit,
}

/// Why a run did not get that far.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The runtime that was asked for cannot start anything here.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// Ctrl-C before anything was started.
    #[error("interrupted")]
    Interrupted,
    /// The topology or an override is wrong.
    #[error(transparent)]
    Input(#[from] Diagnostics),
    /// The directory of results cannot be made.
    #[error("cannot make a run directory in {}: {source}\n  hint: name another with --out", path.display())]
    Directory {
        /// Where.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

/// Carries out a topology and cleans up, whatever happens.
///
/// `cancelled` ends the run early, with exit code 130; clean-up still runs to
/// its end. It also ends holding, which changes nothing about the verdict. Dropping
/// the future instead leaves clean-up to destructors.
///
/// # Errors
/// Only before anything was started; later faults are in the result.
pub async fn run(
    request: &RunRequest,
    ui: Ui,
    cancelled: impl Future<Output = ()>,
) -> Result<Finished, RunError> {
    let (topology, plan) = plan::load(&request.file, &request.sets)?;
    let start_ns = clock::now_ns();
    let mut cancelled = std::pin::pin!(cancelled);
    let Choice { mut runtime, why } = tokio::select! {
        biased;
        () = &mut cancelled => return Err(RunError::Interrupted),
        choice = choose(request.runtime, &request.attach) => choice?,
    };
    ui.line(format!("runtime: {} ({why})", runtime.kind()));
    let make_directory = RunDirectory::create(&request.out_dir, &plan.name);
    let (directory, events) = make_directory
        .map_err(|source| RunError::Directory { path: request.out_dir.clone(), source })?;
    let mut record = Record::new(&plan, &directory, runtime.kind(), start_ns);
    save_inputs(&directory, &topology, &plan, &mut record);

    let mut standing = None;
    let ending = {
        let work =
            work(&plan, runtime.as_mut(), &directory, &events, ui, &mut record, &mut standing);
        tokio::select! {
            // Before a peer's end that the same Ctrl-C may have brought about.
            biased;
            () = &mut cancelled => Ending::Interrupted,
            ending = timeout(Duration::from_millis(plan.deadline_ms), work) => {
                ending.unwrap_or(Ending::TimedOut(plan.deadline_ms))
            }
        }
    };
    let ending = match standing.as_mut() {
        Some(standing) if request.hold && standing.can_be_held(&ending) => {
            // What went wrong before holding decides the exit code.
            ending.note(&mut record, &events);
            let runtime = runtime.as_mut();
            standing.hold(runtime, &directory, &events, ui, &mut record, cancelled).await
        }
        _ => ending,
    };
    if matches!(ending, Ending::Interrupted) {
        ui.line("interrupted: removing what was started ...");
    }
    ending.note(&mut record, &events);
    // Who asks now is told that there is no live run, before its parts go.
    let links = standing.map_or_else(Vec::new, |standing| standing.links);
    remove_links(links, runtime.kind(), &mut record).await;
    clean_up(runtime.as_mut(), &directory, &events, &mut record).await;
    let RecordEnd { result, exit } = record.end();
    if let Err(error) = directory.write_json("result.json", &result) {
        ui.line(format!("error: cannot write result.json: {error}"));
        let exit = if exit == Exit::Pass { Exit::Harness } else { exit };
        return Ok(Finished { result, directory: directory.path, exit });
    }
    Ok(Finished { result, directory: directory.path, exit })
}

/// Starts everything and does every turn of the plan.
async fn work(
    plan: &Plan,
    runtime: &mut dyn Runtime,
    directory: &RunDirectory,
    events: &Events,
    ui: Ui,
    record: &mut Record,
    standing: &mut Option<Standing>,
) -> Ending {
    let host = match runtime.prepare(plan, &directory.run_id).await {
        Ok(host) => host,
        Err(error) => return Ending::Runtime(error),
    };
    let otlp_port = if runtime.kind() == RuntimeKind::Attach { contract::OTLP_PORT } else { 0 };
    let collector = match Collector::bind(&host, otlp_port).await {
        Ok(collector) => collector,
        Err(error) => return Ending::Telemetry(error.to_string()),
    };
    let context = RunContext {
        run_id: directory.run_id.clone(),
        otlp_port: collector.port(),
        log_filter: std::env::var(names::environment::LOG).unwrap_or_else(|_| "info".into()),
    };
    ui.line(format!("starting {} peers and a proxy", plan.peers.len()));
    let world = match runtime.up(plan, &context).await {
        Ok(world) => world,
        Err(error) => return Ending::Runtime(error),
    };
    events.add("up", json!({"peers": plan.peers.len(), "proxy": world.proxy_api}));
    let standing = standing.insert(Standing { collector, live: None, links: Vec::new() });
    let ending = tokio::select! {
        ended = drive(plan, &world, standing, directory, events, ui, record) => {
            ended.map_or_else(Ending::Scenario, |()| Ending::Done)
        }
        // A dead peer explains a failed call better than the call does.
        death = runtime.watch() => Ending::Dead(death),
    };
    let ending = match ending {
        Ending::Scenario(error) => death_behind(runtime, error).await,
        ending => ending,
    };
    // What a turn that was cut short left.
    keep_spans(&standing.collector, directory, record);
    ending
}

/// Moves what has arrived into the run directory, so that a sweep of any length
/// fits the collector.
fn keep_spans(collector: &Collector, directory: &RunDirectory, record: &mut Record) {
    let spans = collector.take_all();
    record.keep_trace(&spans);
    let lost = collector.dropped();
    if let Err(error) = append_ndjson(&directory.path.join("spans.ndjson"), &spans) {
        record.warn_once(format!("cannot write spans.ndjson: {error}"));
    } else if lost > 0 {
        record.warn_once(format!("{lost} spans did not fit and are missing in spans.ndjson"));
    }
}

/// A call to a peer fails some milliseconds before its end is noticed: looks
/// whether one died, so that the report names the cause and not the symptom.
async fn death_behind(runtime: &mut dyn Runtime, error: ScenarioError) -> Ending {
    const NOTICE_MS: u64 = 500;
    let noticed = timeout(Duration::from_millis(NOTICE_MS), runtime.watch()).await;
    noticed.map_or(Ending::Scenario(error), Ending::Dead)
}

async fn drive(
    plan: &Plan,
    world: &World,
    standing: &mut Standing,
    directory: &RunDirectory,
    events: &Events,
    ui: Ui,
    record: &mut Record,
) -> Result<(), ScenarioError> {
    let Standing { collector, live, links } = standing;
    let collector: &Collector = collector;
    let mut stage = Stage::provision(plan, world, collector, events, ui, links).await?;
    record.result.host.proxy.clone_from(&stage.proxy_version);
    let Record { result, started_unix_ns, .. } = &*record;
    let facts = Live::of(world, &stage.links, &result.run_id, &result.runtime, *started_unix_ns);
    match LiveFile::create(&directory.path, facts) {
        Ok(file) => *live = Some(file),
        Err(error) => record.warn_live(&error),
    }
    for &turn in &plan.order {
        follow(live, &stage.links, &plan.cells[turn.cell].shapes, record);
        let done = stage.turn(turn, &mut record.failures).await;
        // Also after an error: a run that is held then has the links that it reached.
        let shapes: Vec<Shape> = stage.links.iter().map(|link| link.plan.shape).collect();
        follow(live, &stage.links, &shapes, record);
        let done = done?;
        done.drifts().into_iter().for_each(|warning| record.warn_once(warning));
        record.result.turns.push(done);
        keep_spans(collector, directory, record);
    }
    Ok(())
}

/// Has the file say what the links are asked to be.
fn follow(live: &mut Option<LiveFile>, links: &[LiveLink], shapes: &[Shape], record: &mut Record) {
    let followed = live.as_mut().map(|file| file.update(|live| live.follow(links, shapes)));
    if let Some(Err(error)) = followed {
        record.warn_live(&error);
    }
}

/// What stands while a run is live, beside what its runtime started.
struct Standing {
    collector: Collector,
    /// None before the links are made.
    live: Option<LiveFile>,
    /// The proxies of the links that are made.
    links: Vec<ProxyGuard>,
}

fn save_inputs(directory: &RunDirectory, topology: &Topology, plan: &Plan, record: &mut Record) {
    let saved = directory
        .write_text("topology.yaml", &topology::resolved(topology))
        .and_then(|()| directory.write_json("plan.json", plan));
    if let Err(error) = saved {
        record
            .error(Exit::Harness, format!("cannot write to {}: {error}", directory.path.display()));
    }
}

/// Deletes the links of a proxy that stays when the run is over; another run could
/// not make its own there. Other proxies end with the run, and their links too.
async fn remove_links(links: Vec<ProxyGuard>, runtime: RuntimeKind, record: &mut Record) {
    if runtime != RuntimeKind::Attach {
        links.into_iter().for_each(|link| drop(link.keep()));
        return;
    }
    let hint = "restart the proxy server before the next run";
    match timeout(CLEAN_UP_DEADLINE, join_all(links.into_iter().map(ProxyGuard::undo))).await {
        Ok(removed) => {
            for error in removed.into_iter().filter_map(Result::err) {
                let reason = format!("removing the links: {error}\n  hint: {hint}");
                record.error(Exit::Harness, reason);
            }
        }
        Err(_) => {
            let reason = format!("removing the links took longer than {CLEAN_UP_DEADLINE:?}");
            record.error(Exit::Harness, format!("{reason}\n  hint: {hint}"));
        }
    }
}

async fn clean_up(
    runtime: &mut dyn Runtime,
    directory: &RunDirectory,
    events: &Events,
    record: &mut Record,
) {
    let logs = directory.path.join("logs");
    match timeout(CLEAN_UP_DEADLINE, runtime.save_logs(&logs)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => record.warn_once(format!("cannot save the peers' logs: {error}")),
        Err(_) => record.warn_once("the peers' logs could not be saved in time".into()),
    }
    let hint = "`dropbed gc` removes what is left";
    match timeout(CLEAN_UP_DEADLINE, runtime.down()).await {
        Ok(Ok(())) => events.add("down", json!({})),
        Ok(Err(error)) => {
            record.error(Exit::Harness, format!("cleaning up: {error}\n  hint: {hint}"));
        }
        Err(_) => {
            let reason = format!("cleaning up took longer than {CLEAN_UP_DEADLINE:?}");
            record.error(Exit::Harness, format!("{reason}\n  hint: {hint}"));
        }
    }
}
