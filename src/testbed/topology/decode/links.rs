//! `links`: pairs and groups of them, all as directed pairs in the end.
//!
//! Shapes are about the direction of bytes; who dials is told apart from that. So
//! the two links between `a` and `b` always agree on the bytes from `a` to `b`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::super::defaults;
use super::super::diagnostic::{DIAGNOSTICS_MAX, Diagnostic};
use super::super::schema;
use super::super::source::Span;
use super::super::tree::{Node, Value};
use super::fields::Fields;
use super::roll::Roll;
use super::{Link, items};
use crate::testbed::plan::{OneWay, PeerPlan, Shape};

mod groups;
mod preset;
mod way;

use way::{Said, Ways};

/// Who dials between `a` and `b`.
#[derive(Clone, Copy)]
enum Dial {
    Both,
    A,
    B,
}

impl Dial {
    /// In the order of [`schema::DIALS`].
    const ALL: [Self; 3] = [Self::Both, Self::A, Self::B];
}

/// Pairs of peers that are linked alike.
struct Alike {
    /// `a` and `b` of each, by their places in the list of peers.
    pairs: Vec<[u32; 2]>,
    dial: Dial,
    ways: Ways<OneWay>,
    span: Span,
}

/// All links, and between whom they are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Links {
    /// In file order, each dialling end on its own.
    pub(crate) list: Vec<Link>,
    /// By both ends, the lower first.
    pairs: HashMap<[u32; 2], Linked>,
    /// Where each entry of the file that links somebody stands.
    entries: Vec<Span>,
}

/// What links a pair.
#[derive(Clone, Copy, Debug)]
struct Linked {
    /// Of those that lead from the first to the second of the pair, and back:
    /// places in the list.
    links: [Option<u32>; 2],
    /// The place in [`Links::entries`] of what links them.
    entry: u32,
}

impl Links {
    /// The place in the list of the link on which `dialler` dials `listener`.
    pub(crate) fn find(&self, dialler: u32, listener: u32) -> Option<usize> {
        let linked = self.pairs.get(&[dialler.min(listener), dialler.max(listener)])?;
        linked.links[usize::from(dialler > listener)].map(|index| index as usize)
    }

    /// Adds them, but for pairs that are linked already; those are told at once,
    /// for two meshes have as many of them as peers squared.
    fn add(&mut self, alike: &Alike, peers: &[PeerPlan], found: &mut Vec<Diagnostic>) {
        let Alike { pairs, dial, ways: Ways { forth, back }, span } = alike;
        let mut twice = Vec::new();
        // Each holds a pair, of which there are fewer than `u32` counts.
        let entry = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        self.entries.push(*span);
        for &[a, b] in pairs {
            let Entry::Vacant(place) = self.pairs.entry([a.min(b), a.max(b)]) else {
                twice.push([a, b]);
                continue;
            };
            let mut links = [None; 2];
            let mut add = |dialler: u32, listener: u32, up, down| {
                // LINKS_MAX is far below what `u32` counts.
                links[usize::from(dialler > listener)] = u32::try_from(self.list.len()).ok();
                self.list.push(Link { dialler, listener, shape: Shape { up, down } });
            };
            if matches!(dial, Dial::Both | Dial::A) {
                add(a, b, *forth, *back);
            }
            if matches!(dial, Dial::Both | Dial::B) {
                add(b, a, *back, *forth);
            }
            place.insert(Linked { links, entry });
        }
        if let Some(&[a, b]) = twice.first() {
            let [first, second] = [a, b].map(|index| &peers[index as usize].name);
            let others = match twice.len() - 1 {
                0 => String::new(),
                others => format!(", and so are {others} other pairs"),
            };
            let message = format!("`{first}` and `{second}` are linked twice{others}");
            let earlier = self.pairs[&[a.min(b), a.max(b)]].entry;
            let hint = "remove one; `a_to_b` and `b_to_a` tell directions apart";
            let twice = Diagnostic::new(*span, message).hint(hint);
            found.push(twice.related(self.entries[earlier as usize], "already linked here"));
        }
    }
}

/// All links in file order.
pub(super) fn links(
    top: &Fields<'_>,
    peers: &[PeerPlan],
    roll: &Roll,
    found: &mut Vec<Diagnostic>,
) -> Links {
    let Some(node) = top.require("links", found) else { return Links::default() };
    let mut links = Links::default();
    for item in items(node, "`links`", found) {
        if let Some(alike) = link_item(item, peers, roll, found) {
            links.add(&alike, peers, found);
        }
        if links.list.len() > defaults::LINKS_MAX {
            let message = format!("more than {} links are too many", defaults::LINKS_MAX);
            let hint = "link fewer peers with each other: a `star` of n peers has 2 (n - 1) links";
            found.push(Diagnostic::new(item.span, message).hint(hint));
        }
        // The rest of a long list is not looked at for nothing.
        if found.len() >= DIAGNOSTICS_MAX || links.list.len() > defaults::LINKS_MAX {
            break;
        }
    }
    links
}

fn link_item(
    item: &Node,
    peers: &[PeerPlan],
    roll: &Roll,
    found: &mut Vec<Diagnostic>,
) -> Option<Alike> {
    if !groups::Kind::ALL.into_iter().any(|kind| has_key(item, kind.name())) {
        return pair(item, peers, roll, found);
    }
    let fields = Fields::open(item, "a link group", &schema::GROUP, found);
    let kinds = groups::Kind::ALL.into_iter();
    let mut given: Vec<_> =
        kinds.filter_map(|kind| Some((kind, fields.entry(kind.name())?))).collect();
    given.sort_by_key(|(_, entry)| entry.key_span);
    let (kind, entry) = *given.first()?;
    if let Some((_, second)) = given.get(1) {
        let two = Diagnostic::new(second.key_span, "one entry has two groups of links");
        let two = two.hint("start another `- ...` for the second");
        found.push(two.related(entry.key_span, "the first"));
    }
    groups::group(kind, &entry.value, entry.key_span, (peers, roll), found)
}

fn has_key(item: &Node, key: &str) -> bool {
    matches!(&item.value, Value::Mapping(entries) if entries.iter().any(|entry| entry.key == key))
}

fn pair(
    item: &Node,
    peers: &[PeerPlan],
    roll: &Roll,
    found: &mut Vec<Diagnostic>,
) -> Option<Alike> {
    let fields = Fields::open(item, "a link", &schema::PAIR, found);
    let mut end = |key| {
        let node = fields.require(key, found)?;
        roll.reference(node, &format!("`{key}`"), peers, found)
    };
    let (a, b) = (end("a"), end("b"));
    let dial = fields.word("dial", "end of a link", found);
    let dial = schema::DIALS.into_iter().zip(Dial::ALL).find(|(name, _)| dial == Some(name));
    let dial = dial.map_or(Dial::Both, |(_, dial)| dial);
    let before = found.len();
    let both = fields.find("both").map(|node| {
        let both = Fields::open(node, "`both`", &schema::BOTH_SHAPE, found);
        Ways::read(&both, "`both`", found)
    });
    let said = directions(both.unwrap_or_default(), &fields, ["a_to_b", "b_to_a"], found);
    let ways = said.shapes(before, found);
    let (a, b) = (a?, b?);
    if a == b {
        let name = &peers[a as usize].name;
        let message = format!("a link between `{name}` and itself");
        found.push(Diagnostic::new(item.span, message).hint("name two different peers"));
        return None;
    }
    Some(Alike { pairs: vec![[a, b]], dial, ways, span: item.span })
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
    let fields = Fields::open(node, &what, &schema::BOTH_SHAPE, found);
    if let Some(entry) = fields.entry("rtt") {
        let message = format!("{what} is one way, and `rtt` is there and back");
        let hint = "write `latency`, or `rtt` for both directions together";
        found.push(Diagnostic::new(entry.key_span, message).hint(hint));
        return Ways::default();
    }
    Ways::read(&fields, &what, found)
}
