//! A topology that stands, and is to be what its file says now.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::future::join_all;
use tokio::time::timeout;

use self::changing::{Changing, names};
use super::changes::{Action, Kind, Stands, changes};
use super::{Up, UpError, UpRequest, down, drift, forget, fresh, save};
use crate::testbed::live::find::Found;
use crate::testbed::live::{LinkPlace, Live};
use crate::testbed::plan::{Plan, link_ports};
use crate::testbed::run::directory::RunDirectory;
use crate::testbed::runtime::choice::{choose, peers_source};
use crate::testbed::runtime::docker::POOL_VARIABLE;
use crate::testbed::runtime::part::PROXY;
use crate::testbed::runtime::{Runtime, RuntimeError, RuntimeKind};
use crate::testbed::topology::Topology;
use crate::testbed::ui::Ui;

mod changing;

pub(super) async fn apply(
    request: &UpRequest,
    topology: &Topology,
    mut plan: Plan,
    found: Found,
    ui: Ui,
    cancelled: impl Future<Output = ()>,
) -> Result<Up, UpError> {
    let mut cancelled = std::pin::pin!(cancelled);
    let kind = kind_of(&found.live, request, &found.directory)?;
    if kind != RuntimeKind::Process {
        plan.refusal_of_fixed_ports().map_or(Ok(()), Err)?;
    }
    let wanted = request.wanted(Some(kind));
    // Before anything is removed: what is needed to start anew must be there.
    let looked = async {
        let running = running(&found.live).await?;
        let runtime = match request.dry_run {
            true => None,
            false => Some(choose(wanted).await?.runtime),
        };
        Ok((running, runtime))
    };
    let (running, runtime) = tokio::select! {
        biased;
        () = &mut cancelled => return Err(UpError::Interrupted),
        looked = looked => looked.map_err(UpError::runtime)?,
    };
    if !running.contains(PROXY) {
        // Its links are gone, and every address with them.
        ui.line("the proxy has ended: everything is made anew");
        let request = UpRequest { runtime: Some(kind), ..request.clone() };
        if !request.dry_run {
            down::remove(found, ui).await.map_err(UpError::down)?;
        }
        return fresh::fresh(&request, topology, plan, ui, cancelled).await;
    }
    let Found { directory, live } = found;
    let old = read_plan(&directory)?;
    check_range(kind, &old, &plan)?;
    let looked = async {
        let source = peers_source(kind, wanted).await.map_err(UpError::runtime)?;
        Ok::<_, UpError>((drift::drifted(&live, &old).await?, source))
    };
    let (drifted, source) = tokio::select! {
        biased;
        () = &mut cancelled => return Err(UpError::Interrupted),
        looked = looked => looked?,
    };
    let stands = Stands {
        plan: &old,
        running: running.iter().map(String::as_str).collect(),
        started: live.peers.iter().map(|peer| peer.name.as_str()).collect(),
        links: live.links.iter().map(|link| link.plan.name.as_str()).collect(),
        drifted,
        // A dropbed that did not note it left nothing to compare with.
        is_other_executable: !live.peers_source.is_empty() && live.peers_source != source,
    };
    let changes = changes(&stands, &plan);
    keep_ports(&mut plan, &live);
    let mut up = Up {
        name: plan.name.clone(),
        run_id: live.run_id.clone(),
        runtime: live.runtime.clone(),
        directory: directory.clone(),
        changes,
        links: Vec::new(),
        warnings: Vec::new(),
    };
    let Some(mut runtime) = runtime.filter(|_| up.is_changed()) else { return Ok(up) };
    let directory =
        RunDirectory { topology: absolute(&request.file), ..RunDirectory::of(directory, &live) };
    let forget = forget::pairs(&old, &plan, &names(&up.changes, Kind::Peer, &[Action::Keep]));
    let changing = Changing { forget, source, ..Changing::new(plan, live, directory, ui)? };
    change(&changing, runtime.as_mut(), &mut up, cancelled).await?;
    save(&changing.directory, topology, &changing.plan)?;
    Ok(up)
}

/// Carries the change out within the plan's deadline, or removes what it started.
async fn change(
    changing: &Changing,
    runtime: &mut dyn Runtime,
    up: &mut Up,
    cancelled: impl Future<Output = ()>,
) -> Result<(), UpError> {
    let mut made = Vec::new();
    let deadline_ms = changing.plan.deadline_ms;
    let work = changing.carry_out(runtime, &mut made, up);
    let done = tokio::select! {
        biased;
        () = cancelled => Err(UpError::Interrupted),
        done = timeout(Duration::from_millis(deadline_ms), work) => {
            done.unwrap_or_else(|_| Err(UpError::deadline(deadline_ms)))
        }
    };
    changing.finish(done, runtime, made, up).await
}

/// Links that stand keep the ports that they listen on; others get free ones.
fn keep_ports(plan: &mut Plan, live: &Live) {
    let standing: HashMap<&str, &LinkPlace> =
        live.links.iter().map(|link| (link.plan.name.as_str(), link)).collect();
    let taken: HashSet<u16> = live.links.iter().filter_map(|link| link.plan.port).collect();
    let mut free = link_ports().filter(|port| !taken.contains(port));
    for link in &mut plan.links {
        let stands = standing.get(link.name.as_str()).and_then(|place| place.plan.port);
        link.port = stands.or_else(|| free.next());
    }
}

fn absolute(file: &Path) -> PathBuf {
    std::path::absolute(file).unwrap_or_else(|_| file.to_owned())
}

fn kind_of(live: &Live, request: &UpRequest, directory: &Path) -> Result<RuntimeKind, UpError> {
    let stands = live.runtime_kind();
    match request.runtime {
        Some(asked) if asked != stands => Err(UpError::OtherRuntime {
            name: live.name.clone(),
            stands: live.runtime.clone(),
            directory: directory.to_owned(),
        }),
        _ => Ok(stands),
    }
}

/// Networks that stand keep their addresses. Processes have none, and a pool in the
/// environment counts whatever a file says.
fn check_range(kind: RuntimeKind, old: &Plan, new: &Plan) -> Result<(), UpError> {
    let [stands, asked] = [old, new].map(|plan| &plan.networks.range);
    let is_meant = kind == RuntimeKind::Docker && std::env::var_os(POOL_VARIABLE).is_none();
    if !is_meant || stands == asked {
        return Ok(());
    }
    let (name, stands, asked) = (new.name.clone(), stands.clone(), asked.clone());
    Err(UpError::OtherRange { name, stands, asked })
}

fn read_plan(directory: &Path) -> Result<Plan, UpError> {
    let path = directory.join("plan.json");
    let failed = |source: std::io::Error| UpError::File {
        path: path.clone(),
        source,
        hint: "`dropbed down`, then `dropbed up` again",
    };
    let text = std::fs::read(&path).map_err(failed)?;
    serde_json::from_slice(&text).map_err(|error| failed(error.into()))
}

/// The parts that run, by name.
async fn running(live: &Live) -> Result<HashSet<String>, RuntimeError> {
    let states = join_all(live.parts.iter().map(|part| part.is_running())).await;
    let parts = live.parts.iter().zip(states);
    let running = parts.filter_map(|(part, state)| match state {
        Ok(true) => Some(Ok(part.name.clone())),
        Ok(false) => None,
        Err(error) => Some(Err(error)),
    });
    running.collect()
}
