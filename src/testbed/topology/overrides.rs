//! `--set key.path=value`: the tree changed before anything looks at it.

use super::diagnostic::Diagnostic;
use super::schema;
use super::source::{Source, Span};
use super::suggest;
use super::tree::{Entry, Node, Value, parse_at};
use super::vars;

/// The name under which diagnostics show an argument.
const SOURCE_NAME: &str = "--set";

/// One step of a path, with its place in the argument.
struct Segment<'a> {
    text: &'a str,
    span: Span,
}

/// Applies each argument in turn; each becomes a source of its own.
///
/// A path goes through maps by key and through lists by index. A path of one
/// segment that is no top-level key but a variable means `vars.<name>`, and pins
/// that variable where the matrix varies it. Missing keys are added (the schema
/// is checked afterwards), but no peers, profiles or variables: there a new name is
/// a slip.
pub(crate) fn apply(
    tree: &mut Node,
    sets: &[String],
    sources: &mut Vec<Source>,
    found: &mut Vec<Diagnostic>,
) {
    for set in sets {
        let source = sources.len();
        sources.push(Source { name: SOURCE_NAME.to_owned(), text: set.clone() });
        let span = Span { end: set.len(), ..Span::beginning(source) };
        let Some((path, _)) = set.split_once('=') else {
            let message = format!("`{set}` sets nothing");
            found.push(Diagnostic::new(span, message).hint("write `--set key.path=value`"));
            continue;
        };
        let Some(value) = parse_value(set, path.len() + 1, source, found) else { continue };
        let segments = segments(path, source);
        if let Err(diagnostic) = apply_one(tree, &segments, value) {
            found.push(diagnostic);
        }
    }
}

fn parse_value(
    set: &str,
    offset: usize,
    source: usize,
    found: &mut Vec<Diagnostic>,
) -> Option<Node> {
    if set[offset..].trim().is_empty() {
        let column = set[..offset].chars().count() + 1;
        let span = Span { start: offset, end: set.len(), column, ..Span::beginning(source) };
        let hint = "write `null` to unset a key";
        found.push(Diagnostic::new(span, "there is no value after the `=`").hint(hint));
        return None;
    }
    parse_at(set, offset, source, found)
}

fn apply_one(tree: &mut Node, path: &[Segment<'_>], value: Node) -> Result<(), Diagnostic> {
    if let [name] = path
        && !schema::TOPOLOGY.names().contains(&name.text)
        && is_variable(tree, name.text)
    {
        let span = name.span;
        let below = |text| [Segment { text, span }, Segment { text: name.text, span }];
        if tree.child("matrix").and_then(|matrix| matrix.child(name.text)).is_some() {
            let only = Node { span: value.span, value: Value::Sequence(vec![value.clone()]) };
            place(tree, &below("matrix"), only)?;
        }
        return place(tree, &below("vars"), value);
    }
    if let [top, name, ..] = path
        && ["peers", "profiles", "vars"].contains(&top.text)
    {
        let parent = tree.child(top.text);
        let known = match top.text {
            "vars" => is_variable(tree, name.text),
            _ => parent.and_then(|parent| parent.child(name.text)).is_some(),
        };
        if !known {
            let known = parent.map(keys).unwrap_or_default();
            let message = format!("there is no `{}` in `{}`", name.text, top.text);
            let hint = suggest::hint(name.text, &known);
            return Err(Diagnostic::new(name.span, message).hint(hint));
        }
    }
    place(tree, path, value)
}

/// Whether the file defines it, or uses it with a default.
fn is_variable(tree: &Node, name: &str) -> bool {
    let defined = tree.child("vars").and_then(|vars| vars.child(name)).is_some();
    defined
        || vars::in_topology(tree).iter().any(|used| used.name == name && used.default.is_some())
}

fn place(node: &mut Node, path: &[Segment<'_>], value: Node) -> Result<(), Diagnostic> {
    let Some((segment, rest)) = path.split_first() else {
        *node = value;
        return Ok(());
    };
    if node.is_null() {
        *node = Node { span: segment.span, value: Value::Mapping(Vec::new()) };
    }
    match &mut node.value {
        Value::Mapping(entries) => {
            let known = entries.iter().position(|entry| entry.key == segment.text);
            let index = known.unwrap_or_else(|| {
                entries.push(Entry {
                    key: segment.text.to_owned(),
                    key_span: segment.span,
                    value: Node { span: segment.span, value: Value::Mapping(Vec::new()) },
                });
                entries.len() - 1
            });
            place(&mut entries[index].value, rest, value)
        }
        Value::Sequence(items) => {
            let count = items.len();
            let index = segment.text.parse::<usize>().ok().filter(|index| *index < count);
            let Some(index) = index else {
                let message = format!("`{}` is not an item of this list", segment.text);
                let hint = match count {
                    0 => "the list is empty".to_owned(),
                    _ => format!("its items are numbered 0 to {}", count - 1),
                };
                return Err(Diagnostic::new(segment.span, message).hint(hint));
            };
            place(&mut items[index], rest, value)
        }
        Value::Scalar(_) => {
            let message = format!("there is nothing below this to set `{}` in", segment.text);
            let hint = "what the path has reached is a single value, not a map or a list";
            Err(Diagnostic::new(segment.span, message).hint(hint))
        }
    }
}

fn keys(node: &Node) -> Vec<&str> {
    match &node.value {
        Value::Mapping(entries) => entries.iter().map(|entry| entry.key.as_str()).collect(),
        Value::Scalar(_) | Value::Sequence(_) => Vec::new(),
    }
}

fn segments(path: &str, source: usize) -> Vec<Segment<'_>> {
    let mut start = 0;
    path.split('.')
        .map(|text| {
            let column = path[..start].chars().count() + 1;
            let span = Span { source, start, end: start + text.len(), line: 1, column };
            start += text.len() + 1;
            Segment { text, span }
        })
        .collect()
}
