//! `dataset`: the files that peers share.
//!
//! An entry is one file, or with `count` as many, whose number stands for the `#`
//! of the path; with `names: odd` a name stands there that programs trip over. A
//! transfer calls such a file by its path, or by the entry's path with the number
//! behind the `#`: `many/#3`.

use std::collections::HashMap;

use super::super::defaults;
use super::super::diagnostic::{DIAGNOSTICS_MAX, Diagnostic};
use super::super::schema;
use super::super::source::Span;
use super::super::tree::Node;
use super::super::units::SizeBytes;
use super::fields::{self, Fields};
use super::peers::peer_reference;
use super::{File, items};
use crate::testbed::plan::{Entropy, PeerPlan};

mod odd;

/// Stands for a file's number or name in the path of an entry.
const PLACE: char = '#';

/// What stands for [`PLACE`].
#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    Numbers,
    Odd,
}

impl Names {
    /// In the order of [`schema::FILE_NAMES`].
    const ALL: [Self; 2] = [Self::Numbers, Self::Odd];
}

/// One entry, without mistakes.
struct Group {
    peer: String,
    path: String,
    /// None: one file, whose path is as written.
    numbered: Option<(u64, Names)>,
    size_bytes: u64,
    entropy: Entropy,
    span: Span,
}

/// All files in file order; what is random in names comes from `seed`.
pub(super) fn dataset(
    top: &Fields<'_>,
    seed: u64,
    peers: &[PeerPlan],
    found: &mut Vec<Diagnostic>,
) -> Vec<File> {
    let Some(node) = top.find("dataset") else { return Vec::new() };
    let mut files: Vec<File> = Vec::new();
    let mut places: HashMap<(String, String), Span> = HashMap::new();
    for item in items(node, "`dataset`", found) {
        let Some(group) = group(item, peers, found) else { continue };
        for file in group.files(seed) {
            let key = (file.peer.clone(), file.path.clone());
            if let Some(first) = places.get(&key) {
                let message = format!("`{}` of `{}` is given twice", file.path, file.peer);
                let twice = Diagnostic::new(file.span, message).hint("remove one");
                found.push(twice.related(*first, "first given here"));
                break;
            }
            places.insert(key, file.span);
            files.push(file);
        }
        if files.len() > defaults::FILES_MAX || found.len() >= DIAGNOSTICS_MAX {
            break;
        }
    }
    check_totals(&files, node, found);
    files
}

fn check_totals(files: &[File], node: &Node, found: &mut Vec<Diagnostic>) {
    if files.len() > defaults::FILES_MAX {
        let message = format!("more than {} files are too many", defaults::FILES_MAX);
        let hint = "ask for fewer, larger ones";
        found.push(Diagnostic::new(node.span, message).hint(hint));
    }
    let bytes = files.iter().map(|file| file.size_bytes).fold(0, u64::saturating_add);
    if bytes > defaults::DATASET_BYTES_MAX {
        let message = format!("all files together are {} bytes: too much", bytes);
        let hint = format!("at most {}", SizeBytes(defaults::DATASET_BYTES_MAX));
        found.push(Diagnostic::new(node.span, message).hint(hint));
    }
}

fn group(item: &Node, peers: &[PeerPlan], found: &mut Vec<Diagnostic>) -> Option<Group> {
    let fields = Fields::open(item, "a file of the dataset", &schema::FILE, found);
    let peer = fields.require("peer", found);
    let peer = peer.and_then(|node| peer_reference(node, "`peer`", peers, found));
    let count = fields.integer("count", found);
    let names = fields.word("names", "kind of name", found);
    let names =
        schema::FILE_NAMES.into_iter().zip(Names::ALL).find(|(name, _)| names == Some(name));
    let names = names.map(|(_, names)| names);
    let numbered = (count.is_some() || names.is_some())
        .then(|| (count.unwrap_or(1), names.unwrap_or(Names::Numbers)));
    let path = fields.require("path", found).and_then(|node| {
        let path = path(node, found)?;
        place_is_right(&path, node, numbered, found).then_some(path)
    });
    let size = fields.require("size", found).and_then(|_| fields.quantity("size", found));
    let entropy = fields.word("entropy", "entropy", found);
    let entropy = Entropy::ALL.into_iter().find(|known| entropy == Some(known.name()));
    let entropy = entropy.unwrap_or_default();
    Some(Group { peer: peer?, path: path?, numbered, size_bytes: size?, entropy, span: item.span })
}

/// Several files need a place for what tells them apart, an odd name one for itself.
fn place_is_right(
    path: &str,
    node: &Node,
    numbered: Option<(u64, Names)>,
    found: &mut Vec<Diagnostic>,
) -> bool {
    let Some((count, names)) = numbered else { return true };
    let places = path.matches(PLACE).count();
    let (message, hint) = match (places, names) {
        (0, Names::Numbers) if count == 1 => return true,
        (0, _) => (
            format!("`{path}` has no `{PLACE}` for what tells {count} files apart"),
            format!("write for example `{path}/{PLACE}`"),
        ),
        (1, Names::Odd) if !path.split('/').any(|name| name == "#") => (
            format!("an odd name is all of a name, and `{path}` has more around the `{PLACE}`"),
            format!("write for example `odd/{PLACE}`"),
        ),
        (1, _) => return true,
        _ => (
            format!("`{path}` has {places} places for one number"),
            format!("write `{PLACE}` once"),
        ),
    };
    found.push(Diagnostic::new(node.span, message).hint(hint));
    false
}

impl Group {
    fn files(self, seed: u64) -> impl Iterator<Item = File> {
        let (count, names) = self.numbered.unwrap_or((1, Names::Numbers));
        let odd = odd::Names::new(seed, &self.peer, &self.path);
        (0..count).map(move |number| {
            let alias = self
                .numbered
                .filter(|_| self.path.contains(PLACE))
                .map(|_| self.path.replace(PLACE, &format!("{PLACE}{number}")));
            let path = match (&alias, names) {
                (None, _) => self.path.clone(),
                (Some(_), Names::Numbers) => self.path.replace(PLACE, &number.to_string()),
                (Some(_), Names::Odd) => self.path.replace(PLACE, &odd.name(number)),
            };
            File {
                peer: self.peer.clone(),
                path,
                alias,
                size_bytes: self.size_bytes,
                entropy: self.entropy,
                span: self.span,
            }
        })
    }
}

/// A relative path that stays where it is.
fn path(node: &Node, found: &mut Vec<Diagnostic>) -> Option<String> {
    let text = fields::text(node, "`path`", found)?;
    let name_max = defaults::PATH_NAME_BYTES_MAX;
    let problem = if text.len() > defaults::PATH_BYTES_MAX {
        Some(format!("is longer than {} bytes", defaults::PATH_BYTES_MAX))
    } else if text.chars().any(char::is_control) {
        Some("holds a control character".to_owned())
    } else if text.split('/').any(|part| matches!(part, "" | "." | "..")) {
        Some("is not a plain relative path".to_owned())
    } else if text.split('/').any(|part| part.len() > name_max) {
        Some(format!("has a name of more than {name_max} bytes"))
    } else {
        None
    };
    let Some(problem) = problem else { return Some(text.to_owned()) };
    let hint = "a path within the share, such as `films/big.bin`";
    found.push(Diagnostic::new(node.span, format!("`path` {problem}")).hint(hint));
    None
}

#[cfg(test)]
mod tests;
