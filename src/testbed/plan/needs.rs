//! What containers need of the engine: networks, rights, an order.

use serde::{Deserialize, Serialize};

use super::PeerPlan;
use crate::testbed::runtime::docker::subnets::Subnet;

/// Containers in a peer's own network: the peer and the proxy.
const CONTAINERS_PER_PEER_NETWORK: usize = 2;

/// Networks and where their addresses come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkPlan {
    /// An IPv4 network, such as `10.213.0.0/16`. Which part of it each network
    /// gets is known at run time only: other runs use it too.
    pub range: String,
    /// In the order in which they are made.
    pub list: Vec<Network>,
}

/// One network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Behind the run's id, its name at the engine.
    pub name: String,
    /// The peer that is alone in it with the proxy; none for the network of control
    /// and telemetry.
    pub peer: Option<String>,
    /// Bits of the smallest subnet with room for all in it.
    pub prefix: u8,
}

impl NetworkPlan {
    /// One network for control and telemetry, and one for each peer.
    pub(super) fn of(range: Subnet, peers: &[PeerPlan]) -> Self {
        let management = Network {
            name: "management".to_owned(),
            peer: None,
            prefix: Subnet::prefix_for(peers.len() + 1),
        };
        let prefix = Subnet::prefix_for(CONTAINERS_PER_PEER_NETWORK);
        let own = peers.iter().map(|peer| Network {
            name: format!("net-{}", peer.name),
            peer: Some(peer.name.clone()),
            prefix,
        });
        Self { range: range.to_string(), list: std::iter::once(management).chain(own).collect() }
    }

    /// The longest prefix that a range for these peers' networks may have. Networks
    /// are powers of two, so they fit whenever their addresses do.
    pub(crate) fn range_prefix_max(peers: &[PeerPlan]) -> u8 {
        let addresses = |containers| 1_u64 << (32 - Subnet::prefix_for(containers));
        let own = addresses(CONTAINERS_PER_PEER_NETWORK) * peers.len() as u64;
        let all = own + addresses(peers.len() + 1);
        let bits = u64::BITS - (all - 1).leading_zeros();
        u8::try_from(32_u32.saturating_sub(bits)).unwrap_or(0)
    }
}

/// What a peer's container needs beyond an ordinary one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RightsPlan {
    /// Which peer.
    pub peer: String,
    /// What it needs.
    pub right: Right,
}

/// A right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// The least that a FUSE mount needs: CAP_SYS_ADMIN, /dev/fuse, and AppArmor
    /// unconfined.
    Fuse,
    /// All rights of the host.
    Privileged,
}

/// The rights of all peers that need any, in file order.
pub(super) fn rights(peers: &[PeerPlan]) -> Vec<RightsPlan> {
    let right = |peer: &PeerPlan| match peer {
        PeerPlan { privileged: true, .. } => Some(Right::Privileged),
        PeerPlan { mount: true, .. } => Some(Right::Fuse),
        _ => None,
    };
    let rights = peers.iter().map(|peer| Some((peer, right(peer)?)));
    rights.flatten().map(|(peer, right)| RightsPlan { peer: peer.name.clone(), right }).collect()
}

/// One stage: all of it has started before the next stage begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartPlan {
    /// The networks, and the collector of spans on that of control.
    Networks,
    /// The proxy, from which all links start.
    Proxy,
    /// The peers, several at once, begun in file order.
    Peers,
    /// The links, in the plan's order, and each peer's introduction to the others.
    Links,
    /// The files, in the plan's order.
    Samples,
}

impl StartPlan {
    /// Every stage, in order.
    pub const ALL: [Self; 5] =
        [Self::Networks, Self::Proxy, Self::Peers, Self::Links, Self::Samples];

    /// As `plan` says it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Networks => "networks",
            Self::Proxy => "proxy",
            Self::Peers => "peers",
            Self::Links => "links",
            Self::Samples => "files",
        }
    }
}
