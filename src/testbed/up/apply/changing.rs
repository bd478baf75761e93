//! The change itself: what goes, what comes, and what of it is told when.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::future::join_all;

use super::super::changes::{Action, Change, Kind};
use super::super::{Up, UpError, forget, fresh, told};
use crate::testbed::bed::{Bed, BedError, Keep, spans};
use crate::testbed::collect::Collector;
use crate::testbed::events::Events;
use crate::testbed::live::{Facts, Live, LiveFile};
use crate::testbed::plan::{Plan, SamplePlan};
use crate::testbed::run::directory::RunDirectory;
use crate::testbed::runtime::{Claim, PeerEndpoint, Runtime, World};
use crate::testbed::scenario::Stage;
use crate::testbed::scenario::provision::{Already, Reports};
use crate::testbed::ui::Ui;
use crate::toxiproxy::client::{Client, ClientError, ProxyGuard};

/// What is being done to what stands.
pub(super) struct Changing {
    pub(super) plan: Arc<Plan>,
    /// Before the change.
    pub(super) live: Live,
    pub(super) directory: RunDirectory,
    pub(super) events: Arc<Events>,
    pub(super) ui: Ui,
    /// Peers that stay, each with one that it is to forget.
    pub(super) forget: Vec<(String, String)>,
    /// What new peers are started from.
    pub(super) source: String,
}

impl Changing {
    pub(super) fn new(
        plan: Plan,
        live: Live,
        directory: RunDirectory,
        ui: Ui,
    ) -> Result<Self, UpError> {
        let events = Events::join(&directory.path.join("events.ndjson"), live.started_unix_ns);
        let events = Arc::new(events.map_err(|source| UpError::live(&directory, source))?);
        let (plan, forget, source) = (Arc::new(plan), Vec::new(), String::new());
        Ok(Self { plan, live, directory, events, ui, forget, source })
    }

    /// Lets go of what was made, or removes it.
    pub(super) async fn finish(
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

    /// Whatever links it makes are in `made`, also when it fails.
    pub(super) async fn carry_out(
        &self,
        runtime: &mut dyn Runtime,
        made: &mut Vec<ProxyGuard>,
        up: &mut Up,
    ) -> Result<(), UpError> {
        let Self { plan, live, directory, .. } = self;
        let context = directory.context(true);
        let resumed = runtime.resume(Some(plan), &live.standing(), &context, Claim::Beside).await;
        resumed.map_err(UpError::runtime)?;
        // Before plan.json is another: whom they know stands in the old one.
        forget::tell(&self.forget, &live.peers, &mut up.warnings).await?;
        let mut file = LiveFile::adopt(&directory.path, live.clone());
        self.remove_old(&mut file, runtime, &up.changes).await?;
        let kept = file.live().clone();
        let bed = self.start_new(kept, runtime, made, up).await?;
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
            let peers_source = self.source.clone();
            *live = Live { owner, phase, peers_source, ..now };
        })
        .map_err(|source| UpError::live(directory, source))
    }

    /// Removes what is not kept, and tells so first: should this end half way, nothing
    /// is told that is not there.
    async fn remove_old(
        &self,
        file: &mut LiveFile,
        runtime: &mut dyn Runtime,
        changes: &[Change],
    ) -> Result<(), UpError> {
        let Self { plan, live, directory, .. } = self;
        let gone = [Action::Replace, Action::Remove];
        let (peers_gone, links_gone) =
            (names(changes, Kind::Peer, &gone), names(changes, Kind::Link, &gone));
        let updated = file.update(|live| {
            live.links.retain(|link| !links_gone.contains(link.plan.name.as_str()));
            live.peers.retain(|peer| !peers_gone.contains(&peer.name));
            live.parts.retain(|part| !peers_gone.contains(&part.name));
        });
        updated.map_err(|source| UpError::live(directory, source))?;
        let written = directory.write_json("plan.json", &without_new_files(plan, changes));
        written.map_err(|source| UpError::live(directory, source))?;
        // Also what is to be created: an `up` that was killed may have begun it.
        remove_links(&live.proxy_api, links_gone.union(&names(changes, Kind::Link, &NEW))).await?;
        for peer in peers_gone.union(&names(changes, Kind::Peer, &NEW)) {
            runtime.remove(peer).await.map_err(UpError::runtime)?;
        }
        Ok(())
    }

    /// Starts what is new beside what is kept, and proves its links.
    async fn start_new(
        &self,
        kept: Live,
        runtime: &mut dyn Runtime,
        made: &mut Vec<ProxyGuard>,
        up: &mut Up,
    ) -> Result<Bed, UpError> {
        let Self { plan, events, ui, .. } = self;
        let peers_new = names(&up.changes, Kind::Peer, &NEW);
        let links_new = names(&up.changes, Kind::Link, &NEW);
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
            Ok(bed)
        };
        tokio::select! {
            bed = proving => bed,
            death = runtime.watch() => Err(UpError::bed(BedError::Dead(death))),
        }
    }

    /// The peers in the plan's order.
    fn world(&self, kept: &Live, started: Vec<PeerEndpoint>) -> World {
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

/// What was not there before as it is to be.
const NEW: [Action; 2] = [Action::Create, Action::Replace];

pub(super) fn names(changes: &[Change], kind: Kind, actions: &[Action]) -> HashSet<String> {
    let wanted = changes.iter().filter(|change| change.kind == kind);
    let wanted = wanted.filter(|change| actions.contains(&change.action));
    wanted.map(|change| change.name.clone()).collect()
}

fn kept_files(changes: &[Change], plan: &Plan) -> HashSet<(String, String)> {
    let kept = names(changes, Kind::File, &[Action::Keep]);
    let files = plan.samples.iter().map(|file| (file.peer.clone(), file.path.clone()));
    files.filter(|(peer, path)| kept.contains(&format!("{peer}/{path}"))).collect()
}

/// The plan as far as it is carried out while files are being made: those that are not
/// kept are not there as they should be.
fn without_new_files(plan: &Plan, changes: &[Change]) -> Plan {
    let kept = kept_files(changes, plan);
    let is_kept = |file: &&SamplePlan| kept.contains(&(file.peer.clone(), file.path.clone()));
    let samples = plan.samples.iter().filter(is_kept).cloned().collect();
    Plan { samples, ..plan.clone() }
}

async fn remove_links<'a>(
    proxy_api: &str,
    links: impl Iterator<Item = &'a String>,
) -> Result<(), UpError> {
    let failed = |error: ClientError| {
        UpError::harness(format!("removing links: {error}\n  hint: `dropbed up` again"))
    };
    let client = Client::new(proxy_api).map_err(failed)?;
    for link in links {
        client.delete_surely(link).await.map_err(failed)?;
    }
    Ok(())
}
