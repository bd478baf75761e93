//! One network per peer, which only the proxy shares, and one for control and
//! telemetry, in which containers cannot talk to each other.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::{
    EndpointSettings, Ipam, IpamConfig, NetworkConnectRequest, NetworkCreateRequest,
};

use super::containers::labels;
use super::subnets::{Subnet, parse_routes};
use super::{POOL_VARIABLE, failed};
use crate::testbed::runtime::{RunContext, RuntimeError};

/// Another run may take a subnet between our look and our request.
const TRIES_MAX: usize = 16;

/// Two containers: a peer and the proxy.
const CONTAINERS_PER_PEER_NETWORK: usize = 2;

/// The networks of one run.
#[derive(Debug)]
pub(super) struct Networks {
    docker: Docker,
    pool: Subnet,
    context: RunContext,
    management: Option<Management>,
}

/// Carries control and telemetry, never a shaped link.
#[derive(Clone, Debug)]
pub(super) struct Management {
    pub(super) name: String,
    pub(super) gateway: Ipv4Addr,
}

impl Networks {
    pub(super) const fn new(docker: Docker, pool: Subnet, context: RunContext) -> Self {
        Self { docker, pool, context, management: None }
    }

    /// Made by `create_management`.
    pub(super) fn management(&self) -> Result<Management, RuntimeError> {
        self.management.clone().ok_or_else(|| failed("there is no management network yet"))
    }

    /// For all peers and the proxy. Without traffic between its members: links
    /// are the only way from peer to peer.
    pub(super) async fn create_management(
        &mut self,
        peers: usize,
    ) -> Result<&Management, RuntimeError> {
        let options =
            HashMap::from([("com.docker.network.bridge.enable_icc".into(), "false".into())]);
        let name = self.management_name();
        let request = NetworkCreateRequest {
            name: name.clone(),
            options: Some(options),
            ..NetworkCreateRequest::default()
        };
        let subnet = self.create(request, Subnet::prefix_for(peers + 1), None).await?;
        Ok(self.management.insert(Management { name, gateway: subnet.gateway() }))
    }

    /// The one that another process made for this run.
    pub(super) async fn find_management(&mut self) -> Result<(), RuntimeError> {
        let name = self.management_name();
        let found = self.docker.inspect_network(&name, None).await;
        let found = found.map_err(|error| failed(format!("looking at network {name}: {error}")))?;
        let configs = found.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
        let gateway = configs.into_iter().find_map(|config| config.gateway?.parse().ok());
        let gateway = gateway.ok_or_else(|| failed(format!("network {name} has no gateway")))?;
        self.management = Some(Management { name, gateway });
        Ok(())
    }

    fn management_name(&self) -> String {
        format!("{}-management", self.context.run_id)
    }

    /// A peer's own network, without a way out.
    pub(super) async fn create_for_peer(&self, peer: &str) -> Result<(), RuntimeError> {
        let request = NetworkCreateRequest {
            name: self.of_peer(peer),
            internal: Some(true),
            ..NetworkCreateRequest::default()
        };
        let prefix = Subnet::prefix_for(CONTAINERS_PER_PEER_NETWORK);
        self.create(request, prefix, Some(peer)).await.map(|_| ())
    }

    /// Puts a container into a peer's network, where `alias` is its only name.
    pub(super) async fn connect(
        &self,
        peer: &str,
        container: &str,
        alias: &str,
    ) -> Result<(), RuntimeError> {
        let network = self.of_peer(peer);
        let request = NetworkConnectRequest {
            container: container.to_owned(),
            endpoint_config: Some(EndpointSettings {
                aliases: Some(vec![alias.to_owned()]),
                ..EndpointSettings::default()
            }),
        };
        self.docker
            .connect_network(&network, request)
            .await
            .map_err(|error| failed(format!("connecting {alias} to network {network}: {error}")))
    }

    fn of_peer(&self, peer: &str) -> String {
        format!("{}-net-{peer}", self.context.run_id)
    }

    async fn create(
        &self,
        request: NetworkCreateRequest,
        prefix: u8,
        peer: Option<&str>,
    ) -> Result<Subnet, RuntimeError> {
        let taken = taken_subnets(&self.docker).await?;
        let taken: Vec<_> = taken.into_iter().map(|taken| taken.subnet).collect();
        // Runs that start together begin their search at different places.
        let start = blake3::hash(request.name.as_bytes());
        let start = u32::from_le_bytes(*start.as_bytes().first_chunk().expect("32 bytes"));
        for subnet in self.pool.free(prefix, &taken, start).take(TRIES_MAX) {
            let request = with_subnet(request.clone(), subnet, labels(&self.context, peer));
            match self.docker.create_network(request).await {
                Ok(_) => return Ok(subnet),
                Err(error) if is_taken(&error) => {}
                Err(error) => {
                    return Err(failed(format!(
                        "creating network {}: {error}",
                        self.context.run_id
                    )));
                }
            }
        }
        Err(RuntimeError::Environment {
            what: format!("{} has no free network of /{prefix}", self.pool),
            hint: format!(
                "remove what earlier runs left with `dropbed gc`, or set {POOL_VARIABLE} to another range"
            ),
        })
    }
}

/// A range of addresses that is in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::testbed) struct Taken {
    pub(in crate::testbed) subnet: Subnet,
    /// By what, in words.
    pub(in crate::testbed) by: String,
}

/// What the engine's networks and this machine's routes cover.
pub(in crate::testbed) async fn taken_subnets(docker: &Docker) -> Result<Vec<Taken>, RuntimeError> {
    let networks = docker
        .list_networks(None)
        .await
        .map_err(|error| failed(format!("listing the engine's networks: {error}")))?;
    let of_engine = networks.into_iter().flat_map(|network| {
        let by = format!("network {}", network.name.unwrap_or_default());
        let configs = network.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
        let subnets = configs.into_iter().filter_map(|config| config.subnet?.parse().ok());
        subnets.map(move |subnet| Taken { subnet, by: by.clone() })
    });
    // Without that file (another system) the engine's own check remains.
    let routes = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
    let routes = parse_routes(&routes)
        .into_iter()
        .map(|(subnet, interface)| Taken { subnet, by: format!("route of {interface}") });
    Ok(of_engine.chain(routes).collect())
}

fn with_subnet(
    request: NetworkCreateRequest,
    subnet: Subnet,
    labels: HashMap<String, String>,
) -> NetworkCreateRequest {
    let config = IpamConfig {
        subnet: Some(subnet.to_string()),
        gateway: Some(subnet.gateway().to_string()),
        ..IpamConfig::default()
    };
    NetworkCreateRequest {
        driver: Some("bridge".to_owned()),
        ipam: Some(Ipam { config: Some(vec![config]), ..Ipam::default() }),
        labels: Some(labels),
        ..request
    }
}

/// The engine's words are all there is: it answers 403 or 400 to much else.
fn is_taken(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { message, .. } if message.contains("overlaps"))
}
