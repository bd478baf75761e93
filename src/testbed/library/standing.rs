//! From a plan to a bed of this process, and back to nothing.

use std::sync::Arc;

use tokio::time::timeout;

use super::error::{TestbedError, file};
use crate::testbed::bed::{self, Bed, CLEAN_UP_DEADLINE, Desk, Keep};
use crate::testbed::live::{Facts, LiveFile, Phase};
use crate::testbed::plan::Plan;
use crate::testbed::run::directory::RunDirectory;
use crate::testbed::runtime::Runtime;
use crate::testbed::scenario::{ScenarioError, Stage};
use crate::testbed::up::LOGS_DEADLINE;
use crate::toxiproxy::client::ProxyGuard;

/// Starts it, proves its links, and says where it is.
pub(super) async fn stand(
    plan: &Arc<Plan>,
    runtime: &mut dyn Runtime,
    desk: Desk<'_>,
    links: &mut Vec<ProxyGuard>,
) -> Result<(Stage, LiveFile, Vec<String>), TestbedError> {
    let ready = bed::prepare(plan, runtime, desk, Keep::WithUs).await?;
    let mut bed: Bed = bed::raise(plan, runtime, desk, &ready, links).await?;
    for index in 0..bed.stage.links.len() {
        watched(runtime, bed.stage.prove(index)).await?;
    }
    let kind = runtime.kind().to_string();
    let facts = Facts {
        name: &plan.name,
        file: &desk.directory.topology,
        run_id: &desk.directory.run_id,
        runtime: &kind,
        started_unix_ns: desk.events.started_unix_ns(),
    };
    let mut live = bed.live(facts);
    live.phase = Phase::Held;
    let live = LiveFile::create(&desk.directory.path, live);
    let live = live.map_err(|error| file(&desk.directory.path, error))?;
    Ok((bed.stage, live, ready.warnings))
}

/// Keeps the logs and removes everything, each within its deadline. Logs that cannot be
/// kept keep nothing up.
pub(super) async fn take_down(
    runtime: &mut dyn Runtime,
    directory: &RunDirectory,
) -> Result<(), TestbedError> {
    let logs = directory.path.join("logs");
    let logs = timeout(LOGS_DEADLINE, runtime.save_logs(&logs)).await;
    let hint = "`dropbed gc` removes what is left once this process has ended";
    let removed = timeout(CLEAN_UP_DEADLINE, runtime.down()).await.map_err(|_| {
        let reason = format!("removing the bed took longer than {CLEAN_UP_DEADLINE:?}");
        TestbedError::Harness(format!("{reason}\n  hint: {hint}"))
    })?;
    removed.map_err(|error| {
        TestbedError::Harness(format!("removing the bed: {error}\n  hint: {hint}"))
    })?;
    let late = |_| {
        let directory = directory.path.display();
        let reason = format!("the bed is removed, but its logs were not kept in {directory}");
        TestbedError::Harness(format!("{reason} within {LOGS_DEADLINE:?}"))
    };
    Ok(logs.map_err(late)??)
}

/// A dead part explains a failed call better than the call does.
pub(super) async fn watched<T>(
    runtime: &mut dyn Runtime,
    work: impl Future<Output = Result<T, ScenarioError>>,
) -> Result<T, TestbedError> {
    tokio::select! {
        done = work => done.map_err(|error| TestbedError::Harness(error.to_string())),
        death = runtime.watch() => Err(TestbedError::Dead(death)),
    }
}
