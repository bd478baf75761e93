//! `links`: pairs, full meshes and stars, all as directed pairs in the end.

use std::collections::HashMap;

use super::super::defaults;
use super::super::diagnostic::Diagnostic;
use super::super::source::Span;
use super::super::tree::{Node, Value};
use super::super::units;
use super::fields::{self, Fields};
use super::peers::peer_reference;
use super::{Link, items};
use crate::testbed::plan::{PeerPlan, Shape};

const PAIR_KEYS: [&str; 5] = ["a", "b", "both", "a_to_b", "b_to_a"];
const GROUP_KEYS: [&str; 2] = ["full_mesh", "star"];
const SHAPE_KEYS: [&str; 3] = ["rtt", "latency", "rate"];
const STAR_KEYS: [&str; 4] = ["hub", "rtt", "latency", "rate"];

/// All links in file order, each direction on its own.
pub(super) fn links(
    top: &Fields<'_>,
    peers: &[PeerPlan],
    found: &mut Vec<Diagnostic>,
) -> Vec<Link> {
    let Some(node) = top.require("links", found) else { return Vec::new() };
    let mut links: Vec<Link> = Vec::new();
    let mut places: HashMap<String, Span> = HashMap::new();
    for item in items(node, "`links`", found) {
        for link in link_item(item, peers, found) {
            let name = link.name();
            if let Some(first) = places.insert(name.clone(), link.span) {
                let message = format!("the link {name} is given twice");
                let hint = format!(
                    "`{}` dials `{}` on line {} already",
                    link.dialler, link.listener, first.line
                );
                found.push(Diagnostic::new(link.span, message).hint(hint));
            } else {
                links.push(link);
            }
        }
    }
    links
}

fn link_item(item: &Node, peers: &[PeerPlan], found: &mut Vec<Diagnostic>) -> Vec<Link> {
    let Some(group) = GROUP_KEYS.into_iter().find(|key| has_key(item, key)) else {
        return pair(item, peers, found);
    };
    let fields = Fields::open(item, "a link group", &[group], found);
    let Some(entry) = fields.entry(group) else { return Vec::new() };
    match group {
        "full_mesh" => full_mesh(&entry.value, entry.key_span, peers, found),
        _ => star(&entry.value, entry.key_span, peers, found),
    }
}

fn has_key(item: &Node, key: &str) -> bool {
    matches!(&item.value, Value::Mapping(entries) if entries.iter().any(|entry| entry.key == key))
}

fn pair(item: &Node, peers: &[PeerPlan], found: &mut Vec<Diagnostic>) -> Vec<Link> {
    let fields = Fields::open(item, "a link", &PAIR_KEYS, found);
    let mut end = |key| {
        let node = fields.require(key, found)?;
        peer_reference(node, &format!("`{key}`"), peers, found)
    };
    let (a, b) = (end("a"), end("b"));
    let both = fields.entry("both").map(|entry| shape(&entry.value, "`both`", &SHAPE_KEYS, found));
    let mut one = |key: &str| {
        let entry = fields.entry(key)?;
        Some((shape(&entry.value, &format!("`{key}`"), &SHAPE_KEYS, found), entry.key_span))
    };
    // What one direction says wins over what both say.
    let a_to_b = one("a_to_b").or_else(|| both.map(|shape| (shape, item.span)));
    let b_to_a = one("b_to_a").or_else(|| both.map(|shape| (shape, item.span)));
    if a_to_b.is_none() && b_to_a.is_none() {
        let message = "this link has no direction";
        let hint = "add `both: {}`, or `a_to_b: {}` if only a dials b";
        found.push(Diagnostic::new(item.span, message).hint(hint));
    }
    let (Some(a), Some(b)) = (a, b) else { return Vec::new() };
    if a == b {
        let message = format!("a link between `{a}` and itself");
        found.push(Diagnostic::new(item.span, message).hint("name two different peers"));
        return Vec::new();
    }
    let link = |dialler: &str, listener: &str, (shape, span)| Link {
        dialler: dialler.to_owned(),
        listener: listener.to_owned(),
        shape,
        span,
    };
    let forth = a_to_b.map(|shaped| link(&a, &b, shaped));
    let back = b_to_a.map(|shaped| link(&b, &a, shaped));
    forth.into_iter().chain(back).collect()
}

fn full_mesh(
    node: &Node,
    span: Span,
    peers: &[PeerPlan],
    found: &mut Vec<Diagnostic>,
) -> Vec<Link> {
    let shape = shape(node, "`full_mesh`", &SHAPE_KEYS, found);
    let ordered = peers.iter().flat_map(|a| peers.iter().map(move |b| (&a.name, &b.name)));
    ordered
        .filter(|(dialler, listener)| dialler != listener)
        .map(|(dialler, listener)| Link {
            dialler: dialler.clone(),
            listener: listener.clone(),
            shape,
            span,
        })
        .collect()
}

fn star(node: &Node, span: Span, peers: &[PeerPlan], found: &mut Vec<Diagnostic>) -> Vec<Link> {
    let shape = shape(node, "`star`", &STAR_KEYS, found);
    // Keys were checked with the shape.
    let fields = Fields::open(node, "`star`", &STAR_KEYS, &mut Vec::new());
    let hub = fields.require("hub", found);
    let Some(hub) = hub.and_then(|node| peer_reference(node, "`hub`", peers, found)) else {
        return Vec::new();
    };
    let link = |dialler: &str, listener: &str| Link {
        dialler: dialler.to_owned(),
        listener: listener.to_owned(),
        shape,
        span,
    };
    let rays = peers.iter().filter(|peer| peer.name != hub);
    rays.flat_map(|ray| [link(&hub, &ray.name), link(&ray.name, &hub)]).collect()
}

/// `rtt` is halved, `latency` counts each way.
fn shape(node: &Node, what: &str, known: &[&str], found: &mut Vec<Diagnostic>) -> Shape {
    let fields = Fields::open(node, what, known, found);
    if let Some(node) = fields.find("rate")
        && fields::quantity(node, "`rate`", units::rate_bits_per_s, found).is_some()
    {
        let message = "`rate` is not supported by this version: links shape delay only";
        found.push(Diagnostic::new(node.span, message).hint("remove it"));
    }
    let max_us = defaults::LATENCY_US_MAX;
    let latency_us = match (fields.find("rtt"), fields.find("latency")) {
        (Some(_), Some(latency)) => {
            let message = format!("{what} gives both `rtt` and `latency`");
            let hint = "`rtt` is there and back, `latency` is one way: keep one";
            found.push(Diagnostic::new(latency.span, message).hint(hint));
            None
        }
        (Some(rtt), None) => fields::duration_us(rtt, "`rtt`", 2 * max_us, found)
            .and_then(|rtt_us| half(rtt_us, rtt.span, found)),
        (None, Some(latency)) => fields::duration_us(latency, "`latency`", max_us, found),
        (None, None) => None,
    }
    .unwrap_or(0);
    Shape { up_latency_us: latency_us, down_latency_us: latency_us }
}

fn half(rtt_us: u64, span: Span, found: &mut Vec<Diagnostic>) -> Option<u64> {
    if rtt_us.is_multiple_of(2) {
        return Some(rtt_us / 2);
    }
    let message = format!("half of `rtt` ({rtt_us}us) is not a whole number of microseconds");
    let hint = format!("write `{}us`, or give `latency`, one way", rtt_us + 1);
    found.push(Diagnostic::new(span, message).hint(hint));
    None
}
