//! Why a plan should not, or cannot, be run. Pure: what stands in the way on a
//! certain machine is for `doctor` to say.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{LINK_PORTS, Plan};
use crate::testbed::topology::defaults::PEERS_RECOMMENDED_MAX;

/// One reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "limit", rename_all = "snake_case")]
pub enum Limit {
    /// More peers than are advised; `--force` tries.
    Peers {
        /// Of the topology.
        peers: usize,
        /// That are advised.
        recommended_max: usize,
    },
    /// More links than one proxy has ports: cannot be run where addresses are the
    /// proxy's own, so neither in containers nor attached.
    Ports {
        /// Of the topology.
        links: usize,
        /// That a proxy has.
        ports: usize,
    },
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peers { peers, recommended_max } => {
                write!(f, "{peers} peers; at most {recommended_max} are advised")
            }
            Self::Ports { links, ports } => {
                write!(f, "{links} links; a proxy in a container has ports for {ports}")
            }
        }
    }
}

/// What stands in the way of this many peers and links.
pub(super) fn limits(peers: usize, links: usize) -> Vec<Limit> {
    let many = (peers > PEERS_RECOMMENDED_MAX)
        .then_some(Limit::Peers { peers, recommended_max: PEERS_RECOMMENDED_MAX });
    let ports = (links > LINK_PORTS).then_some(Limit::Ports { links, ports: LINK_PORTS });
    many.into_iter().chain(ports).collect()
}

/// A plan that is not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} is not started: {limit}\n  {estimate}\n  hint: {hint}")]
pub struct Refusal {
    name: String,
    limit: Limit,
    estimate: String,
    hint: &'static str,
}

impl Plan {
    /// Why this should not be started; nothing does with `force`.
    pub fn refusal(&self, force: bool) -> Option<Refusal> {
        let limit = self.limits.iter().find(|limit| matches!(limit, Limit::Peers { .. }))?;
        (!force).then(|| self.refused(*limit, "`--force` tries all the same"))
    }

    /// Why this cannot be started where the proxy's ports are fixed; `force` would
    /// not help.
    pub fn refusal_of_fixed_ports(&self) -> Option<Refusal> {
        let limit = self.limits.iter().find(|limit| matches!(limit, Limit::Ports { .. }))?;
        Some(self.refused(*limit, "use `--runtime process`, or fewer links"))
    }

    fn refused(&self, limit: Limit, hint: &'static str) -> Refusal {
        Refusal { name: self.name.clone(), limit, estimate: self.estimate.to_string(), hint }
    }
}

#[cfg(test)]
mod tests;
