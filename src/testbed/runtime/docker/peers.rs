//! From networks and volumes to daemons that answer.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use bollard::Docker;
use bollard::models::VolumeCreateRequest;
use futures::{StreamExt as _, TryStreamExt as _};
use testcontainers::core::{IntoContainerPort as _, Mount};
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{
    ContainerAsync, ContainerRequest, CopyTargetOptions, GenericImage, ImageExt as _,
};
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::containers::{PUBLISHED_ON, labels, request};
use super::networks::Management;
use super::rights::Rights;
use super::{Part, Run, exits, failed};
use crate::testbed::contract::{
    CONTROL_PORT, DAEMON_PATH, MOUNT_DIR, PEER_PORT, PROXY_API_PORT, SHARE_DIR, STATE_DIR,
    TESTBED_PATH, TOKEN_FILE,
};
use crate::testbed::plan::{PeerPlan, Plan};
use crate::testbed::runtime::environment::{self, Placement};
use crate::testbed::runtime::{
    ControlAddress, PeerEndpoint, RunContext, RuntimeError, World, control,
};

/// Containers being started at once: more only queue inside the engine.
const STARTS_AT_ONCE: usize = 4;

/// From a container's start to its first answer.
const READY_DEADLINE: Duration = Duration::from_secs(60);

/// Pause between two questions to a proxy that starts.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// Longest wait for one answer of the proxy's API.
const ASK_TIMEOUT: Duration = Duration::from_secs(2);

/// Random bytes in a control token: out of reach of guessing.
const TOKEN_BYTES: usize = 32;

const PROXY: &str = "proxy";

/// Makes everything, proxy first. What was started before an error is in `run`.
pub(super) async fn start_all(
    run: &mut Run,
    image: &str,
    plan: &Plan,
    context: &RunContext,
) -> Result<World, RuntimeError> {
    for peer in &plan.peers {
        run.networks.create_for_peer(&peer.name).await?;
    }
    let proxy = start_proxy(run, image, plan).await?;
    let proxy_api = format!("http://{PUBLISHED_ON}:{}", published(&proxy, PROXY_API_PORT).await?);
    let proxy = run.keep(PROXY, proxy);
    let id = proxy.container.id().to_owned();
    ready(&run.docker, &id, PROXY, wait_for_api(&proxy_api)).await?;

    let start =
        Start { run, image, context, token: new_token()?, management: run.networks.management()? };
    let starts: Vec<_> = plan.peers.iter().map(|peer| start.peer(peer)).collect();
    let started: Vec<_> =
        futures::stream::iter(starts).buffered(STARTS_AT_ONCE).try_collect().await?;
    let mut peers = Vec::with_capacity(started.len());
    for (endpoint, container) in started {
        run.keep(&endpoint.name, container);
        peers.push(endpoint);
    }
    run.watch_exits();
    Ok(World {
        proxy_api,
        link_bind_host: "0.0.0.0".to_owned(),
        link_dial_host: PROXY.to_owned(),
        fixed_link_ports: true,
        peers,
    })
}

impl Run {
    fn keep(&mut self, name: &str, container: ContainerAsync<GenericImage>) -> &Part {
        self.parts.push(Part { name: name.to_owned(), container });
        self.parts.last().expect("pushed above")
    }

    fn watch_exits(&mut self) {
        let containers =
            self.parts.iter().map(|part| (part.container.id().to_owned(), part.name.clone()));
        let first = exits::first_death(self.docker.clone(), containers.collect());
        self.exit = Some(AbortOnDropHandle::new(tokio::spawn(first)));
    }
}

async fn start_proxy(
    run: &Run,
    image: &str,
    plan: &Plan,
) -> Result<ContainerAsync<GenericImage>, RuntimeError> {
    let port = PROXY_API_PORT.to_string();
    let request = request(image, &run.run_id, PROXY, Some(PROXY_API_PORT), Rights::Default)
        .with_network(run.networks.management()?.name)
        .with_cmd([TESTBED_PATH, "toxiproxy", "-host", "0.0.0.0", "-port", &port]);
    let proxy =
        request.start().await.map_err(|error| failed(format!("starting the proxy: {error}")))?;
    for peer in &plan.peers {
        run.networks.connect(&peer.name, proxy.id(), PROXY).await?;
    }
    Ok(proxy)
}

/// What all peers share while they are started.
struct Start<'a> {
    run: &'a Run,
    image: &'a str,
    context: &'a RunContext,
    token: String,
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
        create_volume(&run.docker, &self.volume(name, "state"), &run.run_id).await?;
        create_volume(&run.docker, &self.volume(name, "share"), &run.run_id).await?;
        let container =
            request.start().await.map_err(|error| failed(format!("starting {name}: {error}")))?;
        run.networks.connect(name, container.id(), name).await?;

        let answering = async {
            let address = format!("{PUBLISHED_ON}:{}", published(&container, CONTROL_PORT).await?);
            let control = ControlAddress::Tcp { address, token: self.token.clone() };
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
        let Self { run, context, management, .. } = self;
        let host = otlp_host(management);
        let place = Placement {
            listen: format!("0.0.0.0:{PEER_PORT}"),
            control: format!("0.0.0.0:{CONTROL_PORT}"),
            token_file: Some(TOKEN_FILE.to_owned()),
            state: STATE_DIR.to_owned(),
            share: SHARE_DIR.to_owned(),
            mount: MOUNT_DIR.to_owned(),
            otlp_endpoint: format!("http://{host}:{}", context.otlp_port),
        };
        let token_file = CopyTargetOptions::new(TOKEN_FILE).with_mode(0o400);
        let mut request =
            request(self.image, &run.run_id, &peer.name, Some(CONTROL_PORT), Rights::of(peer))
                .with_network(management.name.clone())
                .with_cmd([DAEMON_PATH, "run"])
                .with_mount(Mount::volume_mount(self.volume(&peer.name, "state"), STATE_DIR))
                .with_mount(Mount::volume_mount(self.volume(&peer.name, "share"), SHARE_DIR))
                .with_copy_to(token_file, self.token.clone().into_bytes());
        if host == HOST_BY_NAME {
            request = request.with_host(HOST_BY_NAME, testcontainers::core::Host::HostGateway);
        }
        for (name, value) in environment::of_peer(peer, context, place)? {
            request = request.with_env_var(name, value);
        }
        Ok(request)
    }

    fn volume(&self, peer: &str, what: &str) -> String {
        format!("{}-{what}-{peer}", self.run.run_id)
    }
}

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
    if answer.is_err() && !exits::is_running(docker, id).await {
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

async fn create_volume(docker: &Docker, name: &str, run_id: &str) -> Result<(), RuntimeError> {
    let labels: HashMap<_, _> = labels(run_id);
    let request = VolumeCreateRequest {
        name: Some(name.to_owned()),
        labels: Some(labels),
        ..VolumeCreateRequest::default()
    };
    docker
        .create_volume(request)
        .await
        .map(|_| ())
        .map_err(|error| failed(format!("creating volume {name}: {error}")))
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
