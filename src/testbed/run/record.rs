//! How a run's work ended, and its result as it grows.

use serde_json::json;

use super::directory::RunDirectory;
use super::host;
use crate::cli::exit::Exit;
use crate::telemetry::clock;
use crate::testbed::bed::{BedError, Desk};
use crate::testbed::collect::SpanRecord;
use crate::testbed::events::Events;
use crate::testbed::live::Facts;
use crate::testbed::plan::Plan;
use crate::testbed::result::{Outcome, RunResult, SCHEMA, TurnResult};
use crate::testbed::runtime::{Death, RuntimeError, RuntimeKind};
use crate::testbed::scenario::ScenarioError;
use crate::testbed::trace_view::{self, ViewOptions};

/// How the work of a run ended.
pub(super) enum Ending {
    Done,
    Scenario(ScenarioError),
    Runtime(RuntimeError),
    Dead(Death),
    Telemetry(String),
    TimedOut(u64),
    Interrupted,
}

/// The result as it grows.
#[derive(Clone)]
pub(super) struct Record {
    pub(super) result: RunResult,
    pub(super) failures: Vec<String>,
    pub(super) exit: Exit,
    pub(super) start_ns: u64,
    /// For how long the run was held.
    pub(super) held_ns: u64,
}

pub(super) struct RecordEnd {
    pub(super) result: RunResult,
    pub(super) exit: Exit,
}

impl Record {
    pub(super) fn new(
        plan: &Plan,
        directory: &RunDirectory,
        runtime: RuntimeKind,
        start_ns: u64,
    ) -> Self {
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
            start_ns,
            held_ns: 0,
        }
    }

    /// The first error decides the exit code; all are told.
    pub(super) fn error(&mut self, exit: Exit, reason: String) {
        if self.exit == Exit::Pass {
            self.exit = exit;
        }
        self.result.reasons.push(reason);
    }

    /// Keeps the first read through the mount that both peers worked on.
    pub(super) fn keep_trace(&mut self, spans: &[SpanRecord]) {
        if self.result.one_read_trace.is_none() {
            self.result.one_read_trace = trace_view::one_read(spans)
                .map(|spans| trace_view::render(&spans, &ViewOptions::default()));
        }
    }

    /// Something that does not change the verdict, told with the result.
    pub(super) fn warn_once(&mut self, warning: String) {
        if !self.result.warnings.contains(&warning) {
            self.result.warnings.push(warning);
        }
    }

    pub(super) fn warn_all(&mut self, warnings: &[String]) {
        warnings.iter().for_each(|warning| self.warn_once(warning.clone()));
    }

    /// What is told of the run while it goes on.
    pub(super) fn facts<'a>(&'a self, desk: Desk<'a>) -> Facts<'a> {
        Facts {
            name: &self.result.name,
            file: &desk.directory.topology,
            run_id: &self.result.run_id,
            runtime: &self.result.runtime,
            started_unix_ns: desk.events.started_unix_ns(),
        }
    }

    pub(super) fn warn_live(&mut self, error: &std::io::Error) {
        self.warn_once(format!("cannot write live.json, by which others find the run: {error}"));
    }

    pub(super) fn end(mut self) -> RecordEnd {
        self.result.wall_ms = (clock::now_ns() - self.start_ns - self.held_ns) / 1_000_000;
        if self.exit == Exit::Pass && !self.failures.is_empty() {
            self.exit = Exit::Assertion;
        }
        self.result.reasons.append(&mut self.failures);
        self.result.outcome = match self.exit {
            Exit::Pass => Outcome::Pass,
            Exit::Assertion => Outcome::Fail,
            Exit::TimedOut => Outcome::TimedOut,
            Exit::Interrupted => Outcome::Interrupted,
            Exit::BadInput | Exit::Environment | Exit::Harness | Exit::Command(_) => Outcome::Error,
        };
        RecordEnd { result: self.result, exit: self.exit }
    }
}

impl From<BedError> for Ending {
    fn from(error: BedError) -> Self {
        match error {
            BedError::Runtime(error) => Self::Runtime(error),
            BedError::Telemetry(reason) => Self::Telemetry(reason),
            BedError::Scenario(error) => Self::Scenario(error),
            BedError::Dead(death) => Self::Dead(death),
        }
    }
}

impl Ending {
    /// Puts what happened into the record.
    pub(super) fn note(self, record: &mut Record, events: &Events) {
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
