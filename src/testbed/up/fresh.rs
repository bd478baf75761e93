//! A topology of which nothing stands.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;

use super::changes::{Action, all_new};
use super::{Measured, Up, UpError, UpRequest, save, told};
use crate::testbed::bed::{self, Bed, BedError, Desk, Keep};
use crate::testbed::gc;
use crate::testbed::live::{Facts, LiveFile};
use crate::testbed::plan::Plan;
use crate::testbed::run::directory::RunDirectory;
use crate::testbed::runtime::choice::{Choice, choose, peers_source};
use crate::testbed::runtime::{Runtime, RuntimeKind};
use crate::testbed::topology::Topology;
use crate::testbed::ui::Ui;
use crate::toxiproxy::client::ProxyGuard;

pub(super) async fn fresh(
    request: &UpRequest,
    topology: &Topology,
    plan: Plan,
    ui: Ui,
    cancelled: impl Future<Output = ()>,
) -> Result<Up, UpError> {
    let mut up = Up {
        name: plan.name.clone(),
        run_id: String::new(),
        runtime: String::new(),
        directory: std::path::PathBuf::new(),
        changes: all_new(&plan),
        links: Vec::new(),
        warnings: Vec::new(),
    };
    if request.dry_run {
        return Ok(up);
    }
    let mut cancelled = std::pin::pin!(cancelled);
    let wanted = request.wanted(request.runtime);
    let Choice { mut runtime, why } = tokio::select! {
        biased;
        () = &mut cancelled => return Err(UpError::Interrupted),
        choice = async {
            sweep(ui).await;
            choose(wanted).await
        } => choice.map_err(UpError::runtime)?,
    };
    let source = peers_source(runtime.kind(), wanted).await.map_err(UpError::runtime)?;
    ui.line(format!("runtime: {} ({why})", runtime.kind()));
    if runtime.kind() != RuntimeKind::Process {
        plan.refusal_of_fixed_ports().map_or(Ok(()), Err)?;
    }
    let created = RunDirectory::create(&request.out_dir, &plan.name, &request.file);
    let (directory, events) = created.map_err(|source| UpError::File {
        path: request.out_dir.clone(),
        source,
        hint: "name another directory with --out",
    })?;
    save(&directory, topology, &plan)?;
    (up.run_id, up.runtime) = (directory.run_id.clone(), runtime.kind().to_string());
    up.directory.clone_from(&directory.path);

    let (plan, events) = (Arc::new(plan), Arc::new(events));
    let desk = Desk { directory: &directory, events: &events, ui };
    let mut made = Vec::new();
    let deadline = Duration::from_millis(plan.deadline_ms);
    let standing = tokio::select! {
        biased;
        () = &mut cancelled => Err(UpError::Interrupted),
        stood = timeout(deadline, stand(&plan, runtime.as_mut(), desk, &mut made, &mut up)) => {
            stood.unwrap_or_else(|_| Err(UpError::deadline(plan.deadline_ms)))
        }
    };
    // They end with their proxy, which either stays or goes as a whole.
    made.into_iter().for_each(|link| drop(link.keep()));
    let kept = standing.and_then(|mut file| {
        file.update(|live| live.peers_source = source)
            .and_then(|()| file.keep())
            .map_err(|source| UpError::live(&directory, source))
    });
    match kept {
        Ok(()) => {
            runtime.release();
            told(&events, &up.changes);
            Ok(up)
        }
        Err(error) => {
            ui.line("removing what was started ...");
            events.add("ended", json!({"reason": error.to_string()}));
            take_down(runtime.as_mut(), &directory, ui).await;
            Err(error)
        }
    }
}

/// Starts all of it and proves every link.
async fn stand(
    plan: &Arc<Plan>,
    runtime: &mut dyn Runtime,
    desk: Desk<'_>,
    made: &mut Vec<ProxyGuard>,
    up: &mut Up,
) -> Result<LiveFile, UpError> {
    let ready = bed::prepare(plan, runtime, desk, Keep::Standing).await.map_err(UpError::bed)?;
    up.warnings.clone_from(&ready.warnings);
    let raised = bed::raise(plan, runtime, desk, &ready, made).await;
    let mut bed = raised.map_err(UpError::bed)?;
    let proving = prove(&mut bed, |_| true, &mut up.links);
    tokio::select! {
        proven = proving => proven?,
        death = runtime.watch() => return Err(UpError::bed(BedError::Dead(death))),
    }
    let facts = Facts {
        name: &plan.name,
        file: &desk.directory.topology,
        run_id: &desk.directory.run_id,
        runtime: &up.runtime,
        started_unix_ns: desk.events.started_unix_ns(),
    };
    LiveFile::create(&desk.directory.path, bed.live(facts))
        .map_err(|source| UpError::live(desk.directory, source))
}

/// Measures the links that are `wanted`, by their names.
pub(super) async fn prove(
    bed: &mut Bed,
    wanted: impl Fn(&str) -> bool,
    measured: &mut Vec<Measured>,
) -> Result<(), UpError> {
    for index in 0..bed.stage.links.len() {
        if !wanted(&bed.stage.links[index].plan.name) {
            continue;
        }
        let probe = bed.stage.prove(index).await;
        let probe = probe.map_err(|error| UpError::bed(BedError::Scenario(error)))?;
        measured.push(Measured {
            link: probe.link,
            rtt_asked_us: probe.rtt_asked_us,
            rtt_measured_us: probe.rtt_measured_us,
        });
    }
    Ok(())
}

/// Leftovers of dead owners may hold addresses and names; what fails here shows
/// when they are needed.
async fn sweep(ui: Ui) {
    let report = gc::sweep(gc::Options::default()).await;
    if !report.removed.is_empty() {
        ui.line(format!("removed what killed runs left: {} things", report.removed.len()));
    }
    report.failures.iter().for_each(|failure| ui.line(format!("warning: {failure}")));
}

/// Removes what a runtime started, and says where its logs are and what is left.
pub(super) async fn take_down(runtime: &mut dyn Runtime, directory: &RunDirectory, ui: Ui) {
    let logs = directory.path.join("logs");
    let saved = timeout(super::LOGS_DEADLINE, runtime.save_logs(&logs)).await;
    if matches!(saved, Ok(Ok(()))) && logs.is_dir() {
        ui.line(format!("the logs of what was started: {}", logs.display()));
    }
    let left = match timeout(super::CLEAN_UP_DEADLINE, runtime.down()).await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("it took longer than {:?}", super::CLEAN_UP_DEADLINE),
    };
    ui.line(format!(
        "warning: removing what was started: {left}\n  hint: `dropbed gc` removes what is left"
    ));
}

impl Up {
    /// Whether anything was, or would be, done.
    pub fn is_changed(&self) -> bool {
        self.changes.iter().any(|change| change.action != Action::Keep)
    }
}
