//! One `transfer` step.

use super::super::super::defaults;
use super::super::super::diagnostic::Diagnostic;
use super::super::super::schema;
use super::super::super::suggest;
use super::super::super::tree::Node;
use super::super::super::units;
use super::super::fields::{self, Fields};
use super::super::items;
use super::{Ends, Known, ends, name};
use crate::testbed::plan::{TransferDestination, TransferMode, TransferPlan};

/// In the order of [`schema::MODES`].
const MODES: [TransferMode; 3] =
    [TransferMode::Push, TransferMode::RequestResponse, TransferMode::Mount];

pub(super) fn transfer(
    node: &Node,
    default_name: String,
    default_deadline_ms: u64,
    known: &Known<'_>,
    found: &mut Vec<Diagnostic>,
) -> Option<TransferPlan> {
    let fields = Fields::open(node, "a transfer", &schema::TRANSFER, found);
    let name = name(&fields, default_name, found);
    let ends = ends(&fields, known, found);
    let mode_node = fields.require("mode", found);
    let mode_varies = mode_node.is_some_and(Node::is_from_variable);
    let mode = mode(&fields, found);
    let sample = sample(&fields, ends.as_ref(), known, found);
    let chunk_bytes = fields.quantity("chunk", found).and_then(|bytes| u32::try_from(bytes).ok());
    let given = mode.map(|mode| (mode, mode_varies));
    let depth = of_mode(&fields, "depth", TransferMode::RequestResponse, given, found);
    let lanes = of_mode(&fields, "lanes", TransferMode::Push, given, found);
    let destination = destination(&fields, mode, found);
    let rekey_at_permille = rekey_at(&fields, found);
    let rekeys_min = rekeys_min(&fields, rekey_at_permille.len(), found);
    let deadline_ms = fields.deadline_ms("deadline", found).unwrap_or(default_deadline_ms);
    let (ends, mode) = (ends?, mode?);
    check_mount(&fields, &ends, mode, known, found);
    Some(TransferPlan {
        name,
        from: ends.from,
        to: ends.to,
        sample: sample.unwrap_or_default(),
        mode,
        chunk_bytes,
        depth,
        lanes,
        destination,
        rekey_at_permille,
        deadline_ms,
        rekeys_min,
    })
}

fn mode(fields: &Fields<'_>, found: &mut Vec<Diagnostic>) -> Option<TransferMode> {
    let word = fields.word("mode", "mode", found)?;
    let mut modes = schema::MODES.into_iter().zip(MODES);
    modes.find(|(name, _)| *name == word).map(|(_, mode)| mode)
}

/// The index of the file in the dataset.
fn sample(
    fields: &Fields<'_>,
    ends: Option<&Ends>,
    known: &Known<'_>,
    found: &mut Vec<Diagnostic>,
) -> Option<usize> {
    let node = fields.require("path", found)?;
    let path = fields::text(node, "`path`", found)?;
    let (from, files) = (&ends?.from, known.dataset?);
    let own = || files.iter().enumerate().filter(|(_, file)| file.peer == *from);
    let by_path = own().find(|(_, file)| file.path == path);
    let by_number = || own().find(|(_, file)| file.alias.as_deref() == Some(path));
    let index = by_path.or_else(by_number).map(|(index, _)| index);
    if index.is_none() {
        let message = format!("`{from}` has no file `{path}` in the dataset");
        let elsewhere = files.iter().find(|file| file.path == path);
        let own = files.iter().filter(|file| file.peer == *from).map(|file| file.path.as_str());
        let hint = match (elsewhere, suggest::nearest(path, own)) {
            (Some(file), _) => format!("`{}` has one: is `from` right?", file.peer),
            (None, Some(near)) => format!("did you mean `{near}`?"),
            (None, None) => {
                format!("add `- {{ peer: {from}, path: {path}, size: 64MiB }}` to `dataset`")
            }
        };
        found.push(Diagnostic::new(node.span, message).hint(hint));
    }
    index
}

/// A number that only one mode has. Where the mode is a variable (the flag), one line
/// has to serve all modes, and the others drop it.
fn of_mode(
    fields: &Fields<'_>,
    key: &'static str,
    only: TransferMode,
    given: Option<(TransferMode, bool)>,
    found: &mut Vec<Diagnostic>,
) -> Option<u32> {
    let node = fields.find(key)?;
    let number = fields.integer(key, found)?;
    if let Some((mode, varies)) = given.filter(|(mode, _)| *mode != only) {
        if varies {
            return None;
        }
        let message = format!("`{key}` means nothing to mode `{}`", mode.name());
        let hint = format!("only `{}` has {key}: remove it", only.name());
        let mut useless = Diagnostic::new(node.span, message).hint(hint);
        if let Some(mode) = fields.find("mode") {
            useless = useless.related(mode.span, "the mode is given here");
        }
        found.push(useless);
    }
    u32::try_from(number).ok()
}

fn destination(
    fields: &Fields<'_>,
    mode: Option<TransferMode>,
    found: &mut Vec<Diagnostic>,
) -> TransferDestination {
    let to_file = fields.boolean("to_file", found);
    let (Some(node), Some(true)) = (fields.find("to_file"), to_file) else {
        return TransferDestination::Hash;
    };
    if mode == Some(TransferMode::Mount) {
        let message = "a read through the mount is always hashed, never kept";
        found.push(Diagnostic::new(node.span, message).hint("remove `to_file`"));
    }
    TransferDestination::File
}

/// Thousandths of the bytes, rising.
fn rekey_at(fields: &Fields<'_>, found: &mut Vec<Diagnostic>) -> Vec<u32> {
    let Some(node) = fields.find("rekey_at") else { return Vec::new() };
    let mut points: Vec<u32> = Vec::new();
    for item in items(node, "`rekey_at`", found) {
        let Some(value) = fields::quantity(item, "`rekey_at`", units::share_permille, found) else {
            continue;
        };
        let show = |permille| units::Quantity::Share.show(permille);
        let value = fields::within(item, "`rekey_at`", value, 1..=999, show, found);
        let Some(point) = value.and_then(|value| u32::try_from(value).ok()) else { continue };
        if points.last().is_some_and(|last| *last >= point) {
            let message = "`rekey_at` does not rise";
            let hint = "list the shares in the order in which they are reached";
            found.push(Diagnostic::new(item.span, message).hint(hint));
        }
        points.push(point);
    }
    if points.len() > defaults::REKEYS_MAX {
        let message = format!("{} rekeys in one step are too many", points.len());
        let hint = format!("at most {}; `rekey_bytes` of a peer storms", defaults::REKEYS_MAX);
        found.push(Diagnostic::new(node.span, message).hint(hint));
    }
    points
}

/// What the step expects, or else that every rekey it asks for happens.
fn rekeys_min(fields: &Fields<'_>, asked: usize, found: &mut Vec<Diagnostic>) -> u32 {
    let asked = u32::try_from(asked).unwrap_or(u32::MAX);
    let implied = asked.saturating_mul(defaults::EPOCHS_PER_REKEY);
    let Some(node) = fields.find("expect") else { return implied };
    let expect = Fields::open(node, "`expect`", &schema::EXPECT, found);
    let given = expect.integer("rekeys", found).and_then(|rekeys| u32::try_from(rekeys).ok());
    given.unwrap_or(implied)
}

fn check_mount(
    fields: &Fields<'_>,
    ends: &Ends,
    mode: TransferMode,
    known: &Known<'_>,
    found: &mut Vec<Diagnostic>,
) {
    let mounted = known.peers.iter().any(|peer| peer.name == ends.to && peer.mount);
    if mode == TransferMode::Mount && !mounted {
        let message = format!("`{}` reads through a mount, but has none", ends.to);
        let hint = format!("give the peer `{}` `mount: true`", ends.to);
        let mut unmounted = Diagnostic::new(fields.span, message).hint(hint);
        if let Some(place) = known.places.get(&ends.to).and_then(|places| places.mount) {
            unmounted = unmounted.related(place, "the mount is turned off here");
        }
        found.push(unmounted);
    }
}
