//! Removal by label: what a run made is found even if it was never told.

use std::collections::HashMap;
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::NetworkDisconnectRequest;
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder,
    RemoveContainerOptionsBuilder, RemoveVolumeOptionsBuilder, StopContainerOptionsBuilder,
};
use futures::StreamExt as _;
use tokio::time::timeout;

use super::{Part, failed};
use crate::testbed::contract::label;
use crate::testbed::runtime::RuntimeError;

/// From SIGTERM to SIGKILL, in the engine's unit: a daemon closes its sessions
/// and unmounts.
const STOP_TIMEOUT_S: i32 = 5;

/// Peers, or things of one kind, that are ended at once. The kernel takes interfaces
/// and bridges down one after the other, so more of them only wait there.
const ENDINGS_AT_ONCE: usize = 8;

/// The engine removes a network's last endpoint a moment after its container.
const REMOVALS_MAX: usize = 20;
const REMOVE_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// For one answer of the engine, which may be busy with the removal of others: past
/// this it stalls. A restart within it includes the stop.
pub(in crate::testbed) const ANSWER_DEADLINE: Duration = Duration::from_secs(30);

/// One thing that a run made, with its labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::testbed) struct Found {
    pub(in crate::testbed) kind: FoundKind,
    pub(in crate::testbed) id: String,
    pub(in crate::testbed) name: String,
    pub(in crate::testbed) labels: HashMap<String, String>,
}

/// In the order of removal: each may be in use by those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::testbed) enum FoundKind {
    Container,
    Volume,
    Network,
}

impl FoundKind {
    pub(in crate::testbed) const fn name(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Volume => "volume",
            Self::Network => "network",
        }
    }
}

/// Stops and removes what a run made: peer by peer, some at once, so that one peer's
/// network goes while another's container ends; then the proxy and all else that
/// carries its label. Goes on after an error, and returns the first.
pub(super) async fn end_run(
    docker: Docker,
    run_id: &str,
    parts: &[Part],
) -> Result<(), RuntimeError> {
    let filter = label_filter(Some(run_id));
    let found = find_all(&docker, &filter).await;
    let found = found.map_err(|error| not_removed(run_id, parts, &error))?;
    let mut of_peers: HashMap<String, Vec<Found>> = HashMap::new();
    for one in found {
        if let Some(peer) = one.labels.get(label::PEER) {
            of_peers.entry(peer.clone()).or_default().push(one);
        }
    }
    let endings: Vec<_> = of_peers.values().map(|found| end_all(&docker, found)).collect();
    let endings = futures::stream::iter(endings).buffer_unordered(ENDINGS_AT_ONCE);
    let of_peers: Result<(), _> = endings.collect::<Vec<_>>().await.into_iter().collect();
    match find_all(&docker, &filter).await {
        Ok(found) => of_peers.and(end_all(&docker, &found).await),
        // This says more than what failed before for the same reason.
        Err(error) => Err(not_removed(run_id, parts, &error)),
    }
}

/// For an engine that does not answer any more: what it still has, as far as is known.
fn not_removed(run_id: &str, parts: &[Part], error: &RuntimeError) -> RuntimeError {
    let names: Vec<_> = parts.iter().map(|part| part.name.as_str()).collect();
    let started = match names.as_slice() {
        [] => "containers that were being started".to_owned(),
        names => format!("containers {} and those that were being started", names.join(", ")),
    };
    failed(format!(
        "the engine does not answer any more ({error}); it may still have {started}, with \
         volumes and networks: all that is labelled {}={run_id}",
        label::RUN
    ))
}

/// The same for everything that belongs to one peer of a run.
pub(super) async fn end_peer(
    docker: &Docker,
    run_id: &str,
    peer: &str,
) -> Result<(), RuntimeError> {
    let mut filter = label_filter(Some(run_id));
    filter.values_mut().for_each(|labels| labels.push(format!("{}={peer}", label::PEER)));
    end_all(docker, &find_all(docker, &filter).await?).await
}

/// Stops the containers among these, takes whoever is left out of the networks, and
/// removes everything.
async fn end_all(docker: &Docker, found: &[Found]) -> Result<(), RuntimeError> {
    let of_kind = |kind| found.iter().filter(move |one| one.kind == kind);
    let stops = of_kind(FoundKind::Container).map(|one| stop(docker, one.id.clone()));
    let stops = futures::stream::iter(stops.collect::<Vec<_>>()).buffer_unordered(ENDINGS_AT_ONCE);
    let stopped: Result<(), _> = stops.collect::<Vec<_>>().await.into_iter().collect();
    for network in of_kind(FoundKind::Network) {
        leave(docker, &network.id).await;
    }
    stopped.and(remove_all(docker, found).await)
}

/// Takes whoever else is in a network out of it: the proxy, which stays. What
/// fails here shows when the network is removed.
async fn leave(docker: &Docker, network: &str) {
    let Ok(found) = docker.inspect_network(network, None).await else { return };
    for container in found.containers.unwrap_or_default().into_keys() {
        let request = NetworkDisconnectRequest { container, force: Some(true) };
        if let Err(error) = docker.disconnect_network(network, request).await {
            tracing::debug!("leaving network {network}: {error}");
        }
    }
}

/// In order of kind, those of one kind at once; goes on after an error.
pub(in crate::testbed) async fn remove_all(
    docker: &Docker,
    found: &[Found],
) -> Result<(), RuntimeError> {
    let mut first = Ok(());
    for kind in [FoundKind::Container, FoundKind::Volume, FoundKind::Network] {
        let of_kind = found.iter().filter(|one| one.kind == kind);
        let removals: Vec<_> = of_kind.map(|one| remove(docker, one)).collect();
        let removals = futures::stream::iter(removals).buffer_unordered(ENDINGS_AT_ONCE);
        first = first.and(removals.collect::<Vec<_>>().await.into_iter().collect());
    }
    first
}

/// Everything that carries these labels, in the order of removal.
pub(in crate::testbed) async fn find_all(
    docker: &Docker,
    filter: &HashMap<String, Vec<String>>,
) -> Result<Vec<Found>, RuntimeError> {
    let containers = ListContainersOptionsBuilder::new().all(true).filters(filter).build();
    let containers = listed("containers", docker.list_containers(Some(containers))).await?;
    let volumes = ListVolumesOptionsBuilder::new().filters(filter).build();
    let volumes = listed("volumes", docker.list_volumes(Some(volumes))).await?.volumes;
    let networks = ListNetworksOptionsBuilder::new().filters(filter).build();
    let networks = listed("networks", docker.list_networks(Some(networks))).await?;

    let containers = containers.into_iter().map(|one| Found {
        kind: FoundKind::Container,
        id: one.id.unwrap_or_default(),
        name: one.names.unwrap_or_default().join(",").trim_start_matches('/').to_owned(),
        labels: one.labels.unwrap_or_default(),
    });
    let volumes = volumes.unwrap_or_default().into_iter().map(|one| Found {
        kind: FoundKind::Volume,
        id: one.name.clone(),
        name: one.name,
        labels: one.labels,
    });
    let networks = networks.into_iter().map(|one| Found {
        kind: FoundKind::Network,
        id: one.id.unwrap_or_default(),
        name: one.name.unwrap_or_default(),
        labels: one.labels.unwrap_or_default(),
    });
    Ok(containers.chain(volumes).chain(networks).collect())
}

async fn listed<T>(
    what: &str,
    listing: impl Future<Output = Result<T, Error>>,
) -> Result<T, RuntimeError> {
    let found = timeout(ANSWER_DEADLINE, listing).await.map_err(|_| {
        failed(format!(
            "listing {what}: the engine did not answer within {ANSWER_DEADLINE:?}; does \
             `docker ps` answer?"
        ))
    })?;
    found.map_err(|error| failed(format!("listing {what}: {error}")))
}

/// Of one run, or of this tool.
pub(in crate::testbed) fn label_filter(run_id: Option<&str>) -> HashMap<String, Vec<String>> {
    let tool = format!("{}={}", label::TOOL, label::TOOL_VALUE);
    let run = run_id.map(|run_id| format!("{}={run_id}", label::RUN));
    HashMap::from([("label".to_owned(), std::iter::once(tool).chain(run).collect())])
}

/// By force. What is gone already is no error.
pub(in crate::testbed) async fn remove(docker: &Docker, found: &Found) -> Result<(), RuntimeError> {
    let mut outcome = remove_once(docker, found).await;
    for _ in 1..REMOVALS_MAX {
        match &outcome {
            Err(error) if is_in_use(error) => {}
            _ => break,
        }
        // The engine has no event for the end of its own detaching; asking is the
        // only evidence, and asking without a pause would load it.
        tokio::time::sleep(REMOVE_AGAIN_AFTER).await;
        outcome = remove_once(docker, found).await;
    }
    match outcome {
        Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(()),
        outcome => outcome.map_err(|error| {
            failed(format!("removing {} {}: {error}", found.kind.name(), found.name))
        }),
    }
}

async fn remove_once(docker: &Docker, found: &Found) -> Result<(), Error> {
    let id = &found.id;
    match found.kind {
        FoundKind::Container => {
            let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
            docker.remove_container(id, Some(options)).await
        }
        FoundKind::Volume => {
            let options = RemoveVolumeOptionsBuilder::new().force(true).build();
            docker.remove_volume(id, Some(options)).await
        }
        FoundKind::Network => docker.remove_network(id).await,
    }
}

/// What has ended, or is gone, is no error.
async fn stop(docker: &Docker, id: String) -> Result<(), RuntimeError> {
    let options = StopContainerOptionsBuilder::new().t(STOP_TIMEOUT_S).build();
    match docker.stop_container(&id, Some(options)).await {
        Ok(()) | Err(Error::DockerResponseServerError { status_code: 304 | 404, .. }) => Ok(()),
        Err(error) => Err(failed(format!("stopping container {id}: {error}"))),
    }
}

/// 409: a removal is under way, or a user is; 403: a network has endpoints.
const fn is_in_use(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code: 403 | 409, .. })
}
