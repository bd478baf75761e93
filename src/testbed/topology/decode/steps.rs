//! `scenario`: what is done, in order.

use std::collections::HashMap;

use super::super::defaults;
use super::super::diagnostic::Diagnostic;
use super::super::source::Span;
use super::super::tree::{Node, Value};
use super::fields::{self, Fields};
use super::peers::peer_reference;
use super::{File, Link, items};
use crate::testbed::plan::{PeerPlan, StepPlan};

mod transfer;

const SCENARIO_KEYS: [&str; 2] = ["deadline", "steps"];
const STEP_KINDS: [&str; 2] = ["transfer", "rekey"];
const REKEY_KEYS: [&str; 3] = ["name", "from", "to"];

/// What steps may refer to; a part that has mistakes of its own is `None`.
pub(super) struct Known<'a> {
    pub(super) peers: &'a [PeerPlan],
    pub(super) links: Option<&'a [Link]>,
    pub(super) dataset: Option<&'a [File]>,
}

/// The two ends of a step: `to` dials and reads, `from` listens and serves.
struct Ends {
    from: String,
    to: String,
}

/// All steps in file order.
pub(super) fn steps(
    top: &Fields<'_>,
    known: &Known<'_>,
    found: &mut Vec<Diagnostic>,
) -> Vec<StepPlan> {
    let Some(node) = top.require("scenario", found) else { return Vec::new() };
    let scenario = Fields::open(node, "`scenario`", &SCENARIO_KEYS, found);
    let deadline_ms = scenario
        .find("deadline")
        .and_then(|node| fields::deadline_ms(node, "`deadline`", found))
        .unwrap_or(defaults::STEP_DEADLINE_MS);
    let Some(list) = scenario.require("steps", found) else { return Vec::new() };
    let mut steps = Vec::new();
    let mut places: HashMap<String, Span> = HashMap::new();
    let all = items(list, "`steps`", found);
    for (index, item) in all.iter().enumerate() {
        let Some((kind, body)) = kind(item, found) else { continue };
        let default_name = format!("step-{}", index + 1);
        let step = match kind {
            "transfer" => transfer::transfer(body, default_name, deadline_ms, known, found)
                .map(StepPlan::Transfer),
            _ => rekey(body, default_name, known, found),
        };
        let Some(step) = step else { continue };
        let name = match &step {
            StepPlan::Transfer(transfer) => &transfer.name,
            StepPlan::Rekey { name, .. } => name,
        };
        if let Some(first) = places.insert(name.clone(), item.span) {
            let message = format!("there are two steps called `{name}`");
            let hint = format!("the other one is on line {}", first.line);
            found.push(Diagnostic::new(item.span, message).hint(hint));
        }
        steps.push(step);
    }
    check_count(list, all.len(), found);
    steps
}

/// A step is a map with one key, its kind.
fn kind<'a>(item: &'a Node, found: &mut Vec<Diagnostic>) -> Option<(&'static str, &'a Node)> {
    let fields = Fields::open(item, "a step", &STEP_KINDS, found);
    let mut given = STEP_KINDS.into_iter().filter_map(|kind| Some((kind, fields.entry(kind)?)));
    let first = given.next();
    if let Some((_, second)) = given.next() {
        let message = "one step does two things";
        let hint = "start another `- ...` for the second";
        found.push(Diagnostic::new(second.key_span, message).hint(hint));
    }
    if first.is_none() && matches!(&item.value, Value::Mapping(entries) if entries.is_empty()) {
        let hint = "write `transfer: { ... }` or `rekey: { ... }`";
        found.push(Diagnostic::new(item.span, "this step does nothing").hint(hint));
    }
    first.map(|(kind, entry)| (kind, &entry.value))
}

fn rekey(
    node: &Node,
    default_name: String,
    known: &Known<'_>,
    found: &mut Vec<Diagnostic>,
) -> Option<StepPlan> {
    let fields = Fields::open(node, "a rekey", &REKEY_KEYS, found);
    let name = name(&fields, default_name, found);
    let ends = ends(&fields, known, found)?;
    Some(StepPlan::Rekey { name, dialler: ends.to, listener: ends.from })
}

fn name(fields: &Fields<'_>, default: String, found: &mut Vec<Diagnostic>) -> String {
    let given = fields.find("name");
    given.and_then(|node| fields::name(node, "`name`", found)).unwrap_or(default)
}

/// Both ends, and the link that the session between them needs.
fn ends(fields: &Fields<'_>, known: &Known<'_>, found: &mut Vec<Diagnostic>) -> Option<Ends> {
    let mut end = |key| {
        let node = fields.require(key, found)?;
        peer_reference(node, &format!("`{key}`"), known.peers, found)
    };
    let (from, to) = (end("from"), end("to"));
    let ends = Ends { from: from?, to: to? };
    if ends.from == ends.to {
        let message = format!("`{}` cannot read from itself", ends.from);
        found.push(Diagnostic::new(fields.span, message).hint("name two different peers"));
        return None;
    }
    if let Some(links) = known.links {
        check_linked(&ends, links, fields.span, found);
    }
    Some(ends)
}

/// Whether `to` can dial `from`.
fn check_linked(ends: &Ends, links: &[Link], span: Span, found: &mut Vec<Diagnostic>) {
    let Ends { from, to } = ends;
    let dials = |a: &str, b: &str| links.iter().any(|link| link.dialler == a && link.listener == b);
    if dials(to, from) {
        return;
    }
    let message = format!("`{to}` has no link on which to dial `{from}`");
    let hint = if dials(from, to) {
        format!("let both ends of the link between `{from}` and `{to}` dial: `dial: both`")
    } else {
        format!("add `- {{ a: {to}, b: {from} }}` to `links`")
    };
    found.push(Diagnostic::new(span, message).hint(hint));
}

fn check_count(list: &Node, count: usize, found: &mut Vec<Diagnostic>) {
    if count > defaults::STEPS_MAX {
        let hint = format!("at most {}", defaults::STEPS_MAX);
        found.push(Diagnostic::new(list.span, format!("{count} steps are too many")).hint(hint));
    } else if count == 0 && matches!(list.value, Value::Sequence(_)) {
        let hint = "add `- transfer: { ... }`";
        found.push(Diagnostic::new(list.span, "the scenario has no steps").hint(hint));
    }
}
