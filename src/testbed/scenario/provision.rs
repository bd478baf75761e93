//! From daemons that answer to a stage on which steps can run: links, ids, files.
//!
//! No key is in the plan: every daemon makes its own identity, and each is told
//! the others' ids and link addresses here.

use serde_json::json;

use super::link::toxics::{check_server, toxics};
use super::{LiveLink, LivePeer, ScenarioError, Stage};
use crate::proto::control::{AddPeerRequest, MakeSampleRequest, StatusReply, StatusRequest};
use crate::sample::Sample;
use crate::testbed::collect::Collector;
use crate::testbed::events::Events;
use crate::testbed::plan::{LinkPlan, Plan, SamplePlan};
use crate::testbed::runtime::{World, control};
use crate::testbed::ui::Ui;
use crate::toxiproxy::api::ProxySpec;
use crate::toxiproxy::client::{Client, ClientError, ProxyGuard};

/// Writing a test file is the only slow control call; 256 MiB take about a second.
const SAMPLE_DEADLINE_MS: u64 = 120_000;

impl<'a> Stage<'a> {
    /// Connects to every daemon and the proxy, makes links and files, and tells
    /// each daemon its peers. The links live as long as their guards in `made`,
    /// also those of a stage that is given up.
    pub(crate) async fn provision(
        plan: &'a Plan,
        world: &World,
        collector: &'a Collector,
        events: &'a Events,
        ui: Ui,
        made: &mut Vec<ProxyGuard>,
    ) -> Result<Self, ScenarioError> {
        let (peers, statuses) = connect(world).await?;
        let proxy = Client::new(&world.proxy_api);
        let proxy = proxy.map_err(|error| proxy_error("(all)", "reaching the proxy", &error))?;
        let version = proxy.version().await;
        let version = version
            .map_err(|error| proxy_error("(all)", "asking the proxy's version", &error))?
            .clone();
        check_server(plan, &version)?;
        let mut stage = Self {
            plan,
            peers,
            links: Vec::with_capacity(plan.links.len()),
            proxy,
            proxy_counts: version.is_bundled,
            proxy_version: version.text,
            digests: Vec::with_capacity(plan.samples.len()),
            collector,
            events,
            ui,
        };
        let mut addresses = Vec::with_capacity(plan.links.len());
        for link in &plan.links {
            let (address, guard) = stage.make_link(link, world).await?;
            made.push(guard);
            addresses.push(address);
        }
        stage.introduce(&statuses, &addresses).await?;
        for sample in &plan.samples {
            stage.make_sample(sample).await?;
        }
        Ok(stage)
    }

    /// Creates the proxy disabled, shapes it, enables it; returns the address at
    /// which the dialler reaches the listener.
    async fn make_link(
        &mut self,
        link: &LinkPlan,
        world: &World,
    ) -> Result<(String, ProxyGuard), ScenarioError> {
        let index = |name: &str| {
            let found = self.plan.peers.iter().position(|peer| peer.name == name);
            found.expect("the planner refuses links to peers that are not there")
        };
        let (dialler, listener) = (index(&link.dialler), index(&link.listener));
        let port = if world.fixed_link_ports { link.port } else { 0 };
        let spec = ProxySpec {
            name: link.name.clone(),
            listen: format!("{}:{port}", world.link_bind_host),
            upstream: world.peers[listener].upstream.clone(),
            enabled: None,
        };
        let toxics = toxics(link, link.shape, self.plan.rated(self.links.len()));
        let guard = self.proxy.create_guarded(&spec, &toxics).await;
        let guard = guard.map_err(|error| not_created(&link.name, world, &error))?;
        let made = guard.proxy().clone();
        // The server answers with the port that it really got.
        let port = made.listen.rsplit(':').next().unwrap_or_default();
        let address = format!("{}:{port}", world.link_dial_host);
        self.events.add("link", json!({"link": link.name, "dial": address, "upstream": made.upstream, "shape": link.shape}));
        let plan = link.clone();
        self.links.push(LiveLink {
            plan,
            dialler,
            listener,
            listen: made.listen,
            dial: address.clone(),
            upstream: made.upstream,
            rtt_measured_us: 0,
            correction_us: 0,
        });
        Ok((address, guard))
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
    async fn make_sample(&mut self, sample: &SamplePlan) -> Result<(), ScenarioError> {
        let peer = self.peer(&sample.peer);
        let request = MakeSampleRequest {
            path: sample.path.clone(),
            size_bytes: sample.size_bytes,
            seed: sample.seed,
        };
        let mut control = peer.control.clone();
        let attempted = format!("making the test file {}", sample.path);
        let (seed, size_bytes) = (sample.seed, sample.size_bytes);
        let digest = tokio::task::spawn_blocking(move || Sample::digest(seed, size_bytes));
        let reply =
            peer.call_within(SAMPLE_DEADLINE_MS, &attempted, control.make_sample(request)).await?;
        let digest = digest.await.expect("hashing a sample neither panics nor is cancelled");
        if reply.blake3 != digest.as_bytes() {
            return Err(ScenarioError::WrongSample {
                peer: sample.peer.clone(),
                path: sample.path.clone(),
            });
        }
        self.events.add("sample", json!({"peer": sample.peer, "path": sample.path, "size_bytes": size_bytes, "blake3": digest.to_hex().as_str()}));
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
