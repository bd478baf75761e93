//! A plan as a picture: Mermaid, Graphviz, or text for a terminal. Pure.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::render::way_text;
use super::{OneWay, Plan};
use crate::testbed::topology::units::{DurationUs, RateBits};

mod ascii;

/// How a graph is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For Markdown that draws it.
    Mermaid,
    /// For Graphviz.
    Dot,
    /// For a terminal.
    Ascii,
}

/// The peers and links of a plan; equal plans give equal bytes.
pub fn graph(plan: &Plan, format: Format) -> String {
    let names: Vec<&str> = plan.peers.iter().map(|peer| peer.name.as_str()).collect();
    let edges = edges(plan, &names);
    match format {
        Format::Mermaid => mermaid(&names, &edges),
        Format::Dot => dot(&plan.name, &names, &edges),
        Format::Ascii => ascii::draw(&names, &edges),
    }
}

/// All that is between two peers.
#[derive(Clone, Copy, Debug)]
struct Edge {
    /// Who dials, or dials first in the file.
    a: usize,
    b: usize,
    /// Bytes from `a` to `b`.
    forth: OneWay,
    back: OneWay,
    /// Whether `b` dials `a` too.
    both_dial: bool,
}

/// The links of a plan, those of one pair as one where they agree.
fn edges(plan: &Plan, names: &[&str]) -> Vec<Edge> {
    let index: HashMap<&str, usize> =
        names.iter().enumerate().map(|(index, name)| (*name, index)).collect();
    let mut edges: Vec<Edge> = Vec::new();
    let mut first: HashMap<[usize; 2], usize> = HashMap::new();
    for link in &plan.links {
        let (a, b) = (index[&*link.dialler], index[&*link.listener]);
        let (forth, back) = (link.shape.up, link.shape.down);
        let known = first.get(&[b, a]).map(|edge| &mut edges[*edge]);
        match known.filter(|edge| edge.forth == back && edge.back == forth) {
            Some(edge) => edge.both_dial = true,
            None => {
                first.insert([a, b], edges.len());
                edges.push(Edge { a, b, forth, back, both_dial: false });
            }
        }
    }
    edges
}

impl Edge {
    /// What both directions do; each by itself where they differ.
    fn label(&self, names: &[&str]) -> String {
        if self.forth != self.back {
            let (a, b) = (names[self.a], names[self.b]);
            let (forth, back) = (way_text(&self.forth), way_text(&self.back));
            return format!("{a} to {b} {forth}, {b} to {a} {back}");
        }
        let OneWay { latency_us, jitter_us, rate_bits_per_s, .. } = self.forth;
        let mut parts = Vec::new();
        if latency_us > 0 {
            parts.push(format!("RTT {}", DurationUs(2 * latency_us)));
        }
        if jitter_us > 0 {
            parts.push(format!("jitter {} each way", DurationUs(jitter_us)));
        }
        parts.extend(rate_bits_per_s.map(|bits| RateBits(bits).to_string()));
        if parts.is_empty() { "no delay".to_owned() } else { parts.join(", ") }
    }
}

/// Nodes have numbers for names: `end` is a word of Mermaid's.
fn mermaid(names: &[&str], edges: &[Edge]) -> String {
    let escaped = |text: &str| text.replace('#', "#35;").replace('"', "#quot;");
    let mut out = String::from("graph LR\n");
    // Writing to a String cannot fail.
    for (index, name) in names.iter().enumerate() {
        let _ = writeln!(out, "    p{index}[\"{}\"]", escaped(name));
    }
    for edge in edges {
        let arrow = if edge.both_dial { "---" } else { "-->" };
        let label = escaped(&edge.label(names));
        let _ = writeln!(out, "    p{} {arrow}|\"{label}\"| p{}", edge.a, edge.b);
    }
    out
}

fn dot(name: &str, names: &[&str], edges: &[Edge]) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let mut out = format!("digraph {} {{\n    node [shape=box];\n", quoted(name));
    for name in names {
        let _ = writeln!(out, "    {};", quoted(name));
    }
    for edge in edges {
        let (a, b) = (quoted(names[edge.a]), quoted(names[edge.b]));
        let direction = if edge.both_dial { "dir=none, " } else { "" };
        let label = quoted(&edge.label(names));
        let _ = writeln!(out, "    {a} -> {b} [{direction}label={label}];");
    }
    out.push_str("}\n");
    out
}

#[cfg(test)]
mod tests;
