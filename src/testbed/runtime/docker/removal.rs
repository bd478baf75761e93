//! Removal by label: what a run made is found even if it was never told.

use std::collections::HashMap;
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder,
    RemoveContainerOptionsBuilder, RemoveVolumeOptionsBuilder, StopContainerOptionsBuilder,
};
use futures::StreamExt as _;

use super::{Part, failed};
use crate::testbed::contract::label;
use crate::testbed::runtime::RuntimeError;

/// From SIGTERM to SIGKILL, in the engine's unit: a daemon closes its sessions
/// and unmounts.
const STOP_TIMEOUT_S: i32 = 5;

/// Containers being stopped at once.
const STOPS_AT_ONCE: usize = 8;

/// The engine removes a network's last endpoint a moment after its container.
const REMOVALS_MAX: usize = 20;
const REMOVE_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// One thing that a run made, with its labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::testbed) struct Found {
    pub(in crate::testbed) kind: FoundKind,
    pub(in crate::testbed) id: String,
    pub(in crate::testbed) name: String,
    pub(in crate::testbed) labels: HashMap<String, String>,
}

/// In the order of removal: each may be in use by those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

/// Stops and removes what a run started, then whatever else carries its label.
/// Goes on after an error, and returns the first.
pub(super) async fn end_run(
    docker: Docker,
    run_id: String,
    parts: Vec<Part>,
) -> Result<(), RuntimeError> {
    let stops: Vec<_> = futures::stream::iter(parts)
        .map(|part| end_part(&docker, part))
        .buffer_unordered(STOPS_AT_ONCE)
        .collect()
        .await;
    let mut first = stops.into_iter().collect::<Result<(), _>>();
    match find_all(&docker, &label_filter(Some(&run_id))).await {
        Ok(found) => {
            for one in &found {
                first = first.and(remove(&docker, one).await);
            }
        }
        Err(error) => first = first.and(Err(error)),
    }
    first
}

/// Everything that carries these labels, in the order of removal.
pub(in crate::testbed) async fn find_all(
    docker: &Docker,
    filter: &HashMap<String, Vec<String>>,
) -> Result<Vec<Found>, RuntimeError> {
    let listing = |what: &str, error: Error| failed(format!("listing {what}: {error}"));
    let containers = ListContainersOptionsBuilder::new().all(true).filters(filter).build();
    let containers = docker.list_containers(Some(containers)).await;
    let containers = containers.map_err(|error| listing("containers", error))?;
    let volumes = ListVolumesOptionsBuilder::new().filters(filter).build();
    let volumes = docker.list_volumes(Some(volumes)).await;
    let volumes = volumes.map_err(|error| listing("volumes", error))?.volumes;
    let networks = ListNetworksOptionsBuilder::new().filters(filter).build();
    let networks = docker.list_networks(Some(networks)).await;
    let networks = networks.map_err(|error| listing("networks", error))?;

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

async fn end_part(docker: &Docker, part: Part) -> Result<(), RuntimeError> {
    let options = StopContainerOptionsBuilder::new().t(STOP_TIMEOUT_S).build();
    let stopped = docker.stop_container(part.container.id(), Some(options)).await;
    // Removed by force either way.
    let stopped = stopped.map_err(|error| failed(format!("stopping {}: {error}", part.name)));
    let removed = part.container.rm().await;
    let removed = removed.map_err(|error| failed(format!("removing {}: {error}", part.name)));
    stopped.and(removed)
}

/// 409: a removal is under way, or a user is; 403: a network has endpoints.
const fn is_in_use(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code: 403 | 409, .. })
}
