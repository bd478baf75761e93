//! From networks and volumes to daemons that answer.

use std::fmt::Write as _;
use std::time::Duration;

use bollard::Docker;
use bollard::models::VolumeCreateRequest;
use futures::{StreamExt as _, TryStreamExt as _};
use testcontainers::core::{AccessMode, IntoContainerPort as _, Mount};
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{
    ContainerAsync, ContainerRequest, CopyTargetOptions, GenericImage, ImageExt as _,
};
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::containers::{Limits, PUBLISHED_ON, labels, request};
use super::networks::Management;
use super::rights::Rights;
use super::{Part, Run, exits, failed};
use crate::testbed::contract::{
    CONTROL_PORT, DAEMON_PATH, MOUNT_DIR, PEER_PORT, PROXY_API_PORT, SHARE_DIR, STATE_DIR,
    TESTBED_PATH, TOKEN_FILE,
};
use crate::testbed::plan::{PeerPlan, Plan, Volume};
use crate::testbed::runtime::environment::{self, Placement};
use crate::testbed::runtime::part::PROXY;
use crate::testbed::runtime::{
    ControlAddress, LinkHosts, PeerEndpoint, RuntimeError, Spans, World, control,
};

/// Peers being started at once: more only queue inside the engine.
const STARTS_AT_ONCE: usize = 8;

/// From a container's start to its first answer.
const READY_DEADLINE: Duration = Duration::from_secs(60);

/// Pause between two questions to a proxy that starts.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// Longest wait for one answer of the proxy's API.
const ASK_TIMEOUT: Duration = Duration::from_secs(2);

/// Random bytes in a control token: out of reach of guessing.
const TOKEN_BYTES: usize = 32;

/// Makes everything, proxy first. What was started before an error is in `run`.
pub(super) async fn start_all(
    run: &mut Run,
    image: &str,
    plan: &Plan,
    spans: &Spans,
) -> Result<World, RuntimeError> {
    let proxy = start_proxy(run, image).await?;
    let proxy_api = format!("http://{PUBLISHED_ON}:{}", published(&proxy, PROXY_API_PORT).await?);
    run.proxy_id = run.keep(PROXY, proxy);
    ready(&run.docker, &run.proxy_id, PROXY, wait_for_api(&proxy_api)).await?;
    let peers = start_peers(run, image, &plan.peers, spans).await?;
    Ok(World {
        proxy_api,
        link_hosts: LinkHosts {
            bind: "0.0.0.0".to_owned(),
            dial: PROXY.to_owned(),
            fixed_ports: true,
        },
        peers,
    })
}

/// Makes the networks of these peers, with the proxy in them, and starts them.
pub(super) async fn start_peers(
    run: &mut Run,
    image: &str,
    peers: &[PeerPlan],
    spans: &Spans,
) -> Result<Vec<PeerEndpoint>, RuntimeError> {
    run.begun.extend(peers.iter().map(|peer| peer.name.clone()));
    let start = Start { run, image, spans, management: run.networks.management()? };
    let starts: Vec<_> = peers.iter().map(|peer| start.peer(peer)).collect();
    let started: Vec<_> =
        futures::stream::iter(starts).buffered(STARTS_AT_ONCE).try_collect().await?;
    let mut endpoints = Vec::with_capacity(started.len());
    for (endpoint, container) in started {
        run.keep(&endpoint.name, container);
        endpoints.push(endpoint);
    }
    run.watch_exits();
    Ok(endpoints)
}

impl Run {
    /// Starts a container to its end, also when nobody waits any more: one whose making
    /// was cut short at the engine would come into being behind the removal.
    async fn start(
        &self,
        name: &str,
        request: ContainerRequest<GenericImage>,
    ) -> Result<ContainerAsync<GenericImage>, RuntimeError> {
        let started = self.starts.spawn(async move { request.start().await }).await;
        let started = started.map_err(|error| failed(format!("starting {name}: {error}")))?;
        started.map_err(|error| failed(format!("starting {name}: {error}")))
    }

    /// From here on the container is ours to remove, by its label: whoever releases
    /// it must not have testcontainers do that. Returns its id.
    fn keep(&mut self, name: &str, container: ContainerAsync<GenericImage>) -> String {
        let id = container.id().to_owned();
        // Its destructor would remove the container, and holds nothing else of note.
        std::mem::forget(container);
        self.parts.push(Part { name: name.to_owned(), id: id.clone() });
        id
    }

    fn watch_exits(&mut self) {
        if self.parts.is_empty() {
            return;
        }
        let containers = self.parts.iter().map(|part| (part.id.clone(), part.name.clone()));
        let first = exits::first_death(self.docker.clone(), containers.collect());
        self.exit = Some(AbortOnDropHandle::new(tokio::spawn(first)));
    }
}

async fn start_proxy(run: &Run, image: &str) -> Result<ContainerAsync<GenericImage>, RuntimeError> {
    let port = PROXY_API_PORT.to_string();
    let limits = Limits::shared(Rights::Default);
    let request = request(image, &run.context, PROXY, Some(PROXY_API_PORT), limits)
        .with_network(run.networks.management()?.name)
        .with_cmd([TESTBED_PATH, "toxiproxy", "-host", "0.0.0.0", "-port", &port]);
    run.start(PROXY, request).await
}

/// What all peers share while they are started.
struct Start<'a> {
    run: &'a Run,
    image: &'a str,
    spans: &'a Spans,
    management: Management,
}

impl Start<'_> {
    async fn peer(
        &self,
        peer: &PeerPlan,
    ) -> Result<(PeerEndpoint, ContainerAsync<GenericImage>), RuntimeError> {
        let Self { run, .. } = self;
        let name = &peer.name;
        let request = self.request(peer)?;
        run.networks.create_for_peer(name).await?;
        run.networks.connect(name, &run.proxy_id, PROXY).await?;
        for (what, volume) in [(STATE, &peer.volumes.state), (SHARE, &peer.volumes.share)] {
            if *volume == Volume::Disk {
                self.create_volume(name, what).await?;
            }
        }
        let container = run.start(name, request).await?;
        run.networks.connect(name, container.id(), name).await?;

        let answering = async {
            let address = format!("{PUBLISHED_ON}:{}", published(&container, CONTROL_PORT).await?);
            let control = ControlAddress::Tcp { address, token: run.token.clone() };
            control::wait_until_ready(&control, READY_DEADLINE)
                .await
                .map_err(|error| failed(format!("peer {name}: {error}")))?;
            Ok(control)
        };
        let control = ready(&run.docker, container.id(), name, answering).await?;
        let upstream = format!("{name}:{PEER_PORT}");
        Ok((PeerEndpoint { name: name.clone(), control, upstream }, container))
    }

    fn request(&self, peer: &PeerPlan) -> Result<ContainerRequest<GenericImage>, RuntimeError> {
        let Self { run, management, .. } = self;
        let host = otlp_host(management);
        let place = Placement {
            listen: format!("0.0.0.0:{PEER_PORT}"),
            control: format!("0.0.0.0:{CONTROL_PORT}"),
            token_file: Some(TOKEN_FILE.to_owned()),
            state: STATE_DIR.to_owned(),
            share: SHARE_DIR.to_owned(),
            mount: MOUNT_DIR.to_owned(),
            otlp_endpoint: match self.spans {
                Spans::ToUs(port) => Some(format!("http://{host}:{port}")),
                Spans::To(url) => Some(url.clone()),
                Spans::Off => None,
            },
        };
        let token_file = CopyTargetOptions::new(TOKEN_FILE).with_mode(0o400);
        let limits =
            Limits { rights: Rights::of(peer), resources: peer.resources, peer: Some(&peer.name) };
        let (state, share) = (&peer.volumes.state, &peer.volumes.share);
        let mut request = request(self.image, &run.context, &peer.name, Some(CONTROL_PORT), limits)
            .with_network(management.name.clone())
            .with_cmd([DAEMON_PATH, "run"])
            .with_mount(self.mount(&peer.name, STATE, state, STATE_DIR))
            .with_mount(self.mount(&peer.name, SHARE, share, SHARE_DIR))
            .with_copy_to(token_file, run.token.clone().into_bytes());
        if host == HOST_BY_NAME {
            request = request.with_host(HOST_BY_NAME, testcontainers::core::Host::HostGateway);
        }
        for (name, value) in environment::of_peer(peer, &run.context, place)? {
            request = request.with_env_var(name, value);
        }
        Ok(request)
    }

    fn volume(&self, peer: &str, what: &str) -> String {
        format!("{}-{what}-{peer}", self.run.context.run_id)
    }

    fn mount(&self, peer: &str, what: &str, volume: &Volume, target: &str) -> Mount {
        match volume {
            Volume::Disk => Mount::volume_mount(self.volume(peer, what), target),
            Volume::Memory { size_bytes } => {
                let size = size_bytes.to_string();
                Mount::tmpfs_mount(target).with_size(&size).with_mode(0o700)
            }
            Volume::Directory { path, read_only } => {
                let mode = if *read_only { AccessMode::ReadOnly } else { AccessMode::ReadWrite };
                Mount::bind_mount(path, target).with_access_mode(mode)
            }
        }
    }

    async fn create_volume(&self, peer: &str, what: &str) -> Result<(), RuntimeError> {
        let name = self.volume(peer, what);
        let request = VolumeCreateRequest {
            name: Some(name.clone()),
            labels: Some(labels(&self.run.context, Some(peer))),
            ..VolumeCreateRequest::default()
        };
        let created = self.run.docker.create_volume(request).await;
        created.map(|_| ()).map_err(|error| failed(format!("creating volume {name}: {error}")))
    }
}

/// Ends of the names of a peer's volumes.
const STATE: &str = "state";
const SHARE: &str = "share";

/// The engine's machine, by the name that engines in VMs give it.
const HOST_BY_NAME: &str = "host.docker.internal";

fn otlp_host(management: &Management) -> String {
    match super::otlp_host(management).as_str() {
        "0.0.0.0" => HOST_BY_NAME.to_owned(),
        gateway => gateway.to_owned(),
    }
}

/// The answer, or how the container ended instead.
async fn ready<T>(
    docker: &Docker,
    id: &str,
    who: &str,
    answer: impl Future<Output = Result<T, RuntimeError>>,
) -> Result<T, RuntimeError> {
    let answer = tokio::select! {
        biased;
        death = exits::death(docker, id, who) => return Err(RuntimeError::Died(death)),
        answer = answer => answer,
    };
    // Its ports vanish a moment before its exit is told.
    if answer.is_err() && matches!(exits::is_running(docker, id).await, Ok(false)) {
        return Err(RuntimeError::Died(exits::death(docker, id, who).await));
    }
    answer
}

async fn published(
    container: &ContainerAsync<GenericImage>,
    port: u16,
) -> Result<u16, RuntimeError> {
    container
        .get_host_port_ipv4(port.tcp())
        .await
        .map_err(|error| failed(format!("asking for the published port of {port}: {error}")))
}

async fn wait_for_api(base_url: &str) -> Result<(), RuntimeError> {
    let url = format!("{base_url}/version");
    let client = reqwest::Client::builder()
        .timeout(ASK_TIMEOUT)
        .no_proxy()
        .build()
        .map_err(|error| failed(format!("making an HTTP client: {error}")))?;
    let mut last = String::new();
    let asking = async {
        loop {
            match client.get(&url).send().await.and_then(reqwest::Response::error_for_status) {
                Ok(_) => return,
                Err(error) => last = error.to_string(),
            }
            sleep(ASK_AGAIN_AFTER).await;
        }
    };
    timeout(READY_DEADLINE, asking).await.map_err(|_| {
        failed(format!("the proxy's API did not answer within {READY_DEADLINE:?}; last: {last}"))
    })
}

/// Hexadecimal, so that it is a header's value as it is.
pub(in crate::testbed) fn new_token() -> Result<String, RuntimeError> {
    let mut bytes = [0_u8; TOKEN_BYTES];
    getrandom::fill(&mut bytes)
        .map_err(|error| failed(format!("drawing a control token: {error}")))?;
    let mut token = String::with_capacity(2 * TOKEN_BYTES);
    for byte in bytes {
        write!(token, "{byte:02x}").expect("writing to a string cannot fail");
    }
    Ok(token)
}
