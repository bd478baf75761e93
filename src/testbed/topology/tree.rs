//! YAML as a tree in which every key and value knows where it stands.
//!
//! Built from the parser's events rather than through serde, so that all of it
//! is there to be complained about: keys have places, duplicates have two, and a
//! scalar keeps its text as written.

use super::diagnostic::Diagnostic;
use super::source::Span;

mod emit;
mod parse;

pub(crate) use emit::emit;
pub(crate) use parse::{parse, parse_at, too_long};

/// Largest file that is read; topologies are written by hand.
pub const FILE_BYTES_MAX: usize = 1 << 20;

/// Deepest nesting; the schema needs 6.
pub const DEPTH_MAX: usize = 32;

/// Most nodes, counting those that aliases repeat: bounds an alias bomb.
pub const NODES_MAX: usize = 50_000;

/// Longest scalar, before and after variables are put in.
pub const SCALAR_BYTES_MAX: usize = 4096;

/// A value and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) value: Value,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Mapping(Vec<Entry>),
    Scalar(Scalar),
    Sequence(Vec<Node>),
}

/// One key of a mapping; no two entries of one share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) value: Node,
}

/// Anything that is neither a mapping nor a sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    /// Neither quoted nor a block: may stand for null, a boolean or a number.
    pub(crate) plain: bool,
    /// The text with its `${...}`, where there were any.
    pub(crate) template: Option<String>,
}

/// What a scalar stands for (YAML 1.2 core schema, without floats: no key of a
/// topology takes one).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning<'a> {
    Boolean(bool),
    Integer(u64),
    Null,
    Text(&'a str),
}

impl Node {
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.meaning() == Meaning::Null)
    }

    /// Whether a variable was put in here.
    pub(crate) fn is_from_variable(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.template.is_some())
    }

    /// The value of a key, if this is a mapping that has it.
    pub(crate) fn child(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Mapping(entries) => {
                entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
            }
            Value::Scalar(_) | Value::Sequence(_) => None,
        }
    }

    /// As messages call it.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Mapping(_) => "a map",
            Value::Sequence(_) => "a list",
            Value::Scalar(scalar) => match scalar.meaning() {
                Meaning::Boolean(_) => "true or false",
                Meaning::Integer(_) => "a number",
                Meaning::Null => "nothing",
                Meaning::Text(_) => "text",
            },
        }
    }
}

impl Scalar {
    pub(crate) fn meaning(&self) -> Meaning<'_> {
        if !self.plain {
            return Meaning::Text(&self.text);
        }
        match self.text.as_str() {
            "" | "~" | "null" | "Null" | "NULL" => Meaning::Null,
            "true" | "True" | "TRUE" => Meaning::Boolean(true),
            "false" | "False" | "FALSE" => Meaning::Boolean(false),
            text if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                text.parse().map_or(Meaning::Text(text), Meaning::Integer)
            }
            text => Meaning::Text(text),
        }
    }
}

#[cfg(test)]
mod tests;
