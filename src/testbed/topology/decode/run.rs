//! `run` and `matrix`: how often, in which order, and over which values.

use std::collections::BTreeMap;

use super::super::defaults;
use super::super::diagnostic::Diagnostic;
use super::super::source::Span;
use super::super::suggest;
use super::super::tree::Node;
use super::fields::{self, Fields};
use super::items;

const RUN_KEYS: [&str; 4] = ["repetitions", "warmup", "order", "deadline"];

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
}

pub(super) fn run(top: &Fields<'_>, found: &mut Vec<Diagnostic>) -> Run {
    let mut run = Run {
        repetitions: defaults::REPETITIONS,
        warmup: defaults::WARMUP,
        randomised: defaults::RANDOMISED,
        deadline_ms: defaults::RUN_DEADLINE_MS,
    };
    let Some(node) = top.find("run") else { return run };
    let fields = Fields::open(node, "`run`", &RUN_KEYS, found);
    let mut count = |key: &str, min| {
        let node = fields.find(key)?;
        let max = defaults::REPETITIONS_MAX;
        let value = fields::integer(node, &format!("`{key}`"), min, max, found)?;
        u32::try_from(value).ok()
    };
    run.repetitions = count("repetitions", 1).unwrap_or(run.repetitions);
    run.warmup = count("warmup", 0).unwrap_or(run.warmup);
    if let Some(node) = fields.find("order") {
        match fields::text(node, "`order`", found) {
            Some("randomised") => run.randomised = true,
            Some("sequential") => run.randomised = false,
            Some(other) => {
                let message = format!("there is no order `{other}`");
                let hint = suggest::hint(other, &["randomised", "sequential"]);
                found.push(Diagnostic::new(node.span, message).hint(hint));
            }
            None => {}
        }
    }
    if let Some(node) = fields.find("deadline") {
        run.deadline_ms = fields::deadline_ms(node, "`deadline`", found).unwrap_or(run.deadline_ms);
    }
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
    for entry in fields::entries(node, "`matrix`", found) {
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
        let values = values(&entry.value, &what, found);
        factors.push(Factor { name: entry.key.clone(), span: entry.key_span, values });
    }
    let mut cells = factors.iter().map(|factor| factor.values.len());
    let cells = cells.try_fold(1_usize, usize::checked_mul).unwrap_or(usize::MAX);
    if cells > defaults::CELLS_MAX {
        let message = format!("the matrix has more than {} cells", defaults::CELLS_MAX);
        found.push(Diagnostic::new(node.span, message).hint("vary less at once"));
    }
    factors
}

fn values(node: &Node, what: &str, found: &mut Vec<Diagnostic>) -> Vec<String> {
    let before = found.len();
    let mut values: Vec<String> = Vec::new();
    for item in items(node, what, found) {
        let Some(value) = fields::literal(item, what, found) else { continue };
        if values.contains(&value) {
            let message = format!("{what} has `{value}` twice");
            let hint = "for more samples use `run.repetitions`";
            found.push(Diagnostic::new(item.span, message).hint(hint));
        }
        values.push(value);
    }
    if values.is_empty() && found.len() == before {
        let message = format!("{what} has no values");
        found.push(Diagnostic::new(node.span, message).hint("remove it, or list some"));
    }
    values
}
