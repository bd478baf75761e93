//! Groups of pairs that are shaped alike.

use super::super::super::defaults;
use super::super::super::diagnostic::Diagnostic;
use super::super::super::schema;
use super::super::super::source::Span;
use super::super::super::tree::Node;
use super::super::fields::Fields;
use super::super::roll::Roll;
use super::way::{Said, Ways};
use super::{Alike, Dial, directions};
use crate::testbed::plan::PeerPlan;

/// How a group joins its peers. In each pair `a` is the one that is named first
/// here: its side is the slow side of a preset.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Everybody with everybody.
    FullMesh,
    /// Each ray with the hub.
    Star,
    /// Each with the next, and the last with the first.
    Ring,
    /// Each with the next.
    Line,
    /// Each child with its parent; the first is the root.
    Tree,
}

impl Kind {
    pub(super) const ALL: [Self; 5] =
        [Self::FullMesh, Self::Star, Self::Ring, Self::Line, Self::Tree];

    /// The key in files.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::FullMesh => "full_mesh",
            Self::Star => "star",
            Self::Ring => "ring",
            Self::Line => "line",
            Self::Tree => "tree",
        }
    }

    /// The keys of such a group.
    const fn table(self) -> &'static schema::Map {
        match self {
            Self::FullMesh => &schema::FULL_MESH,
            Self::Star => &schema::STAR,
            Self::Ring | Self::Line => &schema::NEIGHBOURS,
            Self::Tree => &schema::TREE,
        }
    }

    /// Keys of what differs in one direction: from `a`, and to it.
    const fn direction_keys(self) -> Option<[&'static str; 2]> {
        match self {
            Self::FullMesh => None,
            Self::Star => Some(["to_hub", "from_hub"]),
            Self::Ring | Self::Line => Some(["forward", "backward"]),
            Self::Tree => Some(["to_root", "from_root"]),
        }
    }

    /// Why a preset with a slow side cannot be meant, and what could be.
    const fn no_sides(self) -> Option<[&'static str; 2]> {
        match self {
            Self::FullMesh => Some([
                "this preset has a slow side, and a full mesh has no sides",
                "use `star`, or give each pair a link: `a` is the slow side",
            ]),
            Self::Ring | Self::Line => Some([
                "this preset has a slow side, and neighbours have no sides",
                "give the preset in `forward` or `backward`, or give each pair a link",
            ]),
            Self::Star | Self::Tree => None,
        }
    }

    /// Fewer peers than this are no such group.
    const fn peers_min(self) -> usize {
        match self {
            Self::Ring => 3,
            Self::FullMesh | Self::Line | Self::Tree => 2,
            // Beside the hub.
            Self::Star => 1,
        }
    }
}

/// All pairs of a group.
pub(super) fn group(
    kind: Kind,
    node: &Node,
    span: Span,
    (peers, roll): (&[PeerPlan], &Roll),
    found: &mut Vec<Diagnostic>,
) -> Option<Alike> {
    let what = format!("`{}`", kind.name());
    let before = found.len();
    let fields = Fields::open(node, &what, kind.table(), found);
    let both = Ways::read(&fields, &what, found);
    check_sides(kind, &both, &fields, before, found);
    let said = match kind.direction_keys() {
        Some(keys) => directions(both, &fields, keys, found),
        None => both,
    };
    let ways = said.shapes(before, found);
    let mut members = roll.members(&fields, peers, found);
    let hub = match kind {
        Kind::Star => {
            let hub = fields.require("hub", found);
            let hub = hub.and_then(|node| roll.reference(node, "`hub`", peers, found))?;
            members.retain(|peer| *peer != hub);
            Some(hub)
        }
        _ => None,
    };
    if members.len() < kind.peers_min() {
        if peers.len() > 1 && found.len() == before {
            let message = format!("{what} has too few peers: {}", members.len());
            let least = kind.peers_min();
            let hint = match kind {
                Kind::Star => "name at least one beside the hub".to_owned(),
                Kind::Ring => format!("at least {least}; two make a `line`"),
                _ => format!("at least {least}"),
            };
            found.push(Diagnostic::new(span, message).hint(hint));
        }
        return None;
    }
    let arity = arity(&fields, kind, found);
    let pairs = pairs(kind, &members, hub, arity, span, found)?;
    Some(Alike { pairs, dial: Dial::Both, ways, span })
}

/// A preset with a slow side says nothing where no side is told from the other.
fn check_sides(
    kind: Kind,
    both: &Ways<Said>,
    fields: &Fields<'_>,
    before: usize,
    found: &mut Vec<Diagnostic>,
) {
    let (Some([message, hint]), Some(preset)) = (kind.no_sides(), fields.find("preset")) else {
        return;
    };
    if found.len() > before {
        return;
    }
    // What else is wrong with the shapes is told by who uses them.
    let ways = both.shapes(0, &mut Vec::new());
    if ways.forth != ways.back {
        found.push(Diagnostic::new(preset.span, message).hint(hint));
    }
}

fn arity(fields: &Fields<'_>, kind: Kind, found: &mut Vec<Diagnostic>) -> usize {
    let given = if kind == Kind::Tree { fields.integer("arity", found) } else { None };
    usize::try_from(given.unwrap_or(defaults::TREE_ARITY)).unwrap_or(usize::MAX)
}

/// Who is joined with whom. A mesh that is too large is not made at all.
fn pairs(
    kind: Kind,
    members: &[u32],
    hub: Option<u32>,
    arity: usize,
    span: Span,
    found: &mut Vec<Diagnostic>,
) -> Option<Vec<[u32; 2]>> {
    let neighbours = || members.windows(2).map(|pair| [pair[0], pair[1]]);
    Some(match kind {
        Kind::FullMesh => {
            let links = members.len() * (members.len() - 1);
            if links > defaults::LINKS_MAX {
                let message = format!("a full mesh of {} peers has {links} links", members.len());
                let hint = format!("at most {}", defaults::LINKS_MAX);
                found.push(Diagnostic::new(span, message).hint(hint));
                return None;
            }
            let after = |index: usize| members[index + 1..].iter();
            let of = |(index, a): (usize, &u32)| {
                let a = *a;
                after(index).map(move |b| [a, *b])
            };
            members.iter().enumerate().flat_map(of).collect()
        }
        Kind::Star => {
            hub.into_iter().flat_map(|hub| members.iter().map(move |ray| [*ray, hub])).collect()
        }
        Kind::Ring => {
            let closing = members.first().zip(members.last()).map(|(first, last)| [*last, *first]);
            neighbours().chain(closing).collect()
        }
        Kind::Line => neighbours().collect(),
        Kind::Tree => {
            let children = members.iter().enumerate().skip(1);
            children.map(|(index, child)| [*child, members[(index - 1) / arity]]).collect()
        }
    })
}
