//! Where variables are used, and what for.

use super::LITERAL_KEYS;
use crate::testbed::topology::schema;
use crate::testbed::topology::source::Span;
use crate::testbed::topology::tree::{Node, Value};

/// A part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// As written.
    Text(&'a str),
    /// `${...}`, without its braces.
    Reference(&'a str),
    /// What follows a `${` that is not closed.
    Unclosed(&'a str),
}

/// The parts of a text; `$$` is a dollar sign.
pub(super) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        pieces.push(Piece::Text(&rest[..at]));
        let after = &rest[at + 1..];
        rest = match (after.strip_prefix('$'), after.strip_prefix('{')) {
            (Some(after), _) => {
                pieces.push(Piece::Text("$"));
                after
            }
            (None, Some(body)) => {
                let Some((reference, after)) = body.split_once('}') else {
                    pieces.push(Piece::Unclosed(body));
                    return pieces;
                };
                pieces.push(Piece::Reference(reference));
                after
            }
            (None, None) => {
                pieces.push(Piece::Text("$"));
                after
            }
        };
    }
    pieces.push(Piece::Text(rest));
    pieces
}

/// A variable where it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Use<'a> {
    pub(crate) name: &'a str,
    pub(crate) default: Option<&'a str>,
    pub(crate) span: Span,
}

/// What `name` or `name:-default` asks for.
pub(super) fn parse(reference: &str) -> (&str, Option<&str>) {
    match reference.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (reference, None),
    }
}

/// The variables of one text.
pub(super) fn in_text(text: &str, span: Span) -> impl Iterator<Item = Use<'_>> {
    pieces(text).into_iter().filter_map(move |piece| match piece {
        Piece::Reference(reference) => {
            let (name, default) = parse(reference);
            Some(Use { name, default, span })
        }
        Piece::Text(_) | Piece::Unclosed(_) => None,
    })
}

/// All variables that a topology uses, in file order.
pub(crate) fn in_topology(root: &Node) -> Vec<Use<'_>> {
    let Value::Mapping(entries) = &root.value else { return Vec::new() };
    let mut uses = Vec::new();
    for entry in entries {
        let key = entry.key.as_str();
        if !LITERAL_KEYS.contains(&key) && !schema::is_own_key(key) {
            below(&entry.value, &mut uses);
        }
    }
    uses
}

/// Appends the variables that are used in a part of a topology.
pub(crate) fn below<'a>(node: &'a Node, uses: &mut Vec<Use<'a>>) {
    match &node.value {
        Value::Mapping(entries) => {
            let known = entries.iter().filter(|entry| !schema::is_own_key(&entry.key));
            known.for_each(|entry| below(&entry.value, uses));
        }
        Value::Sequence(items) => items.iter().for_each(|item| below(item, uses)),
        Value::Scalar(scalar) => uses.extend(in_text(&scalar.text, node.span)),
    }
}
