//! From a plan to a world that stands, with links that are made and peers that
//! know each other: what a run, `up` and the library have in common.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::collect::Collector;
use super::contract;
use super::events::Events;
use super::live::{Facts, Live};
use super::plan::Plan;
use super::run::directory::RunDirectory;
use super::runtime::part::PartPlace;
use super::runtime::{Death, Runtime, RuntimeError, RuntimeKind, Spans, World};
use super::scenario::provision::{Already, Reports};
use super::scenario::{ScenarioError, Stage};
use super::ui::Ui;
use crate::toxiproxy::client::ProxyGuard;

/// Bound of each part of clean-up, in which signals are not heeded: an engine that
/// stalls must not hold the command for ever.
pub(crate) const CLEAN_UP_DEADLINE: Duration = Duration::from_secs(60);

/// Where a run writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Desk<'a> {
    pub(crate) directory: &'a RunDirectory,
    pub(crate) events: &'a Arc<Events>,
    pub(crate) ui: Ui,
}

/// A world that stands.
#[derive(Debug)]
pub(crate) struct Bed {
    pub(crate) stage: Stage,
    pub(crate) world: World,
    pub(crate) parts: Vec<PartPlace>,
}

/// Why a world does not stand.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BedError {
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error("{0}")]
    Telemetry(String),
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    #[error("{0}")]
    Dead(Death),
}

/// Whether daemons outlive this process, and so cannot send it their spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// They end with it.
    WithUs,
    /// They stand until `dropbed down`.
    Standing,
}

/// What was prepared before anything is started.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) collector: Collector,
    pub(crate) spans: Spans,
    /// What the runtime cannot give; the run goes on.
    pub(crate) warnings: Vec<String>,
}

impl Ready {
    /// What a stage reports to.
    pub(crate) fn reports(&self, desk: Desk<'_>) -> Reports {
        let (collector, events) = (self.collector.clone(), Arc::clone(desk.events));
        Reports { collector, events, ui: desk.ui }
    }
}

/// Prepares the runtime and a receiver for spans.
pub(crate) async fn prepare(
    plan: &Plan,
    runtime: &mut dyn Runtime,
    desk: Desk<'_>,
    keep: Keep,
) -> Result<Ready, BedError> {
    let context = desk.directory.context(keep == Keep::Standing);
    let prepared = runtime.prepare(plan, &context).await?;
    let otlp_port = if runtime.kind() == RuntimeKind::Attach { contract::OTLP_PORT } else { 0 };
    let collector = Collector::bind(&prepared.otlp_host, otlp_port).await;
    let collector = collector.map_err(|error| BedError::Telemetry(error.to_string()))?;
    let spans = spans(keep, &collector);
    Ok(Ready { collector, spans, warnings: prepared.warnings })
}

/// To us, or, where we do not stay, to the collector that the environment names.
pub(crate) fn spans(keep: Keep, collector: &Collector) -> Spans {
    match keep {
        Keep::WithUs => Spans::ToUs(collector.port()),
        Keep::Standing => std::env::var(contract::env::OTLP_ENDPOINT).map_or(Spans::Off, Spans::To),
    }
}

/// Starts everything and makes the links. They live as long as their guards in
/// `made`, also those of a world that is given up.
///
/// Cancel-safe in that the runtime then has what was started, and `made` the links.
pub(crate) async fn raise(
    plan: &Arc<Plan>,
    runtime: &mut dyn Runtime,
    desk: Desk<'_>,
    ready: &Ready,
    made: &mut Vec<ProxyGuard>,
) -> Result<Bed, BedError> {
    let Desk { events, ui, .. } = desk;
    ui.line(format!("starting {} peers and a proxy", plan.peers.len()));
    let world = runtime.up(plan, &ready.spans).await?;
    events.add("up", json!({"peers": plan.peers.len(), "proxy": world.proxy_api}));
    let parts = runtime.parts();
    let (already, reports) = (Already::default(), ready.reports(desk));
    let provisioning = Stage::provision(plan, &world, reports, &already, made);
    let stage = tokio::select! {
        stage = provisioning => stage,
        // A dead peer explains a failed call better than the call does.
        death = runtime.watch() => return Err(BedError::Dead(death)),
    };
    Ok(Bed { stage: stage?, world, parts })
}

impl Bed {
    /// What others have to know of it.
    pub(crate) fn live(&self, run: Facts<'_>) -> Live {
        Live::of(run, &self.world, self.parts.clone(), &self.stage.links)
    }
}
