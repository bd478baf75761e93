//! What all containers of a run have in common.

use std::collections::HashMap;
use std::path::Path;

use bollard::Docker;
use bollard::models::{HostConfig, PortBinding};
use bollard::query_parameters::LogsOptionsBuilder;
use futures::{StreamExt as _, TryStreamExt as _};
use testcontainers::core::IntoContainerPort as _;
use testcontainers::{ContainerRequest, GenericImage, ImageExt as _};
use tokio::io::AsyncWriteExt as _;

use super::failed;
use super::rights::Rights;
use crate::testbed::contract::label;
use crate::testbed::plan::Resources;
use crate::testbed::runtime::logs::{LAST_LOG_LINES_MAX, last_lines};
use crate::testbed::runtime::owner::{OWNER_LABEL, Owner};
use crate::testbed::runtime::{RunContext, RuntimeError};

/// Control and the proxy's API are for this machine only.
pub(super) const PUBLISHED_ON: &str = "127.0.0.1";

/// By which everything of a run is found and removed; `peer` is whose alone it is.
pub(super) fn labels(context: &RunContext, peer: Option<&str>) -> HashMap<String, String> {
    let owner = Owner::current();
    let shared = [
        (label::TOOL.to_owned(), label::TOOL_VALUE.to_owned()),
        (label::RUN.to_owned(), context.run_id.clone()),
        (label::DIRECTORY.to_owned(), context.directory.display().to_string()),
        (label::OWNER_PID.to_owned(), owner.pid.to_string()),
        (OWNER_LABEL.to_owned(), owner.to_string()),
    ];
    let peer = peer.map(|peer| (label::PEER.to_owned(), peer.to_owned()));
    shared.into_iter().chain(peer).collect()
}

/// A container of a run, named, labelled, with these rights, and with one port
/// published on a free loopback port. It gets no host name: the engine would make
/// that a name in the management network, and links would be dialled there.
pub(super) fn request(
    image: &str,
    context: &RunContext,
    name: &str,
    port: Option<u16>,
    limits: Limits<'_>,
) -> ContainerRequest<GenericImage> {
    let (repository, tag) = split_image(image);
    let mut image = GenericImage::new(repository, tag);
    if let Some(port) = port {
        image = image.with_exposed_port(port.tcp());
    }
    let Limits { rights, resources, peer } = limits;
    image
        .with_container_name(container_name(&context.run_id, name))
        .with_labels(labels(context, peer))
        .with_host_config_modifier(move |config| {
            rights.apply(config);
            limit(config, resources);
            publish(config, port);
        })
}

/// What a container may do and use, and whose it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits<'a> {
    pub(super) rights: Rights,
    pub(super) resources: Resources,
    pub(super) peer: Option<&'a str>,
}

impl Limits<'_> {
    /// Of what no peer owns.
    pub(super) fn shared(rights: Rights) -> Self {
        Self { rights, resources: Resources::default(), peer: None }
    }
}

fn limit(config: &mut HostConfig, resources: Resources) {
    /// The engine counts processors in thousand millionths.
    const NANO_PER_MILLI: i64 = 1_000_000;
    config.nano_cpus = resources.cpus_milli.map(|milli| i64::from(milli) * NANO_PER_MILLI);
    let memory = resources.memory_bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
    config.memory = memory;
    // As much with swap as without: none.
    config.memory_swap = memory;
}

pub(super) fn container_name(run_id: &str, name: &str) -> String {
    format!("{run_id}-{name}")
}

/// `repository[:tag]`; a colon before a slash belongs to a registry's port.
pub(super) fn split_image(image: &str) -> (&str, &str) {
    match image.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (image, "latest"),
    }
}

/// The end of a container's log. An engine that does not give it yields one
/// line that says so: a death must still be told.
pub(super) async fn last_log_lines(docker: &Docker, id: &str) -> Vec<String> {
    let tail = LAST_LOG_LINES_MAX.to_string();
    let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail(&tail).build();
    let mut stream = std::pin::pin!(docker.logs(id, Some(options)));
    let mut bytes = Vec::new();
    while let Some(output) = stream.next().await {
        match output {
            Ok(output) => bytes.extend_from_slice(&output.into_bytes()),
            Err(error) => return vec![format!("(its log cannot be read: {error})")],
        }
    }
    last_lines(&String::from_utf8_lossy(&bytes))
}

/// Writes the whole log of a container to a file.
pub(super) async fn save_log(docker: &Docker, id: &str, file: &Path) -> Result<(), RuntimeError> {
    let options = LogsOptionsBuilder::new().stdout(true).stderr(true).build();
    let writing = async {
        let stream = docker.logs(id, Some(options)).map_err(std::io::Error::other);
        let mut stream = std::pin::pin!(stream);
        // Asked first: of a container that is gone, an earlier copy stays.
        let mut next = stream.try_next().await?;
        let mut target = tokio::io::BufWriter::new(tokio::fs::File::create(file).await?);
        while let Some(output) = next {
            target.write_all(&output.into_bytes()).await?;
            next = stream.try_next().await?;
        }
        target.flush().await
    };
    writing.await.map_err(|error: std::io::Error| {
        failed(format!("saving a log to {}: {error}", file.display()))
    })
}

fn publish(config: &mut HostConfig, port: Option<u16>) {
    config.publish_all_ports = Some(false);
    config.port_bindings = port.map(|port| {
        let binding =
            PortBinding { host_ip: Some(PUBLISHED_ON.to_owned()), host_port: Some(String::new()) };
        HashMap::from([(port.tcp().to_string(), Some(vec![binding]))])
    });
}
