//! `run` and `matrix`: how often, in which order, and over which values.

use std::collections::BTreeMap;

use super::super::defaults;
use super::super::diagnostic::Diagnostic;
use super::super::schema;
use super::super::source::Span;
use super::super::suggest;
use super::super::tree::Node;
use super::fields::{self, Fields};
use super::items;

/// How the cells are carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) repetitions: u32,
    pub(crate) warmup: u32,
    pub(crate) randomised: bool,
    pub(crate) deadline_ms: u64,
}

/// One variable of the matrix and its values, as written.
#[derive(Clone, Debug)]
pub(crate) struct Factor {
    pub(crate) name: String,
    pub(crate) span: Span,
    pub(crate) values: Vec<String>,
    /// Where each of `values` stands.
    pub(crate) places: Vec<Span>,
}

impl Factor {
    /// The variable and where the value stands that it has among `values`.
    pub(crate) fn place(&self, values: &BTreeMap<String, String>) -> Option<(String, Span)> {
        let value = values.get(&self.name)?;
        let index = self.values.iter().position(|known| known == value)?;
        Some((self.name.clone(), self.places[index]))
    }
}

pub(super) fn run(top: &Fields<'_>, found: &mut Vec<Diagnostic>) -> Run {
    let mut run = Run {
        repetitions: defaults::REPETITIONS,
        warmup: defaults::WARMUP,
        randomised: defaults::RANDOMISED,
        deadline_ms: defaults::RUN_DEADLINE_MS,
    };
    let Some(node) = top.find("run") else { return run };
    let fields = Fields::open(node, "`run`", &schema::RUN, found);
    let mut count = |key| fields.integer(key, found).and_then(|count| u32::try_from(count).ok());
    run.repetitions = count("repetitions").unwrap_or(run.repetitions);
    run.warmup = count("warmup").unwrap_or(run.warmup);
    if let Some(order) = fields.word("order", "order", found) {
        run.randomised = order == schema::ORDERS[0];
    }
    run.deadline_ms = fields.deadline_ms("deadline", found).unwrap_or(run.deadline_ms);
    run
}

/// The factors of the matrix, in file order.
pub(crate) fn factors(
    root: &Node,
    vars: &BTreeMap<String, String>,
    found: &mut Vec<Diagnostic>,
) -> Vec<Factor> {
    let Some(node) = root.child("matrix") else { return Vec::new() };
    let mut factors = Vec::new();
    for entry in fields::named(fields::entries(node, "`matrix`", found)) {
        if !vars.contains_key(&entry.key) {
            let known: Vec<&str> = vars.keys().map(String::as_str).collect();
            let message = format!("`{}` is varied, but is not in `vars`", entry.key);
            let hint = match suggest::nearest(&entry.key, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("add `{}` to `vars` and use it as `${{{0}}}`", entry.key),
            };
            found.push(Diagnostic::new(entry.key_span, message).hint(hint));
        }
        let what = format!("`matrix.{}`", entry.key);
        let (values, places) = values(&entry.value, &what, found);
        factors.push(Factor { name: entry.key.clone(), span: entry.key_span, values, places });
    }
    let mut cells = factors.iter().map(|factor| factor.values.len());
    let cells = cells.try_fold(1_usize, usize::checked_mul).unwrap_or(usize::MAX);
    if cells > defaults::CELLS_MAX {
        let message = format!("the matrix has more than {} cells", defaults::CELLS_MAX);
        found.push(Diagnostic::new(node.span, message).hint("vary less at once"));
    }
    factors
}

fn values(node: &Node, what: &str, found: &mut Vec<Diagnostic>) -> (Vec<String>, Vec<Span>) {
    let before = found.len();
    let (mut values, mut places): (Vec<String>, Vec<Span>) = Default::default();
    for item in items(node, what, found) {
        let Some(value) = fields::literal(item, what, found) else { continue };
        if let Some(first) = values.iter().position(|known| *known == value) {
            let message = format!("{what} has `{value}` twice");
            let hint = "for more samples use `run.repetitions`";
            let twice = Diagnostic::new(item.span, message).hint(hint);
            found.push(twice.related(places[first], "first given here"));
        }
        values.push(value);
        places.push(item.span);
    }
    if values.is_empty() && found.len() == before {
        let message = format!("{what} has no values");
        found.push(Diagnostic::new(node.span, message).hint("remove it, or list some"));
    }
    (values, places)
}
