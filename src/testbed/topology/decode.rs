//! From tree to [`Scene`], by hand: serde would stop at the first mistake.
//!
//! A function that decodes a part returns what it could, and adds what it could
//! not to the list of diagnostics; a scene is used only when that list is empty.

use std::collections::BTreeMap;

use super::defaults;
use super::diagnostic::Diagnostic;
use super::schema;
use super::source::Span;
use super::tree::{Node, Value};
use crate::testbed::plan::{Entropy, PeerPlan, Shape, StepPlan};
use crate::testbed::runtime::docker::subnets::Subnet;

mod dataset;
mod fields;
mod links;
mod network;
mod peers;
mod roll;
mod run;
mod steps;

use fields::Fields;
pub(crate) use links::Links;
pub(crate) use roll::Roll;
pub(crate) use run::{Factor, Run, factors};

/// Everything a topology says, with all variables put in: one cell.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) name: String,
    pub(crate) seed: u64,
    pub(crate) peers: Vec<PeerPlan>,
    pub(crate) roll: Roll,
    pub(crate) links: Links,
    /// Where containers' networks come from.
    pub(crate) range: Subnet,
    pub(crate) dataset: Vec<File>,
    /// Their `sample` is an index into `dataset`.
    pub(crate) steps: Vec<StepPlan>,
    pub(crate) run: Run,
}

/// What one peer dials another through; both by their places in the list of peers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    pub(crate) dialler: u32,
    pub(crate) listener: u32,
    pub(crate) shape: Shape,
}

/// One file of the dataset.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) peer: String,
    pub(crate) path: String,
    /// What else a transfer may call it: the path in the file with its number.
    pub(crate) alias: Option<String>,
    pub(crate) size_bytes: u64,
    pub(crate) entropy: Entropy,
    pub(crate) span: Span,
}

/// Decodes a tree whose variables are put in.
pub(crate) fn scene(root: &Node, found: &mut Vec<Diagnostic>) -> Scene {
    let top = Fields::open(root, "the topology", &schema::TOPOLOGY, found);
    check_version(&top, found);
    let name = top.require("name", found).and_then(|node| fields::name(node, "`name`", found));
    let seed = top.integer("seed", found).unwrap_or(defaults::SEED);
    let (all, peers_whole) = part(found, |found| peers::peers(&top, found));
    let peers = all.list.as_slice();
    let roll = Roll::of(peers);
    let (links, links_whole) = part(found, |found| links::links(&top, peers, &roll, found));
    let (dataset, dataset_whole) = part(found, |found| dataset::dataset(&top, seed, peers, found));
    peers::check_fit(&all, &dataset, found);
    let known = steps::Known {
        peers,
        roll: &roll,
        places: &all.places,
        links: (links_whole && peers_whole).then_some(&links),
        dataset: (dataset_whole && peers_whole).then_some(dataset.as_slice()),
    };
    let steps = steps::steps(&top, &known, found);
    let run = run::run(&top, found);
    let range = network::range(&top, peers, found);
    Scene {
        name: name.unwrap_or_default(),
        seed,
        peers: all.list,
        roll,
        links,
        range,
        dataset,
        steps,
        run,
    }
}

/// The `vars` of the file, as text.
pub(crate) fn vars(root: &Node, found: &mut Vec<Diagnostic>) -> BTreeMap<String, String> {
    let Some(node) = root.child("vars") else { return BTreeMap::new() };
    let mut vars = BTreeMap::new();
    for entry in fields::named(fields::entries(node, "`vars`", found)) {
        let what = format!("the variable `{}`", entry.key);
        if !fields::is_identifier(&entry.key) {
            let message = format!("`{}` is not a name for a variable", entry.key);
            let hint = "letters, digits and _, not starting with a digit";
            found.push(Diagnostic::new(entry.key_span, message).hint(hint));
        }
        if let Some(text) = fields::literal(&entry.value, &what, found) {
            vars.insert(entry.key.clone(), text);
        }
    }
    vars
}

/// Where each of the `vars` has its value.
pub(crate) fn var_places(root: &Node) -> BTreeMap<String, Span> {
    let entries = match root.child("vars").map(|node| &node.value) {
        Some(Value::Mapping(entries)) => entries.as_slice(),
        _ => &[],
    };
    entries.iter().map(|entry| (entry.key.clone(), entry.value.span)).collect()
}

fn check_version(top: &Fields<'_>, found: &mut Vec<Diagnostic>) {
    let Some(node) = top.require("version", found) else { return };
    let version = fields::integer(node, "`version`", 0, u64::MAX, found);
    if let Some(version) = version.filter(|version| *version != defaults::VERSION) {
        let message = format!("version {version} is not known to this dropbed");
        let hint = format!("write `version: {}`", defaults::VERSION);
        found.push(Diagnostic::new(node.span, message).hint(hint));
    }
}

/// A part, and whether it was decoded without a mistake: what refers to a part
/// with mistakes is not complained about.
fn part<T>(
    found: &mut Vec<Diagnostic>,
    decode: impl FnOnce(&mut Vec<Diagnostic>) -> T,
) -> (T, bool) {
    let before = found.len();
    let decoded = decode(found);
    (decoded, found.len() == before)
}

/// The items of a list.
fn items<'a>(node: &'a Node, what: &str, found: &mut Vec<Diagnostic>) -> &'a [Node] {
    match &node.value {
        Value::Sequence(items) => items,
        _ => {
            let message = format!("{what} is {}, not a list", node.kind());
            found.push(Diagnostic::new(node.span, message).hint("write one `- ...` per item"));
            &[]
        }
    }
}
