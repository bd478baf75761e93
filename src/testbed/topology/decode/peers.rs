//! `peers`, `profiles` and `defaults`.
//!
//! What a peer is told comes from three places, the later over the earlier:
//! `defaults.peer`, its profiles in order (each once, after what it inherits), and
//! the peer itself. Maps are merged key by key, lists and single values replaced.

use std::collections::{BTreeMap, HashMap};

use super::super::defaults;
use super::super::diagnostic::Diagnostic;
use super::super::schema;
use super::super::source::Span;
use super::super::suggest;
use super::super::tree::{Entry, Node};
use super::fields::{self, Fields};
use crate::testbed::plan::PeerPlan;

mod profiles;
mod settings;
mod volumes;

use profiles::{Profiles, references};
use settings::Settings;
pub(super) use volumes::check_fit;

/// Names that other parts of a run go by.
const RESERVED_NAMES: [&str; 3] = ["localhost", "proxy", "testbed"];

/// All peers, and where they are told what other parts may complain about.
#[derive(Default)]
pub(super) struct Peers {
    /// Counts expanded, in file order.
    pub(super) list: Vec<PeerPlan>,
    pub(super) places: BTreeMap<String, Places>,
}

/// Where a setting of a peer comes from: itself, a profile or `defaults`; `None`
/// where nothing says it.
#[derive(Clone, Copy, Default)]
pub(super) struct Places {
    pub(super) mount: Option<Span>,
    share: Option<Span>,
    state: Option<Span>,
}

/// All peers.
pub(super) fn peers(top: &Fields<'_>, found: &mut Vec<Diagnostic>) -> Peers {
    let shared = shared_settings(top, found);
    let profiles = Profiles::read(top, found);
    let Some(node) = top.require("peers", found) else { return Peers::default() };
    let mut peers = Peers::default();
    let mut names: HashMap<String, Span> = HashMap::new();
    for entry in fields::named(fields::entries(node, "`peers`", found)) {
        let what = format!("peer `{}`", entry.key);
        let fields = Fields::open(&entry.value, &what, &schema::PEER, found);
        let own = Settings::read(&fields, &what, found);
        let told = profiles.over(&shared, &references(&fields, found), found);
        let told = own.over(&told);
        for name in expanded(entry, &fields, found) {
            if let Some(first) = names.get(&name) {
                let message = format!("there are two peers called `{name}`");
                let twice = Diagnostic::new(entry.key_span, message).hint("rename one");
                found.push(twice.related(*first, "the other one is made here"));
                continue;
            }
            names.insert(name.clone(), entry.key_span);
            peers.places.insert(name.clone(), told.places());
            peers.list.push(told.plan(name));
        }
    }
    volumes::check_states(&peers, found);
    check_count(&peers.list, node, found);
    peers
}

/// The names of the peers that an entry makes; none if they are no names.
fn expanded(entry: &Entry, fields: &Fields<'_>, found: &mut Vec<Diagnostic>) -> Vec<String> {
    let given = fields.find("count").map(|_| fields.integer("count", found).unwrap_or(1));
    let names = match given {
        None => vec![entry.key.clone()],
        Some(count) => (0..count).map(|index| format!("{}-{index}", entry.key)).collect(),
    };
    // The last is the longest.
    let Some(last) = names.last() else { return Vec::new() };
    if !fields::check_name(last, "a peer", entry.key_span, found) {
        return Vec::new();
    }
    for name in names.iter().filter(|name| RESERVED_NAMES.contains(&name.as_str())) {
        let message = format!("`{name}` is the name of another part of a run");
        found.push(Diagnostic::new(entry.key_span, message).hint("use another name"));
    }
    names
}

/// Finds a peer by name or says which there are. Where there is none at all, that
/// has been told.
pub(super) fn peer_reference(
    node: &Node,
    what: &str,
    peers: &[PeerPlan],
    found: &mut Vec<Diagnostic>,
) -> Option<String> {
    let name = fields::text(node, what, found)?;
    if peers.iter().any(|peer| peer.name == name) {
        return Some(name.to_owned());
    }
    if peers.is_empty() {
        return None;
    }
    let known: Vec<&str> = peers.iter().map(|peer| peer.name.as_str()).collect();
    let expanded = format!("{name}-0");
    let hint = if schema::is_own_key(name) {
        "keys that begin with `x-` are the file's own, and no peers".to_owned()
    } else if known.contains(&expanded.as_str()) {
        format!("`count` numbers peers: write `{expanded}`")
    } else {
        suggest::hint(name, &known)
    };
    let message = format!("{what}: there is no peer `{name}`");
    found.push(Diagnostic::new(node.span, message).hint(hint));
    None
}

fn shared_settings(top: &Fields<'_>, found: &mut Vec<Diagnostic>) -> Settings {
    let Some(node) = top.find("defaults") else { return Settings::default() };
    let fields = Fields::open(node, "`defaults`", &schema::DEFAULTS, found);
    let Some(node) = fields.find("peer") else { return Settings::default() };
    let fields = Fields::open(node, "`defaults.peer`", &schema::SETTINGS, found);
    Settings::read(&fields, "`defaults.peer`", found)
}

fn check_count(peers: &[PeerPlan], node: &Node, found: &mut Vec<Diagnostic>) {
    let mut ignored = Vec::new();
    let given = fields::named(fields::entries(node, "`peers`", &mut ignored)).count();
    if peers.len() > defaults::PEERS_MAX {
        let message = format!("{} peers are too many", peers.len());
        let hint = format!("at most {}", defaults::PEERS_MAX);
        found.push(Diagnostic::new(node.span, message).hint(hint));
    } else if given == 0 && ignored.is_empty() {
        found.push(Diagnostic::new(node.span, "there are no peers").hint("add two: `alice: {}`"));
    } else if peers.len() == 1 && given == 1 {
        let message = "one peer has nobody to read from";
        found.push(Diagnostic::new(node.span, message).hint("add a second peer"));
    }
}
