//! From tree to text: block style, quoted wherever a doubt is possible.

use super::{Meaning, Node, Scalar, Value};

/// YAML that parses to an equal tree, places apart.
pub(crate) fn emit(node: &Node) -> String {
    let mut out = String::new();
    write_node(node, 0, &mut out);
    if !out.ends_with('\n') {
        out.push('\n');
    }
    out.trim_start_matches('\n').to_owned()
}

/// Writes what follows a `key:` or a `-`, with the line break or space before it.
fn write_node(node: &Node, indent: usize, out: &mut String) {
    match &node.value {
        Value::Mapping(entries) if entries.is_empty() => out.push_str(" {}\n"),
        Value::Sequence(items) if items.is_empty() => out.push_str(" []\n"),
        Value::Mapping(entries) => {
            out.push('\n');
            for entry in entries {
                out.extend(std::iter::repeat_n(' ', indent));
                out.push_str(&quoted_unless_safe(&entry.key));
                out.push(':');
                write_node(&entry.value, indent + 2, out);
            }
        }
        Value::Sequence(items) => {
            out.push('\n');
            for item in items {
                out.extend(std::iter::repeat_n(' ', indent));
                out.push('-');
                write_node(item, indent + 2, out);
            }
        }
        Value::Scalar(scalar) => {
            out.push(' ');
            out.push_str(&scalar_text(scalar));
            out.push('\n');
        }
    }
}

fn scalar_text(scalar: &Scalar) -> String {
    match scalar.meaning() {
        Meaning::Null => "null".to_owned(),
        _ if scalar.plain => quoted_unless_safe(&scalar.text),
        _ => quoted(&scalar.text),
    }
}

fn quoted_unless_safe(text: &str) -> String {
    let safe = text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._/%+-".contains(c));
    if safe { text.to_owned() } else { quoted(text) }
}

/// JSON's quoting is YAML's double quoting.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
