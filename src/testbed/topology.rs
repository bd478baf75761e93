//! A topology file: parsed, checked, every mistake with its place.
//!
//! `tree` is YAML with places; `overrides` changes it as `--set` asks; `vars`
//! puts variables in; `decode` gives it meaning. What a file that says nothing
//! gets is in [`defaults`].

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

pub mod defaults;
pub mod diagnostic;
pub mod schema;
pub mod source;
pub mod tree;
pub mod units;

mod decode;
mod overrides;
mod resolved;
pub(crate) mod suggest;
mod vars;

use decode::{Factor, File};
pub(crate) use decode::{Link, Run, Scene};
pub use diagnostic::{Diagnostic, Diagnostics};
pub use resolved::resolved;
use source::{Source, Span};
use tree::{Node, Value};

pub use super::plan::load;
use super::plan::{Shape, StepPlan};

/// A checked topology: every cell of its matrix can be decoded.
#[derive(Clone, Debug)]
pub struct Topology {
    sources: Vec<Source>,
    tree: Node,
    base: Scene,
    cells: Vec<Cell>,
}

/// One combination of the matrix's values, decoded: what may differ by cell.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub(crate) values: BTreeMap<String, String>,
    pub(crate) shapes: Arc<[Shape]>,
    pub(crate) dataset: Vec<File>,
    /// Their `sample` is an index into `dataset`.
    pub(crate) steps: Vec<StepPlan>,
}

impl Topology {
    /// Parses and checks `text`; `name` is what diagnostics call the file, `sets`
    /// are the arguments of `--set` (`key.path=value`).
    pub fn parse(name: &str, text: &str, sets: &[String]) -> Result<Self, Diagnostics> {
        let mut sources = vec![Source { name: name.to_owned(), text: text.to_owned() }];
        let mut found = Vec::new();
        let parsed = tree::parse(text, 0, &mut found);
        let topology = parsed.and_then(|tree| build(tree, sets, &mut sources, &mut found));
        match topology {
            Some((tree, base, cells)) if found.is_empty() => {
                Ok(Self { sources, tree, base, cells })
            }
            _ => Err(Diagnostics::new(sources, found)),
        }
    }

    /// The topology's own name.
    pub fn name(&self) -> &str {
        &self.base.name
    }

    /// What the file says with the variables as it defines them.
    pub(crate) const fn base(&self) -> &Scene {
        &self.base
    }

    /// Every combination of the matrix, the first factor slowest.
    pub(crate) fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// Diagnostics about this topology.
    pub(crate) fn diagnostics(&self, found: Vec<Diagnostic>) -> Diagnostics {
        Diagnostics::new(self.sources.clone(), found)
    }
}

/// Everything after the parse; `None` with at least one diagnostic.
fn build(
    mut tree: Node,
    sets: &[String],
    sources: &mut Vec<Source>,
    found: &mut Vec<Diagnostic>,
) -> Option<(Node, Scene, Vec<Cell>)> {
    if !matches!(tree.value, Value::Mapping(_)) {
        let message = format!("the topology is {}, not a map", tree.kind());
        let hint = "it begins with `version: 1` and `name: ...`";
        found.push(Diagnostic::new(tree.span, message).hint(hint));
        return None;
    }
    overrides::apply(&mut tree, sets, sources, found);
    let defined = decode::vars(&tree, found);
    let factors = decode::factors(&tree, &defined, found);
    let places = decode::var_places(&tree);
    let base = scene(&tree, &defined, &places, found);
    if !found.is_empty() {
        return None;
    }
    let cells = cells(&tree, &defined, &places, &factors, &base, found);
    Some((tree, base, cells))
}

/// Decodes the tree with these variables, which were given at these places.
fn scene(
    tree: &Node,
    vars: &BTreeMap<String, String>,
    places: &BTreeMap<String, Span>,
    found: &mut Vec<Diagnostic>,
) -> Scene {
    let mut substituted = vars::Substituted::new(tree, vars);
    let mut found_here = Vec::new();
    let scene = decode::scene(&substituted.tree, &mut found_here);
    found_here.retain(|diagnostic| substituted.is_resolved(diagnostic.span));
    found.append(&mut substituted.found);
    found.extend(found_here.into_iter().map(|mistake| substituted.explained(mistake, places)));
    scene
}

/// Decodes every cell. A mistake that several cells share is told for the first.
fn cells(
    tree: &Node,
    defined: &BTreeMap<String, String>,
    places: &BTreeMap<String, Span>,
    factors: &[Factor],
    base: &Scene,
    found: &mut Vec<Diagnostic>,
) -> Vec<Cell> {
    if factors.is_empty() {
        // The only cell is what the file says, and decoded already.
        return vec![cell(BTreeMap::new(), base.clone())];
    }
    if !bounded(factors, base, found) {
        return Vec::new();
    }
    let mut told = HashSet::new();
    let mut cells = Vec::new();
    for values in combinations(factors) {
        let (mut vars, mut places) = (defined.clone(), places.clone());
        vars.extend(values.clone());
        places.extend(factors.iter().filter_map(|factor| factor.place(&values)));
        let mut found_here = Vec::new();
        let scene = scene(tree, &vars, &places, &mut found_here);
        check_constant(tree, base, &scene, factors, &mut found_here);
        for diagnostic in found_here {
            if told.insert((diagnostic.span, diagnostic.message.clone())) {
                found.push(in_cell(diagnostic, &values));
            }
        }
        if found.len() >= diagnostic::DIAGNOSTICS_MAX {
            break;
        }
        cells.push(cell(values, scene));
    }
    cells
}

fn cell(values: BTreeMap<String, String>, scene: Scene) -> Cell {
    let shapes = scene.links.list.iter().map(|link| link.shape).collect();
    Cell { values, shapes, dataset: scene.dataset, steps: scene.steps }
}

/// Whether the shapes of all cells fit; says so when they do not.
fn bounded(factors: &[Factor], base: &Scene, found: &mut Vec<Diagnostic>) -> bool {
    let cells: usize = factors.iter().map(|factor| factor.values.len()).product();
    let links = base.links.list.len();
    if cells.saturating_mul(links) > defaults::SHAPES_MAX {
        let message = format!("{cells} cells of {links} links are too many");
        let hint = format!("at most {} links in all cells together", defaults::SHAPES_MAX);
        let span = factors.first().map_or(Span::beginning(0), |factor| factor.span);
        found.push(Diagnostic::new(span, message).hint(hint));
        return false;
    }
    true
}

/// The product of all factors; one empty combination without any.
fn combinations(factors: &[Factor]) -> Vec<BTreeMap<String, String>> {
    let mut combinations = vec![BTreeMap::new()];
    for factor in factors {
        combinations = combinations
            .iter()
            .flat_map(|fixed| {
                factor.values.iter().map(|value| {
                    let mut combination = fixed.clone();
                    combination.insert(factor.name.clone(), value.clone());
                    combination
                })
            })
            .collect();
    }
    combinations
}

/// Peers are started once per run, so cells cannot differ in them.
fn check_constant(
    tree: &Node,
    base: &Scene,
    scene: &Scene,
    factors: &[Factor],
    found: &mut Vec<Diagnostic>,
) {
    let ends = |link: &Link| [link.dialler, link.listener];
    let scopes = |link: &Link| [link.shape.up, link.shape.down].map(|way| way.rate_scope);
    let [mine, theirs] = [base, scene].map(|scene| &scene.links.list);
    let other_links = !mine.iter().map(ends).eq(theirs.iter().map(ends));
    let other_scopes = !other_links && !mine.iter().map(scopes).eq(theirs.iter().map(scopes));
    // What differs, whether it does, and the keys under which it is said.
    let differing: [(&str, bool, &[&str]); 7] = [
        ("name", base.name != scene.name, &["name"]),
        ("seed", base.seed != scene.seed, &["seed"]),
        ("peers", base.peers != scene.peers, &["peers", "profiles", "defaults"]),
        ("links", other_links, &["links"]),
        ("rate_scope", other_scopes, &["links"]),
        ("network", base.range != scene.range, &["network"]),
        ("run", base.run != scene.run, &["run"]),
    ];
    for (key, _, said_under) in differing.into_iter().filter(|(_, differs, _)| *differs) {
        let message = format!("the matrix varies `{key}`, which is the same for a whole run");
        let hint = "vary the shapes of links, files and steps; make a second topology for the rest";
        let varied = |used: &vars::Use<'_>| factors.iter().find(|factor| factor.name == used.name);
        let mut uses = Vec::new();
        said_under.iter().filter_map(|key| tree.child(key)).for_each(|n| vars::below(n, &mut uses));
        let place = uses.iter().find_map(|used| Some((varied(used)?.span, used.span)));
        let first = factors.first().map_or(Span::beginning(0), |factor| factor.span);
        let (span, used) = place.unwrap_or((first, first));
        let diagnostic = Diagnostic::new(span, message).hint(hint);
        found.push(diagnostic.related(used, "the variable is used here"));
    }
}

/// Adds for which combination a mistake shows.
fn in_cell(diagnostic: Diagnostic, values: &BTreeMap<String, String>) -> Diagnostic {
    let cell: Vec<String> = values.iter().map(|(name, value)| format!("{name}={value}")).collect();
    if cell.is_empty() {
        return diagnostic;
    }
    let message = format!("{} (with {})", diagnostic.message, cell.join(" "));
    Diagnostic { message, ..diagnostic }
}

#[cfg(test)]
mod tests;
