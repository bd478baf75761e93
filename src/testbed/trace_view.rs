//! One trace as indented text. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::Value;

use super::collect::{SpanId, SpanRecord};
use crate::telemetry::names::{attribute, span};

/// How much of a trace is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ViewOptions {
    /// Children of one span; the rest is counted.
    pub children_max: usize,
    /// Lines in all, with the heading; the rest is counted.
    pub lines_max: usize,
}

impl Default for ViewOptions {
    fn default() -> Self {
        Self { children_max: 8, lines_max: 60 }
    }
}

/// Deepest nesting that is shown; ours is about six. Bounds the recursion for
/// traces from elsewhere.
const DEPTH_MAX: usize = 32;

/// Renders spans as a tree: name, service, start from the first span's start,
/// duration, attributes. Children in order of start; spans whose parent is not
/// among `spans` are roots.
pub fn render(spans: &[SpanRecord], options: &ViewOptions) -> String {
    let Some(origin_ns) = spans.iter().map(|span| span.start_ns).min() else {
        return "no spans\n".to_owned();
    };
    let mut view = View { tree: Tree::of(spans), origin_ns, options, rows: Vec::new() };
    view.add_children(None, 0);
    view.finish(spans)
}

/// Picks one kernel READ that another peer worked on, with all its spans: the one
/// that shows most kinds of span, the first of these. None when no READ in the
/// trace left the peer.
pub fn one_read(spans: &[SpanRecord]) -> Option<Vec<SpanRecord>> {
    let tree = Tree::of(spans);
    let reads = spans.iter().filter(|s| s.name == span::FUSE_READ);
    let whole = reads.map(|read| tree.subtree(read)).filter(|subtree| {
        subtree.iter().any(|span| span.service_instance != subtree[0].service_instance)
    });
    let kinds = |subtree: &[&SpanRecord]| {
        subtree.iter().map(|span| &span.name).collect::<BTreeSet<_>>().len()
    };
    let best = whole.max_by_key(|subtree| {
        (kinds(subtree), std::cmp::Reverse((subtree[0].start_ns, subtree[0].span_id)))
    })?;
    Some(best.into_iter().cloned().collect())
}

/// Spans by parent, each list by start.
struct Tree<'a>(BTreeMap<Option<SpanId>, Vec<&'a SpanRecord>>);

impl<'a> Tree<'a> {
    fn of(spans: &'a [SpanRecord]) -> Self {
        let known: BTreeSet<SpanId> = spans.iter().map(|span| span.span_id).collect();
        let mut children: BTreeMap<Option<SpanId>, Vec<&SpanRecord>> = BTreeMap::new();
        for span in spans {
            let parent = span.parent_id.filter(|parent| known.contains(parent));
            children.entry(parent).or_default().push(span);
        }
        for list in children.values_mut() {
            list.sort_by_key(|span| (span.start_ns, span.span_id));
        }
        Self(children)
    }

    fn children(&self, parent: Option<SpanId>) -> &[&'a SpanRecord] {
        self.0.get(&parent).map_or(&[], Vec::as_slice)
    }

    /// `root` and all below it, parents first. Ends on cycles too.
    fn subtree(&self, root: &'a SpanRecord) -> Vec<&'a SpanRecord> {
        let mut seen = BTreeSet::from([root.span_id]);
        let mut spans = vec![root];
        let mut next = 0;
        while let Some(span) = spans.get(next) {
            let children = self.children(Some(span.span_id));
            spans.extend(children.iter().copied().filter(|child| seen.insert(child.span_id)));
            next += 1;
        }
        spans
    }
}

struct View<'a> {
    tree: Tree<'a>,
    origin_ns: u64,
    options: &'a ViewOptions,
    rows: Vec<Line<'a>>,
}

enum Line<'a> {
    Span { depth: usize, span: &'a SpanRecord },
    More { depth: usize, spans: usize },
}

impl<'a> View<'a> {
    fn add_children(&mut self, parent: Option<SpanId>, depth: usize) {
        let children = self.tree.children(parent).to_vec();
        let shown = if depth < DEPTH_MAX { self.options.children_max } else { 0 };
        for span in children.iter().copied().take(shown) {
            self.rows.push(Line::Span { depth, span });
            self.add_children(Some(span.span_id), depth + 1);
        }
        if children.len() > shown {
            self.rows.push(Line::More { depth, spans: children.len() - shown });
        }
    }

    fn finish(self, spans: &[SpanRecord]) -> String {
        let services: BTreeSet<_> = spans.iter().map(|span| &span.service_instance).collect();
        let services: Vec<_> = services.into_iter().map(String::as_str).collect();
        let traces: BTreeSet<_> = spans.iter().map(|span| span.trace_id).collect();
        let traces: Vec<_> = traces.into_iter().map(|trace| trace.to_string()).collect();
        let mut text = format!("trace {}: {} spans of ", traces.join(", "), spans.len());
        text.push_str(&services.join(", "));
        text.push('\n');
        // The heading, and the last line that counts what is left out.
        let room = self.options.lines_max.saturating_sub(2).max(1);
        let fits = self.rows.len() < room + 2;
        let shown = &self.rows[..if fits { self.rows.len() } else { room }];
        let name_width = shown.iter().map(Line::name_width).max().unwrap_or(0);
        let service_width = services.iter().map(|name| name.len()).max().unwrap_or(0);
        for line in shown {
            self.write_line(&mut text, line, name_width, service_width);
        }
        if !fits {
            push_line(&mut text, &format!("... {} more lines", self.rows.len() - room));
        }
        text
    }

    fn write_line(&self, text: &mut String, line: &Line<'_>, name_width: usize, service: usize) {
        let line = match line {
            Line::Span { depth, span } => {
                let name = format!("{}{}", "  ".repeat(*depth), span.name);
                let start = milliseconds(span.start_ns - self.origin_ns);
                let duration = milliseconds(span.duration_ns());
                let of = &span.service_instance;
                let attributes = attributes(span);
                format!(
                    "{name:name_width$}  {of:service$}  +{start:>9} ms {duration:>9} ms{attributes}"
                )
            }
            Line::More { depth, spans } => {
                let plural = if *spans == 1 { "" } else { "s" };
                format!("{}... {spans} more span{plural} with all below", "  ".repeat(*depth))
            }
        };
        push_line(text, &line);
    }
}

impl Line<'_> {
    /// Columns up to the end of the name; a count of spans has no columns.
    fn name_width(&self) -> usize {
        match self {
            Line::Span { depth, span } => depth * 2 + span.name.len(),
            Line::More { .. } => 0,
        }
    }
}

fn push_line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

fn milliseconds(time_ns: u64) -> String {
    // Whole microseconds; what is below is noise of the clock.
    let time_us = time_ns / 1_000;
    format!("{}.{:03}", time_us / 1_000, time_us % 1_000)
}

/// Our attributes, without prefix; layer times are for the table.
fn attributes(span: &SpanRecord) -> String {
    let mut text = String::new();
    for (name, value) in &span.attributes {
        let Some(short) = name.strip_prefix("dropbed.") else { continue };
        if name.starts_with(attribute::LAYER_PREFIX) {
            continue;
        }
        let value = match value {
            Value::String(text) => text.escape_debug().to_string(),
            other => other.to_string(),
        };
        // Writing to a String cannot fail.
        let _ = write!(text, "  {short}={value}");
    }
    text
}

#[cfg(test)]
mod tests;
