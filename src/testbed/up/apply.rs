//! A topology that stands, and is to be what its file says now.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::timeout;

use super::changes::{Action, Change, Kind, Stands, changes};
use super::{Up, UpError, UpRequest, down, fresh, save, told};
use crate::testbed::bed::{Bed, BedError, Keep, spans};
use crate::testbed::collect::Collector;
use crate::testbed::events::Events;
use crate::testbed::live::find::Found;
use crate::testbed::live::{Facts, LinkPlace, Live, LiveFile};
use crate::testbed::plan::{Plan, SamplePlan, link_ports};
use crate::testbed::run::directory::RunDirectory;
use crate::testbed::runtime::choice::choose;
use crate::testbed::runtime::part::PROXY;
use crate::testbed::runtime::{Claim, Runtime, RuntimeKind, World};
use crate::testbed::scenario::Stage;
use crate::testbed::scenario::provision::{Already, Reports};
use crate::testbed::topology::Topology;
use crate::testbed::ui::Ui;
use crate::toxiproxy::client::{Client, ProxyGuard};

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
        let running = running(&found.live).await.map_err(UpError::runtime)?;
        let runtime = match request.dry_run {
            true => None,
            false => Some(choose(wanted).await.map_err(UpError::runtime)?.runtime),
        };
        Ok::<_, UpError>((running, runtime))
    };
    let (running, runtime) = tokio::select! {
        biased;
        () = &mut cancelled => return Err(UpError::Interrupted),
        looked = looked => looked?,
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
    let stands = Stands {
        plan: &old,
        running: running.iter().map(String::as_str).collect(),
        started: live.peers.iter().map(|peer| peer.name.as_str()).collect(),
        links: live.links.iter().map(|link| link.plan.name.as_str()).collect(),
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
    let changing = Changing::new(plan, live, directory, ui)?;
    let mut made = Vec::new();
    let deadline_ms = changing.plan.deadline_ms;
    let work = changing.carry_out(runtime.as_mut(), &mut made, &mut up);
    let done = tokio::select! {
        biased;
        () = cancelled => Err(UpError::Interrupted),
        done = timeout(Duration::from_millis(deadline_ms), work) => {
            done.unwrap_or_else(|_| Err(UpError::deadline(deadline_ms)))
        }
    };
    changing.finish(done, runtime.as_mut(), made, &up).await?;
    save(&changing.directory, topology, &changing.plan)?;
    Ok(up)
}

/// What is being done to what stands.
struct Changing {
    plan: Arc<Plan>,
    /// Before the change.
    live: Live,
    directory: RunDirectory,
    events: Arc<Events>,
    ui: Ui,
}

impl Changing {
    fn new(plan: Plan, live: Live, directory: RunDirectory, ui: Ui) -> Result<Self, UpError> {
        let events = Events::join(&directory.path.join("events.ndjson"), live.started_unix_ns);
        let events = Arc::new(events.map_err(|source| UpError::live(&directory, source))?);
        Ok(Self { plan: Arc::new(plan), live, directory, events, ui })
    }

    /// Lets go of what was made, or removes it.
    async fn finish(
        &self,
        done: Result<(), UpError>,
        runtime: &mut dyn Runtime,
        made: Vec<ProxyGuard>,
        up: &Up,
    ) -> Result<(), UpError> {
        let Err(error) = done else {
            made.into_iter().for_each(|link| drop(link.keep()));
            runtime.release();
            told(&self.events, &up.changes);
            return Ok(());
        };
        self.ui.line("removing what was started ...");
        let undone = join_all(made.into_iter().map(ProxyGuard::undo)).await;
        for error in undone.into_iter().filter_map(Result::err) {
            self.ui.line(format!("warning: removing a link: {error}"));
        }
        fresh::take_down(runtime, &self.directory, self.ui).await;
        Err(error)
    }

    async fn carry_out(
        &self,
        runtime: &mut dyn Runtime,
        made: &mut Vec<ProxyGuard>,
        up: &mut Up,
    ) -> Result<(), UpError> {
        let Self { plan, live, directory, events, ui } = self;
        let names =
            |kind, actions: &[Action]| -> HashSet<String> { names(&up.changes, kind, actions) };
        let gone = [Action::Replace, Action::Remove];
        let new = [Action::Create, Action::Replace];
        let context = directory.context(true);
        let resumed = runtime.resume(Some(plan), &live.standing(), &context, Claim::Beside).await;
        resumed.map_err(UpError::runtime)?;
        let mut file = LiveFile::adopt(&directory.path, live.clone());

        let (peers_gone, links_gone) = (names(Kind::Peer, &gone), names(Kind::Link, &gone));
        let (peers_new, links_new) = (names(Kind::Peer, &new), names(Kind::Link, &new));
        // Said first: should this end half way, nothing is told that is not there.
        let updated = file.update(|live| {
            live.links.retain(|link| !links_gone.contains(link.plan.name.as_str()));
            live.peers.retain(|peer| !peers_gone.contains(&peer.name));
            live.parts.retain(|part| !peers_gone.contains(&part.name));
        });
        updated.map_err(|source| UpError::live(directory, source))?;
        let written = directory.write_json("plan.json", &without_new_files(plan, &up.changes));
        written.map_err(|source| UpError::live(directory, source))?;
        // Also what is to be created: an `up` that was killed may have begun it.
        remove_links(&live.proxy_api, links_gone.union(&links_new)).await?;
        for peer in peers_gone.union(&peers_new) {
            runtime.remove(peer).await.map_err(UpError::runtime)?;
        }
        let kept = file.live().clone();
        let starting = plan.peers.iter().filter(|peer| peers_new.contains(&peer.name));
        let starting: Vec<_> = starting.cloned().collect();
        // A stage wants one for the traces of steps; no step is done here.
        let collector = Collector::bind("127.0.0.1", 0).await;
        let collector =
            collector.map_err(|error| UpError::bed(BedError::Telemetry(error.to_string())))?;
        let spans = spans(Keep::Standing, &collector);
        let started = runtime.start(&starting, &spans).await.map_err(UpError::runtime)?;
        let world = self.world(&kept, started);
        let already = Already {
            links: kept.links.into_iter().map(|link| (link.plan.name.to_string(), link)).collect(),
            samples: kept_files(&up.changes, plan),
        };
        let reports = Reports { collector, events: Arc::clone(events), ui: *ui };
        let parts = kept.parts.into_iter().chain(runtime.parts()).collect();
        let measured = &mut up.links;
        let proving = async {
            let stage = Stage::provision(plan, &world, reports, &already, made).await;
            let stage = stage.map_err(|error| UpError::bed(BedError::Scenario(error)))?;
            let mut bed = Bed { stage, world: world.clone(), parts };
            fresh::prove(&mut bed, |link| links_new.contains(link), measured).await?;
            Ok::<_, UpError>(bed)
        };
        let bed = tokio::select! {
            bed = proving => bed?,
            death = runtime.watch() => return Err(UpError::bed(BedError::Dead(death))),
        };
        let facts = Facts {
            name: &plan.name,
            file: &directory.topology,
            run_id: &live.run_id,
            runtime: &live.runtime,
            started_unix_ns: live.started_unix_ns,
        };
        let now = bed.live(facts);
        file.update(|live| {
            let (owner, phase) = (live.owner.clone(), live.phase);
            *live = Live { owner, phase, ..now };
        })
        .map_err(|source| UpError::live(directory, source))
    }

    /// The peers in the plan's order.
    fn world(&self, kept: &Live, started: Vec<crate::testbed::runtime::PeerEndpoint>) -> World {
        let all = kept.peers.iter().cloned().chain(started);
        let mut by_name: HashMap<_, _> = all.map(|peer| (peer.name.clone(), peer)).collect();
        let peers = self.plan.peers.iter().filter_map(|peer| by_name.remove(&peer.name));
        World {
            proxy_api: kept.proxy_api.clone(),
            link_hosts: kept.link_hosts.clone(),
            peers: peers.collect(),
        }
    }
}

fn names(changes: &[Change], kind: Kind, actions: &[Action]) -> HashSet<String> {
    let wanted = changes.iter().filter(|change| change.kind == kind);
    let wanted = wanted.filter(|change| actions.contains(&change.action));
    wanted.map(|change| change.name.clone()).collect()
}

fn kept_files(changes: &[Change], plan: &Plan) -> HashSet<(String, String)> {
    let kept = names(changes, Kind::File, &[Action::Keep]);
    let files = plan.samples.iter().map(|file| (file.peer.clone(), file.path.clone()));
    files.filter(|(peer, path)| kept.contains(&format!("{peer}/{path}"))).collect()
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

/// The plan as far as it is carried out while files are being made: those that are not
/// kept are not there as they should be.
fn without_new_files(plan: &Plan, changes: &[Change]) -> Plan {
    let kept = kept_files(changes, plan);
    let is_kept = |file: &&SamplePlan| kept.contains(&(file.peer.clone(), file.path.clone()));
    let samples = plan.samples.iter().filter(is_kept).cloned().collect();
    Plan { samples, ..plan.clone() }
}

fn absolute(file: &Path) -> PathBuf {
    std::path::absolute(file).unwrap_or_else(|_| file.to_owned())
}

async fn remove_links<'a>(
    proxy_api: &str,
    links: impl Iterator<Item = &'a String>,
) -> Result<(), UpError> {
    let failed = |error: crate::toxiproxy::client::ClientError| {
        UpError::harness(format!("removing links: {error}\n  hint: `dropbed up` again"))
    };
    let client = Client::new(proxy_api).map_err(failed)?;
    for link in links {
        client.delete_surely(link).await.map_err(failed)?;
    }
    Ok(())
}

fn kind_of(live: &Live, request: &UpRequest, directory: &Path) -> Result<RuntimeKind, UpError> {
    let stands = if live.runtime == RuntimeKind::Docker.to_string() {
        RuntimeKind::Docker
    } else {
        RuntimeKind::Process
    };
    match request.runtime {
        Some(asked) if asked != stands => Err(UpError::OtherRuntime {
            name: live.name.clone(),
            stands: live.runtime.clone(),
            directory: directory.to_owned(),
        }),
        _ => Ok(stands),
    }
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
async fn running(live: &Live) -> Result<HashSet<String>, crate::testbed::runtime::RuntimeError> {
    let states = join_all(live.parts.iter().map(|part| part.is_running())).await;
    let parts = live.parts.iter().zip(states);
    let running = parts.filter_map(|(part, state)| match state {
        Ok(true) => Some(Ok(part.name.clone())),
        Ok(false) => None,
        Err(error) => Some(Err(error)),
    });
    running.collect()
}
