//! `dataset`: the files that peers share.

use std::collections::HashMap;

use super::super::defaults;
use super::super::diagnostic::Diagnostic;
use super::super::source::Span;
use super::super::tree::Node;
use super::fields::{self, Fields};
use super::peers::peer_reference;
use super::{File, items};
use crate::testbed::plan::PeerPlan;

/// All files in file order.
pub(super) fn dataset(
    top: &Fields<'_>,
    peers: &[PeerPlan],
    found: &mut Vec<Diagnostic>,
) -> Vec<File> {
    let Some(node) = top.find("dataset") else { return Vec::new() };
    let mut files: Vec<File> = Vec::new();
    let mut places: HashMap<(String, String), Span> = HashMap::new();
    for item in items(node, "`dataset`", found) {
        let Some(file) = file(item, peers, found) else { continue };
        let key = (file.peer.clone(), file.path.clone());
        if let Some(first) = places.insert(key, file.span) {
            let message = format!("`{}` of `{}` is given twice", file.path, file.peer);
            let hint = format!("the first one is on line {}", first.line);
            found.push(Diagnostic::new(file.span, message).hint(hint));
        } else {
            files.push(file);
        }
    }
    if files.len() > defaults::FILES_MAX {
        let message = format!("{} files are too many", files.len());
        let hint = format!("at most {}", defaults::FILES_MAX);
        found.push(Diagnostic::new(node.span, message).hint(hint));
    }
    files
}

fn file(item: &Node, peers: &[PeerPlan], found: &mut Vec<Diagnostic>) -> Option<File> {
    let fields = Fields::open(item, "a file of the dataset", &["peer", "path", "size"], found);
    let peer = fields.require("peer", found);
    let peer = peer.and_then(|node| peer_reference(node, "`peer`", peers, found));
    let path = fields.require("path", found).and_then(|node| path(node, found));
    let size = fields
        .require("size", found)
        .and_then(|node| fields::size_bytes(node, "`size`", 0..=defaults::FILE_BYTES_MAX, found));
    Some(File { peer: peer?, path: path?, size_bytes: size?, span: item.span })
}

/// A relative path that stays where it is.
fn path(node: &Node, found: &mut Vec<Diagnostic>) -> Option<String> {
    let text = fields::text(node, "`path`", found)?;
    let problem = if text.len() > defaults::PATH_BYTES_MAX {
        Some(format!("is longer than {} bytes", defaults::PATH_BYTES_MAX))
    } else if text.chars().any(char::is_control) {
        Some("holds a control character".to_owned())
    } else if text.split('/').any(|part| matches!(part, "" | "." | "..")) {
        Some("is not a plain relative path".to_owned())
    } else {
        None
    };
    let Some(problem) = problem else { return Some(text.to_owned()) };
    let hint = "a path within the share, such as `films/big.bin`";
    found.push(Diagnostic::new(node.span, format!("`path` {problem}")).hint(hint));
    None
}
