//! `links`: pairs, full meshes and stars, all as directed pairs in the end.
//!
//! Shapes are about the direction of bytes; who dials is told apart from that. So
//! the two links between `a` and `b` always agree on the bytes from `a` to `b`.

use std::collections::HashMap;

use super::super::diagnostic::Diagnostic;
use super::super::source::Span;
use super::super::suggest;
use super::super::tree::{Node, Value};
use super::fields::{self, Fields};
use super::peers::peer_reference;
use super::{Link, items};
use crate::testbed::plan::{OneWay, PeerPlan, Shape};

mod groups;
mod preset;
mod way;

use way::{SHAPE_KEYS, Said, Ways};

const PAIR_KEYS: [&str; 6] = ["a", "b", "dial", "both", "a_to_b", "b_to_a"];
const GROUP_KEYS: [&str; 2] = ["full_mesh", "star"];

/// Who dials between `a` and `b`.
#[derive(Clone, Copy)]
enum Dial {
    Both,
    A,
    B,
}

impl Dial {
    const ALL: [Self; 3] = [Self::Both, Self::A, Self::B];

    const fn name(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::A => "a",
            Self::B => "b",
        }
    }
}

/// Two peers and all that is between them.
struct Pair {
    a: String,
    b: String,
    dial: Dial,
    ways: Ways<OneWay>,
    span: Span,
}

impl Pair {
    /// One link for each end that dials.
    fn links(self) -> impl Iterator<Item = Link> {
        let Self { a, b, dial, ways: Ways { forth, back }, .. } = self;
        let link = |dialler: &str, listener: &str, up, down| Link {
            dialler: dialler.to_owned(),
            listener: listener.to_owned(),
            shape: Shape { up, down },
        };
        let from_a = matches!(dial, Dial::Both | Dial::A).then(|| link(&a, &b, forth, back));
        let from_b = matches!(dial, Dial::Both | Dial::B).then(|| link(&b, &a, back, forth));
        from_a.into_iter().chain(from_b)
    }
}

/// All links in file order, each dialling end on its own.
pub(super) fn links(
    top: &Fields<'_>,
    peers: &[PeerPlan],
    found: &mut Vec<Diagnostic>,
) -> Vec<Link> {
    let Some(node) = top.require("links", found) else { return Vec::new() };
    let mut links: Vec<Link> = Vec::new();
    let mut places: HashMap<[String; 2], Span> = HashMap::new();
    for item in items(node, "`links`", found) {
        for pair in link_item(item, peers, found) {
            let mut ends = [pair.a.clone(), pair.b.clone()];
            ends.sort_unstable();
            if let Some(first) = places.get(&ends) {
                let message = format!("`{}` and `{}` are linked twice", pair.a, pair.b);
                let hint = format!(
                    "line {} links them already; `a_to_b` and `b_to_a` tell directions apart",
                    first.line
                );
                found.push(Diagnostic::new(pair.span, message).hint(hint));
            } else {
                places.insert(ends, pair.span);
                links.extend(pair.links());
            }
        }
    }
    links
}

fn link_item(item: &Node, peers: &[PeerPlan], found: &mut Vec<Diagnostic>) -> Vec<Pair> {
    let Some(group) = GROUP_KEYS.into_iter().find(|key| has_key(item, key)) else {
        return pair(item, peers, found).into_iter().collect();
    };
    let fields = Fields::open(item, "a link group", &[group], found);
    let Some(entry) = fields.entry(group) else { return Vec::new() };
    match group {
        "full_mesh" => groups::full_mesh(&entry.value, entry.key_span, peers, found),
        _ => groups::star(&entry.value, entry.key_span, peers, found),
    }
}

fn has_key(item: &Node, key: &str) -> bool {
    matches!(&item.value, Value::Mapping(entries) if entries.iter().any(|entry| entry.key == key))
}

fn pair(item: &Node, peers: &[PeerPlan], found: &mut Vec<Diagnostic>) -> Option<Pair> {
    let fields = Fields::open(item, "a link", &PAIR_KEYS, found);
    let mut end = |key| {
        let node = fields.require(key, found)?;
        peer_reference(node, &format!("`{key}`"), peers, found)
    };
    let (a, b) = (end("a"), end("b"));
    let dial = fields.find("dial").and_then(|node| dial(node, found)).unwrap_or(Dial::Both);
    let before = found.len();
    let both = fields.find("both").map(|node| {
        let both = Fields::open(node, "`both`", &SHAPE_KEYS, found);
        Ways::read(&both, "`both`", found)
    });
    let said = directions(both.unwrap_or_default(), &fields, ["a_to_b", "b_to_a"], found);
    let ways = said.shapes(before, found);
    let (a, b) = (a?, b?);
    if a == b {
        let message = format!("a link between `{a}` and itself");
        found.push(Diagnostic::new(item.span, message).hint("name two different peers"));
        return None;
    }
    Some(Pair { a, b, dial, ways, span: item.span })
}

fn dial(node: &Node, found: &mut Vec<Diagnostic>) -> Option<Dial> {
    let name = fields::text(node, "`dial`", found)?;
    let dial = Dial::ALL.into_iter().find(|dial| dial.name() == name);
    if dial.is_none() {
        let message = format!("`dial`: `{name}` is no end of a link");
        let hint = suggest::hint(name, &Dial::ALL.map(Dial::name));
        found.push(Diagnostic::new(node.span, message).hint(hint));
    }
    dial
}

/// What `both` says, and over that what the map of each direction says.
fn directions(
    both: Ways<Said>,
    fields: &Fields<'_>,
    [forth, back]: [&str; 2],
    found: &mut Vec<Diagnostic>,
) -> Ways<Said> {
    Ways {
        forth: one_way(fields, forth, found).forth.over(both.forth),
        back: one_way(fields, back, found).back.over(both.back),
    }
}

/// What the map under `key` says, which is about one direction only.
fn one_way(fields: &Fields<'_>, key: &str, found: &mut Vec<Diagnostic>) -> Ways<Said> {
    let Some(node) = fields.find(key) else { return Ways::default() };
    let what = format!("`{key}`");
    let fields = Fields::open(node, &what, &SHAPE_KEYS, found);
    if let Some(entry) = fields.entry("rtt") {
        let message = format!("{what} is one way, and `rtt` is there and back");
        let hint = "write `latency`, or `rtt` for both directions together";
        found.push(Diagnostic::new(entry.key_span, message).hint(hint));
        return Ways::default();
    }
    Ways::read(&fields, &what, found)
}
