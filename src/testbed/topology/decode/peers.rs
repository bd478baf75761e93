//! `peers` and `defaults`.

use std::collections::{BTreeMap, HashMap};

use super::super::defaults;
use super::super::diagnostic::Diagnostic;
use super::super::source::Span;
use super::super::suggest;
use super::super::tree::Node;
use super::fields::{self, Fields};
use crate::testbed::contract::env;
use crate::testbed::plan::PeerPlan;

/// Names that other parts of a run go by.
const RESERVED_NAMES: [&str; 3] = ["localhost", "proxy", "testbed"];

/// Environment that the runtime sets itself.
const RESERVED_ENVIRONMENT: [&str; 9] = [
    env::NAME,
    env::LISTEN,
    env::CONTROL,
    env::CONTROL_TOKEN_FILE,
    env::STATE,
    env::SHARE,
    env::MOUNT,
    env::REKEY_BYTES,
    env::OTLP_ENDPOINT,
];

const SETTING_KEYS: [&str; 4] = ["mount", "privileged", "rekey_bytes", "environment"];
const PEER_KEYS: [&str; 5] = ["mount", "privileged", "rekey_bytes", "environment", "count"];

/// What a peer or `defaults.peer` says; what it does not say is `None`.
#[derive(Default)]
struct Settings {
    mount: Option<bool>,
    privileged: Option<bool>,
    rekey_bytes: Option<u64>,
    environment: BTreeMap<String, String>,
}

/// All peers, counts expanded, in file order.
pub(super) fn peers(top: &Fields<'_>, found: &mut Vec<Diagnostic>) -> Vec<PeerPlan> {
    let shared = shared_settings(top, found);
    let Some(node) = top.require("peers", found) else { return Vec::new() };
    let mut peers: Vec<PeerPlan> = Vec::new();
    let mut places: HashMap<String, Span> = HashMap::new();
    for entry in fields::entries(node, "`peers`", found) {
        let what = format!("peer `{}`", entry.key);
        let fields = Fields::open(&entry.value, &what, &PEER_KEYS, found);
        let own = settings(&fields, &what, found);
        let max = defaults::PEERS_MAX as u64;
        let count = fields
            .find("count")
            .map(|node| fields::integer(node, "`count`", 1, max, found).unwrap_or(1));
        let names = match count {
            None => vec![entry.key.clone()],
            Some(count) => (0..count).map(|index| format!("{}-{index}", entry.key)).collect(),
        };
        if !fields::check_name(&names[names.len() - 1], "a peer", entry.key_span, found) {
            continue;
        }
        for name in names {
            if RESERVED_NAMES.contains(&name.as_str()) {
                let message = format!("`{name}` is the name of another part of a run");
                found.push(Diagnostic::new(entry.key_span, message).hint("use another name"));
            }
            if let Some(first) = places.insert(name.clone(), entry.key_span) {
                let message = format!("there are two peers called `{name}`");
                let hint = format!("the other one is on line {}", first.line);
                found.push(Diagnostic::new(entry.key_span, message).hint(hint));
                continue;
            }
            peers.push(merged(name, &shared, &own));
        }
    }
    check_count(&peers, node, found);
    peers
}

/// Finds a peer by name or says which there are.
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
    let known: Vec<&str> = peers.iter().map(|peer| peer.name.as_str()).collect();
    let expanded = format!("{name}-0");
    let hint = match known.contains(&expanded.as_str()) {
        true => format!("`count` numbers peers: write `{expanded}`"),
        false => suggest::hint(name, &known),
    };
    let message = format!("{what}: there is no peer `{name}`");
    found.push(Diagnostic::new(node.span, message).hint(hint));
    None
}

fn shared_settings(top: &Fields<'_>, found: &mut Vec<Diagnostic>) -> Settings {
    let Some(node) = top.find("defaults") else { return Settings::default() };
    let fields = Fields::open(node, "`defaults`", &["peer"], found);
    let Some(node) = fields.find("peer") else { return Settings::default() };
    let fields = Fields::open(node, "`defaults.peer`", &SETTING_KEYS, found);
    settings(&fields, "`defaults.peer`", found)
}

fn settings(fields: &Fields<'_>, what: &str, found: &mut Vec<Diagnostic>) -> Settings {
    let mut settings = Settings {
        mount: fields.find("mount").and_then(|node| fields::boolean(node, "`mount`", found)),
        privileged: fields
            .find("privileged")
            .and_then(|node| fields::boolean(node, "`privileged`", found)),
        rekey_bytes: fields.find("rekey_bytes").and_then(|node| {
            let range = defaults::REKEY_BYTES_MIN..=defaults::REKEY_BYTES_MAX;
            fields::size_bytes(node, "`rekey_bytes`", range, found)
        }),
        environment: BTreeMap::new(),
    };
    let Some(node) = fields.find("environment") else { return settings };
    let what = format!("`environment` of {what}");
    for entry in fields::entries(node, &what, found) {
        if RESERVED_ENVIRONMENT.contains(&entry.key.as_str()) {
            let message = format!("`{}` is set by the testbed", entry.key);
            found.push(Diagnostic::new(entry.key_span, message).hint("remove it"));
        } else if !fields::is_identifier(&entry.key) {
            let message = format!("`{}` is not a name for an environment variable", entry.key);
            let hint = "letters, digits and _, not starting with a digit";
            found.push(Diagnostic::new(entry.key_span, message).hint(hint));
        } else if let Some(value) = fields::literal(&entry.value, &what, found) {
            settings.environment.insert(entry.key.clone(), value);
        }
    }
    settings
}

/// A peer's own settings win; environments are merged by name.
fn merged(name: String, shared: &Settings, own: &Settings) -> PeerPlan {
    let mut environment = shared.environment.clone();
    environment.extend(own.environment.clone());
    PeerPlan {
        name,
        mount: own.mount.or(shared.mount).unwrap_or(defaults::PEER_MOUNT),
        privileged: own.privileged.or(shared.privileged).unwrap_or(defaults::PEER_PRIVILEGED),
        rekey_bytes: own.rekey_bytes.or(shared.rekey_bytes),
        environment,
    }
}

fn check_count(peers: &[PeerPlan], node: &Node, found: &mut Vec<Diagnostic>) {
    if peers.len() > defaults::PEERS_MAX {
        let message = format!("{} peers are too many", peers.len());
        let hint = format!("at most {}", defaults::PEERS_MAX);
        found.push(Diagnostic::new(node.span, message).hint(hint));
    } else if peers.len() < 2 && !fields::entries(node, "`peers`", &mut Vec::new()).is_empty() {
        let message = "one peer has nobody to read from";
        found.push(Diagnostic::new(node.span, message).hint("add a second peer"));
    } else if peers.is_empty() {
        found.push(Diagnostic::new(node.span, "there are no peers").hint("add two: `alice: {}`"));
    }
}
