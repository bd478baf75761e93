//! A topology as it was run: nothing is left to be merged.

use super::Topology;
use super::decode::Scene;
use super::source::Span;
use super::tree::{self, Entry, Node, Scalar, Value};
use super::units::{CpusMilli, SizeBytes};
use super::vars;
use crate::testbed::plan::{PeerPlan, Resources, Volume};

const HEADER: &str = "# As it was run: what `--set`, `defaults` and `profiles` say is merged in, counts are\n\
                      # expanded, and `vars` has the value of every variable.\n";

/// Keys that say nothing more once the peers have all their settings.
const MERGED_KEYS: [&str; 2] = ["defaults", "profiles"];

/// YAML with all overrides in it, for the run's directory: every peer with its
/// effective settings, every variable with its value. Parses to the same plan.
pub fn resolved(topology: &Topology) -> String {
    let Value::Mapping(entries) = &topology.tree.value else {
        unreachable!("a checked topology is a map")
    };
    let scene = topology.base();
    let mut out: Vec<Entry> = Vec::new();
    for given in entries.iter().filter(|entry| !MERGED_KEYS.contains(&entry.key.as_str())) {
        match given.key.as_str() {
            "name" => {
                out.push(given.clone());
                out.push(entry("seed", text(&scene.seed.to_string())));
                let variables = variables(&topology.tree);
                out.extend((!variables.is_empty()).then(|| entry("vars", map(variables))));
            }
            "seed" | "vars" => {}
            "peers" => out.push(entry("peers", map(peers(scene)))),
            _ => out.push(given.clone()),
        }
    }
    format!("{HEADER}{}", tree::emit(&map(out)))
}

/// Those that the file defines, and those that it only gives a default: where
/// their defaults differ from place to place, they have no one value.
fn variables(root: &Node) -> Vec<Entry> {
    let mut variables = match root.child("vars").map(|node| &node.value) {
        Some(Value::Mapping(entries)) => entries.clone(),
        _ => Vec::new(),
    };
    let uses = vars::in_topology(root);
    for used in &uses {
        let Some(default) = used.default else { continue };
        let known = variables.iter().any(|entry| entry.key == used.name);
        let mut same_name = uses.iter().filter(|other| other.name == used.name);
        if !known && same_name.all(|other| other.default == Some(default)) {
            variables.push(entry(used.name, text(default)));
        }
    }
    variables
}

fn peers(scene: &Scene) -> Vec<Entry> {
    scene.peers.iter().map(|peer| entry(&peer.name, map(settings(peer)))).collect()
}

/// Everything about one peer, but for what is as the machine or the daemon has it.
fn settings(peer: &PeerPlan) -> Vec<Entry> {
    let PeerPlan { name: _, mount, privileged, rekey_bytes, environment, resources, volumes } =
        peer;
    let mut out = vec![
        entry("mount", text(&mount.to_string())),
        entry("privileged", text(&privileged.to_string())),
    ];
    let rekey = rekey_bytes.map(|bytes| entry("rekey_bytes", size(bytes)));
    out.extend(rekey);
    if !environment.is_empty() {
        let each = environment.iter().map(|(name, value)| entry(name, literal(value)));
        out.push(entry("environment", map(each.collect())));
    }
    let Resources { cpus_milli, memory_bytes } = resources;
    let cpus = cpus_milli.map(|cpus| entry("cpus", text(&CpusMilli(cpus.into()).to_string())));
    let memory = memory_bytes.map(|bytes| entry("memory", size(bytes)));
    let limits: Vec<Entry> = cpus.into_iter().chain(memory).collect();
    out.extend((!limits.is_empty()).then(|| entry("resources", map(limits))));
    let beneath = [("share", &volumes.share), ("state", &volumes.state)];
    let beneath = beneath.map(|(directory, beneath)| entry(directory, volume(beneath)));
    out.push(entry("volumes", map(beneath.into())));
    out
}

fn volume(volume: &Volume) -> Node {
    match volume {
        Volume::Disk => text(super::schema::DISK),
        Volume::Memory { size_bytes } => map(vec![entry("memory", size(*size_bytes))]),
        Volume::Directory { path, read_only } => map(vec![
            entry("directory", literal(path)),
            entry("read_only", text(&read_only.to_string())),
        ]),
    }
}

fn entry(key: &str, value: Node) -> Entry {
    Entry { key: key.to_owned(), key_span: Span::beginning(0), value }
}

fn map(entries: Vec<Entry>) -> Node {
    Node { span: Span::beginning(0), value: Value::Mapping(entries) }
}

fn size(bytes: u64) -> Node {
    text(&SizeBytes(bytes).to_string())
}

/// A value that is written without quotes where that is safe.
fn text(text: &str) -> Node {
    scalar(text.to_owned(), true)
}

/// A value that stays what it is: text, in which nothing is put in.
fn literal(text: &str) -> Node {
    scalar(text.replace('$', "$$"), false)
}

const fn scalar(text: String, plain: bool) -> Node {
    let scalar = Scalar { text, plain, template: None };
    Node { span: Span::beginning(0), value: Value::Scalar(scalar) }
}
