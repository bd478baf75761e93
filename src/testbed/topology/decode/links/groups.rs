//! Groups of pairs that are shaped alike.

use super::super::super::diagnostic::Diagnostic;
use super::super::super::source::Span;
use super::super::super::tree::Node;
use super::super::fields::Fields;
use super::super::peers::peer_reference;
use super::way::{SHAPE_KEYS, Ways};
use super::{Dial, Pair, directions};
use crate::testbed::plan::PeerPlan;

const STAR_KEYS: [&str; 3] = ["hub", "to_hub", "from_hub"];

/// All pairs, the one that comes first in the file as `a`.
pub(super) fn full_mesh(
    node: &Node,
    span: Span,
    peers: &[PeerPlan],
    found: &mut Vec<Diagnostic>,
) -> Vec<Pair> {
    let before = found.len();
    let fields = Fields::open(node, "`full_mesh`", &SHAPE_KEYS, found);
    let both = Ways::read(&fields, "`full_mesh`", found);
    let ways = both.shapes(before, found);
    if ways.forth != ways.back {
        let message = "this preset has a slow side, and a full mesh has no sides";
        let hint = "use `star`, or give each pair a link: `a` is the slow side";
        let node = fields.find("preset").unwrap_or(node);
        found.push(Diagnostic::new(node.span, message).hint(hint));
    }
    let pairs = peers.iter().enumerate().flat_map(|(index, a)| {
        peers[index + 1..].iter().map(move |b| (a.name.clone(), b.name.clone()))
    });
    pairs.map(|(a, b)| Pair { a, b, dial: Dial::Both, ways, span }).collect()
}

/// Every other peer is an `a`, the hub is their `b`.
pub(super) fn star(
    node: &Node,
    span: Span,
    peers: &[PeerPlan],
    found: &mut Vec<Diagnostic>,
) -> Vec<Pair> {
    let known: Vec<&str> = STAR_KEYS.into_iter().chain(SHAPE_KEYS).collect();
    let before = found.len();
    let fields = Fields::open(node, "`star`", &known, found);
    let both = Ways::read(&fields, "`star`", found);
    let ways = directions(both, &fields, ["to_hub", "from_hub"], found).shapes(before, found);
    let hub = fields.require("hub", found);
    let Some(hub) = hub.and_then(|node| peer_reference(node, "`hub`", peers, found)) else {
        return Vec::new();
    };
    let rays = peers.iter().filter(|peer| peer.name != hub);
    rays.map(|ray| Pair { a: ray.name.clone(), b: hub.clone(), dial: Dial::Both, ways, span })
        .collect()
}
