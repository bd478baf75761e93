//! One run from file to verdict: everything is started here, and removed here.

mod directory;
mod host;

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;

use super::collect::{Collector, SpanRecord, append_ndjson};
use super::contract;
use super::events::Events;
use super::plan::{self, Plan};
use super::result::{Outcome, RunResult, SCHEMA, TurnResult};
use super::runtime::attach::AttachOptions;
use super::runtime::choice::{Choice, choose};
use super::runtime::{Death, RunContext, Runtime, RuntimeError, RuntimeKind, World};
use super::scenario::{ScenarioError, Stage};
use super::topology::{self, Diagnostics, Topology};
use super::trace_view::{self, ViewOptions};
use super::ui::Ui;
use crate::cli::exit::Exit;
use crate::telemetry::{clock, names};
use directory::RunDirectory;

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
/// its end. Dropping the future instead leaves clean-up to destructors.
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
    let mut record = Record::new(&plan, &directory, runtime.kind());
    save_inputs(&directory, &topology, &plan, &mut record);

    let ending = {
        let work = work(&plan, runtime.as_mut(), &directory, &events, ui, &mut record);
        tokio::select! {
            // Before a peer's end that the same Ctrl-C may have brought about.
            biased;
            () = &mut cancelled => Ending::Interrupted,
            ending = work => ending,
            // The run's deadline: time itself is the evidence.
            () = tokio::time::sleep(Duration::from_millis(plan.deadline_ms)) => Ending::TimedOut(plan.deadline_ms),
        }
    };
    if matches!(ending, Ending::Interrupted) {
        ui.line("interrupted: removing what was started ...");
    }
    ending.note(&mut record, &events);
    clean_up(runtime.as_mut(), &directory, &events, &mut record).await;
    let RecordEnd { mut result, exit } = record.end();
    result.wall_ms = (clock::now_ns() - start_ns) / 1_000_000;
    if let Err(error) = directory.write_json("result.json", &result) {
        ui.line(format!("error: cannot write result.json: {error}"));
        let exit = if exit == Exit::Pass { Exit::Harness } else { exit };
        return Ok(Finished { result, directory: directory.path, exit });
    }
    Ok(Finished { result, directory: directory.path, exit })
}

/// How the work of a run ended.
enum Ending {
    Done,
    Scenario(ScenarioError),
    Runtime(RuntimeError),
    Dead(Death),
    Telemetry(String),
    TimedOut(u64),
    Interrupted,
}

/// Starts everything and does every turn of the plan.
async fn work(
    plan: &Plan,
    runtime: &mut dyn Runtime,
    directory: &RunDirectory,
    events: &Events,
    ui: Ui,
    record: &mut Record,
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
    let ending = tokio::select! {
        ended = drive(plan, &world, &collector, directory, events, ui, record) => {
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
    keep_spans(&collector, directory, record);
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
    collector: &Collector,
    directory: &RunDirectory,
    events: &Events,
    ui: Ui,
    record: &mut Record,
) -> Result<(), ScenarioError> {
    let mut stage = Stage::provision(plan, world, collector, events, ui).await?;
    record.result.host.proxy.clone_from(&stage.proxy_version);
    for &turn in &plan.order {
        let done = stage.turn(turn, &mut record.failures).await?;
        record.result.turns.push(done);
        keep_spans(collector, directory, record);
    }
    Ok(())
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

/// The result as it grows.
struct Record {
    result: RunResult,
    failures: Vec<String>,
    exit: Exit,
}

struct RecordEnd {
    result: RunResult,
    exit: Exit,
}

impl Record {
    fn new(plan: &Plan, directory: &RunDirectory, runtime: RuntimeKind) -> Self {
        Self {
            result: RunResult {
                schema: SCHEMA,
                name: plan.name.clone(),
                run_id: directory.run_id.clone(),
                seed: plan.seed,
                runtime: runtime.to_string(),
                host: host::facts(),
                outcome: Outcome::Pass,
                reasons: Vec::new(),
                warnings: Vec::new(),
                turns: Vec::<TurnResult>::new(),
                one_read_trace: None,
                wall_ms: 0,
            },
            failures: Vec::new(),
            exit: Exit::Pass,
        }
    }

    /// The first error decides the exit code; all are told.
    fn error(&mut self, exit: Exit, reason: String) {
        if self.exit == Exit::Pass {
            self.exit = exit;
        }
        self.result.reasons.push(reason);
    }

    /// Keeps the first read through the mount that both peers worked on.
    fn keep_trace(&mut self, spans: &[SpanRecord]) {
        if self.result.one_read_trace.is_none() {
            self.result.one_read_trace = trace_view::one_read(spans)
                .map(|spans| trace_view::render(&spans, &ViewOptions::default()));
        }
    }

    /// Something that does not change the verdict, told with the result.
    fn warn_once(&mut self, warning: String) {
        if !self.result.warnings.contains(&warning) {
            self.result.warnings.push(warning);
        }
    }

    fn end(mut self) -> RecordEnd {
        if self.exit == Exit::Pass && !self.failures.is_empty() {
            self.exit = Exit::Assertion;
        }
        self.result.reasons.append(&mut self.failures);
        self.result.outcome = match self.exit {
            Exit::Pass => Outcome::Pass,
            Exit::Assertion => Outcome::Fail,
            Exit::TimedOut => Outcome::TimedOut,
            Exit::Interrupted => Outcome::Interrupted,
            Exit::BadInput | Exit::Environment | Exit::Harness => Outcome::Error,
        };
        RecordEnd { result: self.result, exit: self.exit }
    }
}

impl Ending {
    /// Puts what happened into the record.
    fn note(self, record: &mut Record, events: &Events) {
        let (exit, reason) = match self {
            Self::Done => return,
            Self::Scenario(error @ ScenarioError::Deadline { .. }) => {
                (Exit::TimedOut, error.to_string())
            }
            Self::Scenario(error) => (Exit::Harness, error.to_string()),
            Self::Runtime(RuntimeError::Died(death)) => (Exit::Harness, death.to_string()),
            Self::Runtime(error @ RuntimeError::Environment { .. }) => {
                (Exit::Environment, error.to_string())
            }
            Self::Runtime(error @ RuntimeError::Failed(_)) => (Exit::Harness, error.to_string()),
            Self::Dead(death) => (Exit::Harness, death.to_string()),
            Self::Telemetry(reason) => (Exit::Environment, reason),
            Self::TimedOut(ms) => (
                Exit::TimedOut,
                format!(
                    "the run did not end within its deadline of {} s (run.deadline)",
                    ms / 1_000
                ),
            ),
            Self::Interrupted => (Exit::Interrupted, "interrupted".into()),
        };
        events.add("ended", json!({"exit": exit.code(), "reason": reason}));
        record.error(exit, reason);
    }
}
