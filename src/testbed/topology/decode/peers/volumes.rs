//! `volumes`, and whether what is meant to lie in them fits.

use std::collections::{BTreeMap, HashMap};

use super::super::super::defaults;
use super::super::super::diagnostic::Diagnostic;
use super::super::super::schema;
use super::super::super::source::Placed;
use super::super::super::suggest;
use super::super::super::tree::{Node, Value};
use super::super::super::units::SizeBytes;
use super::super::File;
use super::super::fields::{self, Fields};
use super::Peers;
use crate::testbed::plan::Volume;

/// What lies beneath a directory: the word, or a map.
pub(super) fn volume(
    node: &Node,
    what: &str,
    found: &mut Vec<Diagnostic>,
) -> Option<Placed<Volume>> {
    let volume = match &node.value {
        Value::Mapping(_) => in_a_map(node, what, found),
        Value::Scalar(_) | Value::Sequence(_) => by_word(node, what, found),
    };
    Some(Placed { value: volume?, span: node.span })
}

/// What lies beneath a daemon's state, which it must be able to write.
pub(super) fn state(node: &Node, found: &mut Vec<Diagnostic>) -> Option<Placed<Volume>> {
    let state = volume(node, "`state`", found)?;
    if let Volume::Directory { read_only: true, .. } = state.value {
        let message = "`state` is read-only, and the daemon keeps its identity there";
        let span = node.child("read_only").map_or(node.span, |node| node.span);
        found.push(Diagnostic::new(span, message).hint("remove `read_only`"));
    }
    Some(state)
}

fn by_word(node: &Node, what: &str, found: &mut Vec<Diagnostic>) -> Option<Volume> {
    let word = fields::text(node, what, found)?;
    if word == schema::DISK {
        return Some(Volume::Disk);
    }
    let hint = match suggest::nearest(word, schema::VOLUME.names()) {
        Some("memory") => "write `{ memory: 64MiB }`".to_owned(),
        Some("directory") => "write `{ directory: /path/to/it }`".to_owned(),
        _ if word.starts_with('/') => format!("write `{{ directory: {word} }}`"),
        _ => format!("write `{}`, `{{ memory: ... }}` or `{{ directory: ... }}`", schema::DISK),
    };
    found.push(
        Diagnostic::new(node.span, format!("{what}: there is no volume `{word}`")).hint(hint),
    );
    None
}

fn in_a_map(node: &Node, what: &str, found: &mut Vec<Diagnostic>) -> Option<Volume> {
    let before = found.len();
    let fields = Fields::open(node, what, &schema::VOLUME, found);
    let size_bytes = fields.quantity("memory", found);
    let path = fields.find("directory").and_then(|node| directory(node, found));
    let read_only = fields.boolean("read_only", found);
    match (fields.find("memory"), fields.find("directory")) {
        (Some(memory), Some(directory)) => {
            let message = format!("{what} is both memory and a directory");
            let both = Diagnostic::new(directory.span, message).hint("keep one");
            found.push(both.related(memory.span, "the memory is asked for here"));
            None
        }
        (Some(_), None) => {
            if let Some(entry) = fields.entry("read_only") {
                let message = "`read_only` is for a directory: memory begins empty";
                found.push(Diagnostic::new(entry.key_span, message).hint("remove it"));
            }
            Some(Volume::Memory { size_bytes: size_bytes? })
        }
        (None, Some(_)) => {
            Some(Volume::Directory { path: path?, read_only: read_only.unwrap_or(false) })
        }
        (None, None) => {
            if found.len() == before {
                let message = format!("{what} does not say what lies beneath it");
                let hint = "write `{ memory: 64MiB }`, `{ directory: /path }` or `disk`";
                found.push(Diagnostic::new(node.span, message).hint(hint));
            }
            None
        }
    }
}

/// An absolute path that says where it leads.
fn directory(node: &Node, found: &mut Vec<Diagnostic>) -> Option<String> {
    let text = fields::text(node, "`directory`", found)?;
    let trimmed = text.trim_end_matches('/');
    let problem = if text.len() > defaults::DIRECTORY_BYTES_MAX {
        Some(format!("is longer than {} bytes", defaults::DIRECTORY_BYTES_MAX))
    } else if text.chars().any(char::is_control) {
        Some("holds a control character".to_owned())
    } else if !text.starts_with('/') {
        Some("is not an absolute path".to_owned())
    } else if trimmed.is_empty() {
        Some("is the root of the machine".to_owned())
    } else if trimmed[1..].split('/').any(|part| matches!(part, "" | "." | "..")) {
        Some("does not say plainly where it leads".to_owned())
    } else {
        None
    };
    let Some(problem) = problem else { return Some(trimmed.to_owned()) };
    let hint = "a path from the root, without `.` and `..`, such as `/srv/films`";
    found.push(Diagnostic::new(node.span, format!("`directory` {problem}")).hint(hint));
    None
}

/// Two daemons cannot share an identity, nor write to one state.
pub(super) fn check_states(peers: &Peers, found: &mut Vec<Diagnostic>) {
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    for peer in &peers.list {
        let Volume::Directory { path, .. } = &peer.volumes.state else { continue };
        let Some(first) = owners.insert(path, &peer.name) else { continue };
        let place = |name: &str| peers.places.get(name).and_then(|places| places.state);
        let Some(span) = place(&peer.name) else { continue };
        let message = format!("`{first}` and `{}` keep their state in one directory", peer.name);
        let mut shared =
            Diagnostic::new(span, message).hint("give each peer a directory of its own");
        if let Some(other) = place(first) {
            shared = shared.related(other, format!("`{first}` keeps its state here"));
        }
        found.push(shared);
    }
}

/// Whether the files of the dataset can be made in the shares they belong to.
pub(in super::super) fn check_fit(peers: &Peers, files: &[File], found: &mut Vec<Diagnostic>) {
    let mut files_of: HashMap<&str, Vec<&File>> = HashMap::new();
    files.iter().for_each(|file| files_of.entry(&file.peer).or_default().push(file));
    for peer in &peers.list {
        let place = peers.places.get(&peer.name).and_then(|places| places.share);
        let (Some(place), Some(own)) = (place, files_of.get(peer.name.as_str())) else { continue };
        let mut own = own.iter();
        match &peer.volumes.share {
            Volume::Disk | Volume::Directory { read_only: false, .. } => {}
            Volume::Directory { path, read_only: true } => {
                for file in own {
                    let message = format!("`{}` cannot be made: `{path}` is read-only", file.path);
                    let hint = format!("remove `read_only`, or the files of `{}`", peer.name);
                    let unmade = Diagnostic::new(file.span, message).hint(hint);
                    found.push(unmade.related(place, "the share is told to be read-only here"));
                }
            }
            Volume::Memory { size_bytes } => {
                let total =
                    own.clone().fold(0_u64, |sum, file| sum.saturating_add(file.size_bytes));
                let mut used = 0_u64;
                let too_much = own.find(|file| {
                    used = used.saturating_add(file.size_bytes);
                    used > *size_bytes
                });
                let Some(file) = too_much else { continue };
                let message = format!(
                    "the files of `{}` are {}, and its share holds {}",
                    peer.name,
                    SizeBytes(total),
                    SizeBytes(*size_bytes)
                );
                let hint = format!("write `memory: {}` or more", SizeBytes(total));
                let full = Diagnostic::new(place, message).hint(hint);
                found.push(full.related(file.span, "this file no longer fits"));
            }
        }
    }
}
