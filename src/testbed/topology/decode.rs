//! From tree to [`Scene`], by hand: serde would stop at the first mistake.
//!
//! A function that decodes a part returns what it could, and adds what it could
//! not to the list of diagnostics; a scene is used only when that list is empty.

use std::collections::BTreeMap;

use super::defaults;
use super::diagnostic::Diagnostic;
use super::source::Span;
use super::tree::{Node, Value};
use crate::testbed::plan::{PeerPlan, Shape, StepPlan};

mod dataset;
mod fields;
mod links;
mod peers;
mod run;
mod steps;

use fields::Fields;
pub(crate) use run::{Factor, Run, factors};

/// Keys at the top of the file.
pub(crate) const TOP_KEYS: [&str; 11] = [
    "version", "name", "seed", "vars", "defaults", "peers", "links", "dataset", "scenario",
    "matrix", "run",
];

/// Everything a topology says, with all variables put in: one cell.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) name: String,
    pub(crate) seed: u64,
    pub(crate) peers: Vec<PeerPlan>,
    pub(crate) links: Vec<Link>,
    pub(crate) dataset: Vec<File>,
    /// Their `sample` is an index into `dataset`.
    pub(crate) steps: Vec<StepPlan>,
    pub(crate) run: Run,
}

/// What one peer dials another through.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) dialler: String,
    pub(crate) listener: String,
    pub(crate) shape: Shape,
}

impl Link {
    pub(crate) fn name(&self) -> String {
        format!("{}:{}", self.dialler, self.listener)
    }
}

/// One file of the dataset.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) peer: String,
    pub(crate) path: String,
    pub(crate) size_bytes: u64,
    pub(crate) span: Span,
}

/// Decodes a tree whose variables are put in.
pub(crate) fn scene(root: &Node, found: &mut Vec<Diagnostic>) -> Scene {
    let top = Fields::open(root, "the topology", &TOP_KEYS, found);
    check_version(&top, found);
    let name = top.require("name", found).and_then(|node| fields::name(node, "`name`", found));
    let seed =
        top.find("seed").and_then(|node| fields::integer(node, "`seed`", 0, u64::MAX, found));
    let (peers, peers_whole) = part(found, |found| peers::peers(&top, found));
    let (links, links_whole) = part(found, |found| links::links(&top, &peers, found));
    let (dataset, dataset_whole) = part(found, |found| dataset::dataset(&top, &peers, found));
    let known = steps::Known {
        peers: &peers,
        links: (links_whole && peers_whole).then_some(links.as_slice()),
        dataset: (dataset_whole && peers_whole).then_some(dataset.as_slice()),
    };
    let steps = steps::steps(&top, &known, found);
    let run = run::run(&top, found);
    Scene {
        name: name.unwrap_or_default(),
        seed: seed.unwrap_or(defaults::SEED),
        peers,
        links,
        dataset,
        steps,
        run,
    }
}

/// The `vars` of the file, as text.
pub(crate) fn vars(root: &Node, found: &mut Vec<Diagnostic>) -> BTreeMap<String, String> {
    let Some(node) = root.child("vars") else { return BTreeMap::new() };
    let mut vars = BTreeMap::new();
    for entry in fields::entries(node, "`vars`", found) {
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
