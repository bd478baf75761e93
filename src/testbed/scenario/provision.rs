//! From daemons that answer to a stage on which steps can run: links, ids, files.
//!
//! No key is in the plan: every daemon makes its own identity, and each is told
//! the others' ids and link addresses here.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::json;

use super::lacking::Lacking;
use super::link::toxics::{check_server, toxics};
use super::{LiveLink, LivePeer, ScenarioError, Stage};
use crate::proto::control as wire;
use crate::proto::control::{AddPeerRequest, MakeSampleRequest, StatusReply, StatusRequest};
use crate::sample::Sample;
use crate::testbed::collect::Collector;
use crate::testbed::events::Events;
use crate::testbed::live::LinkPlace;
use crate::testbed::plan::{Entropy, LinkPlan, Plan, SamplePlan};
use crate::testbed::runtime::{World, control};
use crate::testbed::ui::Ui;
use crate::toxiproxy::api::ProxySpec;
use crate::toxiproxy::client::{Client, ClientError, ProxyGuard};

/// Why waiting for a digest cannot fail.
const HASHED: &str = "hashing a sample neither panics nor is cancelled";

/// Writing a test file is the only slow control call; 256 MiB take about a second.
const SAMPLE_DEADLINE_MS: u64 = 120_000;

/// What stands before a stage is provisioned: another process made it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Already {
    /// By name.
    pub(crate) links: HashMap<String, LinkPlace>,
    /// Files that are there, by peer and path.
    pub(crate) samples: HashSet<(String, String)>,
}

/// What a stage reports to.
#[derive(Clone, Debug)]
pub(crate) struct Reports {
    pub(crate) collector: Collector,
    pub(crate) events: Arc<Events>,
    pub(crate) ui: Ui,
}

impl Stage {
    /// Connects to every daemon and the proxy, makes links and files, and tells
    /// each daemon its peers. The links live as long as their guards in `made`,
    /// also those of a stage that is given up.
    pub(crate) async fn provision(
        plan: &Arc<Plan>,
        world: &World,
        reports: Reports,
        already: &Already,
        made: &mut Vec<ProxyGuard>,
    ) -> Result<Self, ScenarioError> {
        let Reports { collector, events, ui } = reports;
        let (peers, statuses) = connect(world).await?;
        let proxy = Client::new(&world.proxy_api);
        let proxy = proxy.map_err(|error| proxy_error("(all)", "reaching the proxy", &error))?;
        let version = proxy.version().await;
        let version = version
            .map_err(|error| proxy_error("(all)", "asking the proxy's version", &error))?
            .clone();
        check_server(plan, &version)?;
        let mut stage = Self {
            plan: Arc::clone(plan),
            peers,
            links: Vec::with_capacity(plan.links.len()),
            proxy,
            proxy_counts: version.is_bundled,
            proxy_version: version.text,
            digests: Vec::with_capacity(plan.samples.len()),
            collector,
            events,
            ui,
            lacking: Lacking::default(),
        };
        stage.note_mounts(&statuses);
        let mut addresses = Vec::with_capacity(plan.links.len());
        for link in &plan.links {
            match already.links.get(link.name.as_str()) {
                Some(place) => stage.take_link(place),
                None => made.push(stage.make_link(link, world).await?),
            }
            addresses.extend(stage.links.last().map(|link| link.dial.clone()));
        }
        stage.introduce(&statuses, &addresses).await?;
        for sample in &plan.samples {
            let is_there = already.samples.contains(&(sample.peer.clone(), sample.path.clone()));
            stage.make_sample(sample, is_there).await?;
        }
        Ok(stage)
    }

    /// A peer may do without a mount as long as no step reads through it.
    fn note_mounts(&self, statuses: &[StatusReply]) {
        for (peer, status) in self.plan.peers.iter().zip(statuses) {
            if peer.mount && !status.mounted {
                let consequence = "no step can read through its mount";
                self.lacking.note(&peer.name, "it was told to mount and has not", consequence);
            }
        }
    }

    /// A link that stands, as it is.
    fn take_link(&mut self, place: &LinkPlace) {
        self.links.push(LiveLink {
            dialler: self.peer_index(&place.plan.dialler),
            listener: self.peer_index(&place.plan.listener),
            plan: place.plan.clone(),
            listen: place.listen.clone(),
            dial: place.dial.clone(),
            upstream: place.upstream.clone(),
            rtt_measured_us: 0,
            correction_us: place.correction_us,
        });
    }

    fn peer_index(&self, name: &str) -> usize {
        let found = self.plan.peers.iter().position(|peer| peer.name == name);
        found.expect("the planner refuses links to peers that are not there")
    }

    /// Creates the proxy disabled, shapes it, enables it.
    async fn make_link(
        &mut self,
        link: &LinkPlan,
        world: &World,
    ) -> Result<ProxyGuard, ScenarioError> {
        let (dialler, listener) = (self.peer_index(&link.dialler), self.peer_index(&link.listener));
        let port = match (world.link_hosts.fixed_ports, link.port) {
            (false, _) => 0,
            (true, Some(port)) => port,
            (true, None) => {
                let reason = "the proxy has no port left for it".to_owned();
                let (link, attempted) = (link.name.to_string(), "creating it".to_owned());
                return Err(ScenarioError::Proxy { link, attempted, reason });
            }
        };
        let spec = ProxySpec {
            name: link.name.to_string(),
            listen: format!("{}:{port}", world.link_hosts.bind),
            upstream: world.peers[listener].upstream.clone(),
            enabled: None,
        };
        let toxics = toxics(link, link.shape, self.plan.rated(self.links.len()));
        let guard = self.proxy.create_guarded(&spec, &toxics).await;
        let guard = guard.map_err(|error| not_created(&link.name, world, &error))?;
        let made = guard.proxy().clone();
        // The server answers with the port that it really got.
        let port = made.listen.rsplit(':').next().unwrap_or_default();
        let address = format!("{}:{port}", world.link_hosts.dial);
        self.events.add("link", json!({"link": link.name, "dial": address, "upstream": made.upstream, "shape": link.shape}));
        let plan = link.clone();
        self.links.push(LiveLink {
            plan,
            dialler,
            listener,
            listen: made.listen,
            dial: address,
            upstream: made.upstream,
            rtt_measured_us: 0,
            correction_us: 0,
        });
        Ok(guard)
    }

    /// Tells both ends of every link about each other. An end that has no link
    /// back is told no address, so it can only be dialled.
    async fn introduce(
        &self,
        statuses: &[StatusReply],
        addresses: &[String],
    ) -> Result<(), ScenarioError> {
        for (link, address) in self.links.iter().zip(addresses) {
            self.add_peer(link.dialler, &statuses[link.listener], address).await?;
            let has_link_back = self
                .links
                .iter()
                .any(|back| back.dialler == link.listener && back.listener == link.dialler);
            if !has_link_back {
                self.add_peer(link.listener, &statuses[link.dialler], "").await?;
            }
        }
        Ok(())
    }

    async fn add_peer(
        &self,
        to: usize,
        who: &StatusReply,
        address: &str,
    ) -> Result<(), ScenarioError> {
        let peer = &self.peers[to];
        let request = AddPeerRequest {
            name: who.name.clone(),
            id: who.id.clone(),
            address: address.to_owned(),
        };
        let mut control = peer.control.clone();
        peer.call(&format!("adding the peer {}", who.name), control.add_peer(request)).await?;
        Ok(())
    }

    /// Has the file made at its owner, and checks that it is the file that the
    /// seed makes, by a digest computed here.
    async fn make_sample(
        &mut self,
        sample: &SamplePlan,
        is_there: bool,
    ) -> Result<(), ScenarioError> {
        let peer = self.peer(&sample.peer);
        let request = MakeSampleRequest {
            path: sample.path.clone(),
            size_bytes: sample.size_bytes,
            seed: sample.seed,
            entropy: match sample.entropy {
                Entropy::Random => wire::Entropy::Random,
                Entropy::Text => wire::Entropy::Text,
                Entropy::Zeros => wire::Entropy::Zeros,
            }
            .into(),
        };
        let mut control = peer.control.clone();
        let attempted = format!("making the test file {}", sample.path);
        let (seed, size_bytes) = (sample.seed, sample.size_bytes);
        let entropy = sample.entropy;
        let digest = Sample::of(entropy, seed, size_bytes);
        let digest = tokio::task::spawn_blocking(move || digest.into_digest());
        if is_there {
            let digest = digest.await.expect(HASHED);
            self.digests.push(digest);
            return Ok(());
        }
        let reply =
            peer.call_within(SAMPLE_DEADLINE_MS, &attempted, control.make_sample(request)).await?;
        let digest = digest.await.expect(HASHED);
        if reply.blake3 != digest.as_bytes() {
            return Err(ScenarioError::WrongSample {
                peer: sample.peer.clone(),
                path: sample.path.clone(),
            });
        }
        self.events.add("sample", json!({"peer": sample.peer, "path": sample.path, "size_bytes": size_bytes, "entropy": entropy, "blake3": digest.to_hex().as_str()}));
        self.digests.push(digest);
        Ok(())
    }
}

async fn connect(world: &World) -> Result<(Vec<LivePeer>, Vec<StatusReply>), ScenarioError> {
    let mut peers = Vec::with_capacity(world.peers.len());
    let mut statuses = Vec::with_capacity(world.peers.len());
    for endpoint in &world.peers {
        let control = control::connect(&endpoint.control).await;
        let control = control.map_err(|error| ScenarioError::Control {
            peer: endpoint.name.clone(),
            attempted: "connecting to its control service".into(),
            reason: error.to_string(),
        })?;
        let peer = LivePeer { name: endpoint.name.clone(), control };
        let mut control = peer.control.clone();
        statuses.push(peer.call("status", control.status(StatusRequest {})).await?);
        peers.push(peer);
    }
    Ok((peers, statuses))
}

/// A name that is taken is somebody else's link, and is left to them.
fn not_created(link: &str, world: &World, error: &ClientError) -> ScenarioError {
    const TAKEN: u16 = 409;
    if error.status() != Some(TAKEN) {
        return proxy_error(link, "creating it", error);
    }
    let api = world.proxy_api.trim_end_matches('/');
    ScenarioError::Proxy {
        link: link.to_owned(),
        attempted: "creating it".to_owned(),
        reason: format!(
            "{error}\n  hint: another run uses this proxy server, or one was killed and left its \
             links (`dropbed link --proxy {api} ls` shows them): wait for it, restart the proxy \
             server, or delete each by the API: DELETE {api}/proxies/{link}"
        ),
    }
}

fn proxy_error(link: &str, attempted: &str, error: &ClientError) -> ScenarioError {
    ScenarioError::Proxy {
        link: link.to_owned(),
        attempted: attempted.to_owned(),
        reason: error.to_string(),
    }
}
