//! One run from file to verdict: everything is started here, and removed here.

pub(crate) mod directory;
mod hold;
mod host;
mod record;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use tokio::time::timeout;

use super::bed::{self, Bed, CLEAN_UP_DEADLINE, Desk, Keep};
use super::collect::{Collector, append_ndjson};
use super::events::Events;
use super::live::LiveFile;
use super::plan::{self, Plan, Refusal, Shape};
use super::result::RunResult;
use super::runtime::attach::AttachOptions;
use super::runtime::choice::{Choice, Wanted, choose};
use super::runtime::{Runtime, RuntimeError, RuntimeKind};
use super::scenario::{LiveLink, ScenarioError};
use super::topology::{Diagnostics, Topology};
use super::ui::Ui;
use crate::cli::exit::Exit;
use crate::telemetry::clock;
use crate::toxiproxy::client::ProxyGuard;
use directory::RunDirectory;
use record::{Ending, Record, RecordEnd};

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
    /// Executable to start as every peer, absolute; `None` is our own daemon.
    pub peer: Option<PathBuf>,
    /// Where run directories go.
    pub out_dir: PathBuf,
    /// Whether everything stays up after the scenario, until `cancelled`.
    pub hold: bool,
    /// Whether also what the plan advises against is tried.
    pub force: bool,
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
    /// The plan is larger than it should be, or than the runtime can make it.
    #[error(transparent)]
    Refused(#[from] Refusal),
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
    plan.refusal(request.force).map_or(Ok(()), Err)?;
    let start_ns = clock::now_ns();
    let mut cancelled = std::pin::pin!(cancelled);
    let wanted = Wanted {
        runtime: request.runtime,
        attach: Some(&request.attach),
        peer: request.peer.as_deref(),
        executable: None,
    };
    let Choice { mut runtime, why } = tokio::select! {
        biased;
        () = &mut cancelled => return Err(RunError::Interrupted),
        choice = choose(wanted) => choice?,
    };
    ui.line(format!("runtime: {} ({why})", runtime.kind()));
    if runtime.kind() != RuntimeKind::Process {
        plan.refusal_of_fixed_ports().map_or(Ok(()), Err)?;
    }
    let make_directory = RunDirectory::create(&request.out_dir, &plan.name, &request.file);
    let (directory, events) = make_directory
        .map_err(|source| RunError::Directory { path: request.out_dir.clone(), source })?;
    let mut record = Record::new(&plan, &directory, runtime.kind(), start_ns);
    save_inputs(&directory, &topology, &plan, &mut record);

    let mut standing = Standing::default();
    let (plan, events) = (Arc::new(plan), Arc::new(events));
    let desk = Desk { directory: &directory, events: &events, ui };
    let ending = {
        let work = work(&plan, runtime.as_mut(), desk, &mut record, &mut standing);
        tokio::select! {
            // Before a peer's end that the same Ctrl-C may have brought about.
            biased;
            () = &mut cancelled => Ending::Interrupted,
            ending = timeout(Duration::from_millis(plan.deadline_ms), work) => {
                ending.unwrap_or(Ending::TimedOut(plan.deadline_ms))
            }
        }
    };
    let ending = if request.hold && standing.can_be_held(&ending) {
        // What went wrong before holding decides the exit code.
        ending.note(&mut record, &events);
        standing.hold(runtime.as_mut(), desk, &mut record, cancelled).await
    } else {
        ending
    };
    if matches!(ending, Ending::Interrupted) {
        ui.line("interrupted: removing what was started ...");
    }
    ending.note(&mut record, &events);
    // Who asks now is told that there is no live run, before its parts go.
    let Standing { live, links, .. } = standing;
    drop(live);
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
    plan: &Arc<Plan>,
    runtime: &mut dyn Runtime,
    desk: Desk<'_>,
    record: &mut Record,
    standing: &mut Standing,
) -> Ending {
    let ready = match bed::prepare(plan, runtime, desk, Keep::WithUs).await {
        Ok(ready) => ready,
        Err(error) => return error.into(),
    };
    record.warn_all(&ready.warnings);
    standing.collector = Some(ready.collector.clone());
    let raised = bed::raise(plan, runtime, desk, &ready, &mut standing.links).await;
    let ending = match raised {
        Ok(bed) => tokio::select! {
            ended = drive(bed, standing, desk, record) => {
                ended.map_or_else(Ending::Scenario, |()| Ending::Done)
            }
            // A dead peer explains a failed call better than the call does.
            death = runtime.watch() => Ending::Dead(death),
        },
        Err(error) => error.into(),
    };
    let ending = match ending {
        Ending::Scenario(error) => death_behind(runtime, error).await,
        ending => ending,
    };
    // What a turn that was cut short left.
    keep_spans(&ready.collector, desk.directory, record);
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
    bed: Bed,
    standing: &mut Standing,
    desk: Desk<'_>,
    record: &mut Record,
) -> Result<(), ScenarioError> {
    let Desk { directory, .. } = desk;
    record.result.host.proxy.clone_from(&bed.stage.proxy_version);
    let plan = Arc::clone(&bed.stage.plan);
    let live = &mut standing.live;
    match LiveFile::create(&directory.path, bed.live(record.facts(desk))) {
        Ok(file) => *live = Some(file),
        Err(error) => record.warn_live(&error),
    }
    let mut stage = bed.stage;
    for &turn in &plan.order {
        follow(live, &stage.links, &plan.cells[turn.cell].shapes, record);
        let done = stage.turn(turn, &mut record.failures).await;
        // Also after an error: a run that is held then has the links that it reached.
        let shapes: Vec<Shape> = stage.links.iter().map(|link| link.plan.shape).collect();
        follow(live, &stage.links, &shapes, record);
        let done = done?;
        done.warnings().into_iter().for_each(|warning| record.warn_once(warning));
        record.result.turns.push(done);
        keep_spans(&stage.collector, directory, record);
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
#[derive(Default)]
struct Standing {
    /// None before the runtime is prepared.
    collector: Option<Collector>,
    /// None before the links are made.
    live: Option<LiveFile>,
    /// The proxies of the links that are made.
    links: Vec<ProxyGuard>,
}

fn save_inputs(directory: &RunDirectory, topology: &Topology, plan: &Plan, record: &mut Record) {
    if let Err(error) = directory.write_inputs(topology, plan) {
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
