//! `network`: where containers' networks come from.

use super::super::defaults;
use super::super::diagnostic::Diagnostic;
use super::super::schema;
use super::super::tree::Node;
use super::fields::{self, Fields};
use crate::testbed::plan::{NetworkPlan, PeerPlan};
use crate::testbed::runtime::docker::POOL_DEFAULT;
use crate::testbed::runtime::docker::subnets::Subnet;

/// This host, loopback, multicast and what is reserved: no container can be there.
const UNUSABLE: [&str; 3] = ["0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3"];

/// The range, which has room for a network of every peer.
pub(super) fn range(top: &Fields<'_>, peers: &[PeerPlan], found: &mut Vec<Diagnostic>) -> Subnet {
    let default = POOL_DEFAULT.parse().expect("POOL_DEFAULT is a subnet");
    let network =
        top.find("network").map(|node| Fields::open(node, "`network`", &schema::NETWORK, found));
    let node = network.as_ref().and_then(|fields| fields.find("range"));
    let given = node.and_then(|node| subnet(node, found));
    let range = given.unwrap_or(default);
    let prefix_max = NetworkPlan::range_prefix_max(peers);
    let checked = node.is_none() || given.is_some();
    // Too many peers have been told as such.
    if checked && peers.len() <= defaults::PEERS_MAX && range.prefix() > prefix_max {
        let span = node.map_or(top.span, |node| node.span);
        let message = format!("{range} has no room for the networks of {} peers", peers.len());
        let hint = format!("at most /{prefix_max}: `network: {{ range: 10.0.0.0/{prefix_max} }}`");
        found.push(Diagnostic::new(span, message).hint(hint));
    }
    range
}

fn subnet(node: &Node, found: &mut Vec<Diagnostic>) -> Option<Subnet> {
    let text = fields::text(node, "`range`", found)?;
    let problem = match text.parse::<Subnet>() {
        Ok(subnet) => {
            let unusable = UNUSABLE
                .into_iter()
                .find(|range| range.parse().is_ok_and(|range: Subnet| range.overlaps(subnet)));
            match unusable {
                None => return Some(subnet),
                Some(range) => format!("{subnet} overlaps {range}, where no container can be"),
            }
        }
        Err(error) => error.to_string(),
    };
    let hint = format!("without it, networks come from {POOL_DEFAULT}");
    found.push(Diagnostic::new(node.span, format!("`range`: {problem}")).hint(hint));
    None
}
