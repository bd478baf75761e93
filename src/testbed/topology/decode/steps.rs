//! `scenario`: what is done, in order.

use std::collections::{BTreeMap, HashMap};

use super::super::defaults;
use super::super::diagnostic::Diagnostic;
use super::super::schema;
use super::super::source::Span;
use super::super::tree::{Node, Value};
use super::fields::{self, Fields};
use super::peers::{Places, peer_reference};
use super::{File, Links, Roll, items};
use crate::testbed::plan::{PeerPlan, StepPlan};

mod transfer;

/// What steps may refer to; a part that has mistakes of its own is `None`.
pub(super) struct Known<'a> {
    pub(super) peers: &'a [PeerPlan],
    pub(super) roll: &'a Roll,
    /// Where peers are told what they are.
    pub(super) places: &'a BTreeMap<String, Places>,
    pub(super) links: Option<&'a Links>,
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
    let scenario = Fields::open(node, "`scenario`", &schema::SCENARIO, found);
    let deadline_ms = scenario.deadline_ms("deadline", found).unwrap_or(defaults::STEP_DEADLINE_MS);
    let Some(list) = scenario.require("steps", found) else { return Vec::new() };
    let mut reader = Reader { known, deadline_ms, places: HashMap::new(), count: 0 };
    let mut steps = Vec::new();
    for item in items(list, "`steps`", found) {
        let Some((kind, body)) = kind(item, ("a step", &schema::STEP), found) else {
            // It counts: the names of those behind it do not change when it is mended.
            reader.count += 1;
            continue;
        };
        steps.extend(match kind {
            "parallel" => reader.parallel(body, found),
            _ => reader.single(kind, item.span, body, found),
        });
    }
    check_count(list, reader.count, found);
    steps
}

/// Reads steps in file order.
struct Reader<'a> {
    known: &'a Known<'a>,
    deadline_ms: u64,
    /// Where each name was given.
    places: HashMap<String, Span>,
    /// Of steps so far, those within parallel ones each by itself.
    count: usize,
}

impl Reader<'_> {
    /// A transfer or a rekey.
    fn single(
        &mut self,
        kind: &str,
        span: Span,
        body: &Node,
        found: &mut Vec<Diagnostic>,
    ) -> Option<StepPlan> {
        self.count += 1;
        let default_name = format!("step-{}", self.count);
        let step = match kind {
            "transfer" => {
                transfer::transfer(body, default_name, self.deadline_ms, self.known, found)
                    .map(StepPlan::Transfer)
            }
            _ => rekey(body, default_name, self.known, found),
        }?;
        let name = match &step {
            StepPlan::Transfer(transfer) => &transfer.name,
            StepPlan::Rekey { name, .. } => name,
            StepPlan::Parallel { .. } => return Some(step),
        };
        if let Some(first) = self.places.insert(name.clone(), span) {
            let message = format!("there are two steps called `{name}`");
            let twice = Diagnostic::new(span, message).hint("rename one");
            found.push(twice.related(first, "the other one"));
        }
        Some(step)
    }

    /// Steps at the same time, each over a link of its own: what is counted of a
    /// link, and of the session over it, is then what one step did.
    fn parallel(&mut self, node: &Node, found: &mut Vec<Diagnostic>) -> Option<StepPlan> {
        let before = found.len();
        let mut steps: Vec<StepPlan> = Vec::new();
        let mut links: HashMap<(String, String), Span> = HashMap::new();
        let all = items(node, "`parallel`", found);
        for item in all {
            let part = ("a step of `parallel`", &schema::PART);
            let Some((kind, body)) = kind(item, part, found) else { continue };
            let Some(step) = self.single(kind, item.span, body, found) else { continue };
            let ends =
                step.ends().map(|(dialler, listener)| (dialler.to_owned(), listener.to_owned()));
            if let Some((dialler, listener)) = &ends
                && let Some(first) = links.insert((dialler.clone(), listener.clone()), item.span)
            {
                let message = format!(
                    "two steps at the same time over the link on which `{dialler}` dials `{listener}`"
                );
                let hint = "do one after the other: what crosses a link is counted by step";
                let both = Diagnostic::new(item.span, message).hint(hint);
                found.push(both.related(first, "the other one"));
            }
            steps.push(step);
        }
        if all.len() < 2 && found.len() == before {
            let message = "nothing else is done at the same time";
            let hint = "list at least two steps, or write the one without `parallel`";
            found.push(Diagnostic::new(node.span, message).hint(hint));
        }
        Some(StepPlan::Parallel { steps })
    }
}

/// A step is a map with one key, its kind.
fn kind<'a>(
    item: &'a Node,
    (what, map): (&str, &'static schema::Map),
    found: &mut Vec<Diagnostic>,
) -> Option<(&'static str, &'a Node)> {
    let fields = Fields::open(item, what, map, found);
    let kinds = map.names().into_iter();
    let mut given: Vec<_> = kinds.filter_map(|kind| Some((kind, fields.entry(kind)?))).collect();
    given.sort_by_key(|(_, entry)| entry.key_span);
    let first = given.first().copied();
    if let [(_, first), (_, second), ..] = given.as_slice() {
        let message = "one step does two things";
        let hint = "start another `- ...` for the second";
        let two = Diagnostic::new(second.key_span, message).hint(hint);
        found.push(two.related(first.key_span, "the first"));
    }
    let named = |entries: &Vec<_>| fields::named(entries).next().is_some();
    if first.is_none() && matches!(&item.value, Value::Mapping(entries) if !named(entries)) {
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
    let fields = Fields::open(node, "a rekey", &schema::REKEY, found);
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
        check_linked(&ends, links, known.roll, fields.span, found);
    }
    Some(ends)
}

/// Whether `to` can dial `from`.
fn check_linked(ends: &Ends, links: &Links, roll: &Roll, span: Span, found: &mut Vec<Diagnostic>) {
    let Ends { from, to } = ends;
    let dials = |dialler: &str, listener: &str| {
        let ends = roll.find(dialler).zip(roll.find(listener));
        ends.is_some_and(|(dialler, listener)| links.find(dialler, listener).is_some())
    };
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
