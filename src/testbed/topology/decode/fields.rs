//! The keys of a map, and the kinds of scalar.

use super::super::defaults;
use super::super::diagnostic::Diagnostic;
use super::super::schema::{self, Kind, Map};
use super::super::source::Span;
use super::super::suggest;
use super::super::tree::{Entry, Meaning, Node, Scalar, Value};
use super::super::units::{self, UnitError};

/// A map whose keys have been checked against its table.
pub(super) struct Fields<'a> {
    what: String,
    map: &'static Map,
    pub(super) span: Span,
    entries: &'a [Entry],
    /// Or nothing, which is an empty one.
    is_map: bool,
}

impl<'a> Fields<'a> {
    /// Opens a map; nothing is an empty map. Keys that its table does not have are
    /// mistakes, but for those that are the file's own.
    pub(super) fn open(
        node: &'a Node,
        what: &str,
        map: &'static Map,
        found: &mut Vec<Diagnostic>,
    ) -> Self {
        let entries = entries(node, what, found);
        let known = map.names();
        for entry in named(entries) {
            if !known.contains(&entry.key.as_str()) {
                let message = format!("{what} has no key `{}`", entry.key);
                let hint = suggest::hint(&entry.key, &known);
                found.push(Diagnostic::new(entry.key_span, message).hint(hint));
            }
        }
        let is_map = matches!(node.value, Value::Mapping(_)) || node.is_null();
        Self { what: what.to_owned(), map, span: node.span, entries, is_map }
    }

    /// The value of a key, unless it is absent or null.
    pub(super) fn find(&self, key: &str) -> Option<&'a Node> {
        self.entry(key).map(|entry| &entry.value).filter(|node| !node.is_null())
    }

    /// The key with its value, null or not.
    pub(super) fn entry(&self, key: &str) -> Option<&'a Entry> {
        let key = self.map.key(key);
        self.entries.iter().find(|entry| entry.key == key.name)
    }

    /// The value of a key that must be there.
    pub(super) fn require(&self, key: &str, found: &mut Vec<Diagnostic>) -> Option<&'a Node> {
        assert!(self.map.key(key).required, "`{key}` of `{}` is required", self.map.name);
        let value = self.find(key);
        // What is no map at all has been told so.
        if value.is_none() && self.is_map {
            let span = self.entry(key).map_or(self.span, |entry| entry.key_span);
            let message = format!("{} needs `{key}`", self.what);
            found.push(Diagnostic::new(span, message).hint(format!("add `{key}: ...`")));
        }
        value
    }

    pub(super) fn boolean(&self, key: &str, found: &mut Vec<Diagnostic>) -> Option<bool> {
        boolean(self.find(key)?, &quoted(key), found)
    }

    /// A whole number within the bounds that the table has.
    pub(super) fn integer(&self, key: &str, found: &mut Vec<Diagnostic>) -> Option<u64> {
        let Kind::Integer { min, max } = self.map.key(key).kind else {
            panic!("`{key}` of `{}` is no whole number in its table", self.map.name)
        };
        integer(self.find(key)?, &quoted(key), min, max, found)
    }

    /// A number with a unit within the bounds that the table has.
    pub(super) fn quantity(&self, key: &str, found: &mut Vec<Diagnostic>) -> Option<u64> {
        let Kind::Quantity { quantity: kind, min, max } = self.map.key(key).kind else {
            panic!("`{key}` of `{}` is no quantity in its table", self.map.name)
        };
        let (node, what) = (self.find(key)?, quoted(key));
        let value = quantity(node, &what, |text| kind.parse(text), found)?;
        within(node, &what, value, min..=max, |value| kind.show(value), found)
    }

    /// A deadline in whole milliseconds.
    pub(super) fn deadline_ms(&self, key: &str, found: &mut Vec<Diagnostic>) -> Option<u64> {
        let value_us = self.quantity(key, found)?;
        if !value_us.is_multiple_of(1000) {
            let message = format!("`{key}` is not a whole number of milliseconds");
            let node = self.find(key)?;
            found.push(Diagnostic::new(node.span, message).hint("write it in `ms`"));
            return None;
        }
        Some(value_us / 1000)
    }

    /// One of the words that the table has for the key; `noun` is what they are.
    pub(super) fn word(
        &self,
        key: &str,
        noun: &str,
        found: &mut Vec<Diagnostic>,
    ) -> Option<&'static str> {
        let Kind::OneOf(words) = self.map.key(key).kind else {
            panic!("`{key}` of `{}` has no words in its table", self.map.name)
        };
        let node = self.find(key)?;
        let text = text(node, &quoted(key), found)?;
        let word = words.iter().find(|word| **word == text);
        if word.is_none() {
            let message = format!("`{key}`: there is no {noun} `{text}`");
            let hint = suggest::hint(text, words);
            found.push(Diagnostic::new(node.span, message).hint(hint));
        }
        word.copied()
    }
}

fn quoted(key: &str) -> String {
    format!("`{key}`")
}

/// The entries that are not the file's own.
pub(super) fn named(entries: &[Entry]) -> impl Iterator<Item = &Entry> {
    entries.iter().filter(|entry| !schema::is_own_key(&entry.key))
}

/// The entries of a map; nothing has none.
pub(super) fn entries<'a>(node: &'a Node, what: &str, found: &mut Vec<Diagnostic>) -> &'a [Entry] {
    match &node.value {
        Value::Mapping(entries) => entries,
        _ if node.is_null() => &[],
        _ => {
            let message = format!("{what} is {}, not a map", node.kind());
            found.push(Diagnostic::new(node.span, message).hint("write `key: value` pairs"));
            &[]
        }
    }
}

/// The text of a scalar of any kind, as written.
pub(super) fn literal(node: &Node, what: &str, found: &mut Vec<Diagnostic>) -> Option<String> {
    scalar(node, what, "a single value", found).map(|scalar| scalar.text.clone())
}

/// Text. A number is not text: what looks like one was likely meant as one.
pub(super) fn text<'a>(node: &'a Node, what: &str, found: &mut Vec<Diagnostic>) -> Option<&'a str> {
    let scalar = scalar(node, what, "text", found)?;
    match scalar.meaning() {
        Meaning::Text(text) => Some(text),
        _ => {
            let hint = format!("write it in quotes: \"{}\"", scalar.text);
            wrong_kind(node, what, "text", &hint, found)
        }
    }
}

pub(super) fn boolean(node: &Node, what: &str, found: &mut Vec<Diagnostic>) -> Option<bool> {
    let scalar = scalar(node, what, "true or false", found)?;
    match scalar.meaning() {
        Meaning::Boolean(value) => Some(value),
        _ => wrong_kind(node, what, "true or false", "write `true` or `false`", found),
    }
}

/// A whole number within `min..=max`.
pub(super) fn integer(
    node: &Node,
    what: &str,
    min: u64,
    max: u64,
    found: &mut Vec<Diagnostic>,
) -> Option<u64> {
    let scalar = scalar(node, what, "a number", found)?;
    let Meaning::Integer(value) = scalar.meaning() else {
        return wrong_kind(node, what, "a whole number", "write digits only, unquoted", found);
    };
    within(node, what, value, min..=max, |value| value.to_string(), found)
}

/// Reports a value outside its range.
pub(super) fn within(
    node: &Node,
    what: &str,
    value: u64,
    range: std::ops::RangeInclusive<u64>,
    show: impl Fn(u64) -> String,
    found: &mut Vec<Diagnostic>,
) -> Option<u64> {
    if range.contains(&value) {
        return Some(value);
    }
    let message = format!("{what} is {}, out of range", show(value));
    let hint = format!("from {} to {}", show(*range.start()), show(*range.end()));
    found.push(Diagnostic::new(node.span, message).hint(hint));
    None
}

/// A duration in microseconds, at most `max_us`.
pub(super) fn duration_us(
    node: &Node,
    what: &str,
    max_us: u64,
    found: &mut Vec<Diagnostic>,
) -> Option<u64> {
    let value = quantity(node, what, units::duration_us, found)?;
    within(node, what, value, 0..=max_us, |us| units::DurationUs(us).to_string(), found)
}

/// Anything with a unit.
pub(super) fn quantity(
    node: &Node,
    what: &str,
    parse: impl FnOnce(&str) -> Result<u64, UnitError>,
    found: &mut Vec<Diagnostic>,
) -> Option<u64> {
    let scalar = scalar(node, what, "a number with a unit", found)?;
    match parse(&scalar.text) {
        Ok(value) => Some(value),
        Err(error) => {
            let message = format!("{what}: {}", error.message);
            let hint = from_variable(scalar, error.hint);
            found.push(Diagnostic::new(node.span, message).hint(hint));
            None
        }
    }
}

/// A name that is also a host name: lower case, digits and inner dashes.
pub(super) fn name(node: &Node, what: &str, found: &mut Vec<Diagnostic>) -> Option<String> {
    let text = text(node, what, found)?;
    check_name(text, what, node.span, found).then(|| text.to_owned())
}

pub(super) fn check_name(text: &str, what: &str, span: Span, found: &mut Vec<Diagnostic>) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let good = !text.is_empty()
        && text.len() <= defaults::NAME_BYTES_MAX
        && text.chars().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-');
    if !good {
        let message = format!("{what}: `{text}` is not a name");
        let hint =
            format!("a-z, 0-9 and inner dashes, at most {} characters", defaults::NAME_BYTES_MAX);
        found.push(Diagnostic::new(span, message).hint(hint));
    }
    good
}

/// Letters, digits and underscores, as environment variables are called.
pub(super) fn is_identifier(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn scalar<'a>(
    node: &'a Node,
    what: &str,
    wanted: &str,
    found: &mut Vec<Diagnostic>,
) -> Option<&'a Scalar> {
    match &node.value {
        Value::Scalar(scalar) => Some(scalar),
        Value::Mapping(_) | Value::Sequence(_) => {
            let message = format!("{what} is {}, not {wanted}", node.kind());
            found.push(Diagnostic::new(node.span, message));
            None
        }
    }
}

fn wrong_kind<T>(
    node: &Node,
    what: &str,
    wanted: &str,
    hint: &str,
    found: &mut Vec<Diagnostic>,
) -> Option<T> {
    let message = format!("{what} is {}, not {wanted}", node.kind());
    let hint = match &node.value {
        Value::Scalar(scalar) => from_variable(scalar, hint.to_owned()),
        Value::Mapping(_) | Value::Sequence(_) => hint.to_owned(),
    };
    found.push(Diagnostic::new(node.span, message).hint(hint));
    None
}

/// Tells what a variable stands for where the source only shows its name.
fn from_variable(scalar: &Scalar, hint: String) -> String {
    match &scalar.template {
        Some(template) => format!("`{template}` is `{}` here; {hint}", scalar.text),
        None => hint,
    }
}
