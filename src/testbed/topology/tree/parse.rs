//! From text to tree.

use std::collections::HashMap;

use serde_yaml::granit_parser as yaml;
use yaml::{Event, Parser, ScalarStyle, StrInput, StructureStyle};

use super::{
    DEPTH_MAX, Diagnostic, Entry, FILE_BYTES_MAX, NODES_MAX, Node, SCALAR_BYTES_MAX, Scalar, Span,
    Value,
};

/// Parses one document. Mistakes that leave a tree to go on with (a duplicate
/// key) are added to `found`; after all others there is none.
pub(crate) fn parse(text: &str, source: usize, found: &mut Vec<Diagnostic>) -> Option<Node> {
    parse_at(text, 0, source, found)
}

/// Parses what stands in `text` from byte `offset` of its first line on.
pub(crate) fn parse_at(
    text: &str,
    offset: usize,
    source: usize,
    found: &mut Vec<Diagnostic>,
) -> Option<Node> {
    if text.len() > FILE_BYTES_MAX {
        found.push(too_long(source));
        return None;
    }
    let mut builder = Builder {
        parser: Parser::new_from_str(&text[offset..]),
        text,
        offset,
        source,
        nodes: 0,
        anchors: HashMap::new(),
        found,
    };
    match builder.document() {
        Ok(node) => Some(node),
        Err(diagnostic) => {
            found.push(*diagnostic);
            None
        }
    }
}

/// Of a source with more bytes than are read.
pub(crate) fn too_long(source: usize) -> Diagnostic {
    let message = format!("more than {FILE_BYTES_MAX} bytes, which is all that is read");
    let hint = "topologies are written by hand; `count`, groups of links and `matrix` multiply";
    Diagnostic::new(Span::beginning(source), message).hint(hint)
}

/// Ends the parse; boxed, for it is far larger than what is returned otherwise.
type Fatal = Box<Diagnostic>;

struct Builder<'t, 'f> {
    parser: Parser<'t, StrInput<'t>>,
    text: &'t str,
    offset: usize,
    source: usize,
    nodes: usize,
    anchors: HashMap<usize, Node>,
    found: &'f mut Vec<Diagnostic>,
}

impl<'t> Builder<'t, '_> {
    fn document(&mut self) -> Result<Node, Fatal> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
                Event::StreamEnd => break,
                _ if root.is_some() => {
                    let message = "a second document in one file";
                    let hint = "one file is one topology: remove the `---`";
                    return Err(Box::new(Diagnostic::new(span, message).hint(hint)));
                }
                event => root = Some(self.node(event, span, 0)?),
            }
        }
        root.ok_or_else(|| {
            let message = "the file is empty";
            let hint = "a topology needs `version`, `name`, `peers`, `links` and `scenario`";
            Box::new(Diagnostic::new(Span::beginning(self.source), message).hint(hint))
        })
    }

    /// The next event that is not a comment.
    fn next(&mut self) -> Result<(Event<'t>, Span), Fatal> {
        loop {
            match self.parser.next_event() {
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok((event, span))) => {
                    let span = self.span(span.start, span.end);
                    return Ok((event, span));
                }
                Some(Err(error)) => {
                    let span = self.span(*error.marker(), *error.marker());
                    let diagnostic = Diagnostic::new(span, format!("not YAML: {}", error.info()));
                    return Err(Box::new(self.with_syntax_hint(diagnostic, span)));
                }
                None => return Ok((Event::StreamEnd, self.span_at_end())),
            }
        }
    }

    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Node, Fatal> {
        self.count(1, span)?;
        if depth > DEPTH_MAX {
            let message = format!("nested deeper than {DEPTH_MAX} levels");
            return Err(Box::new(Diagnostic::new(span, message)));
        }
        if event.tag().is_some() {
            let message = "YAML tags have no meaning in a topology";
            self.found.push(Diagnostic::new(span, message).hint("remove the `!...`"));
        }
        let anchor = event.anchor_id();
        let node = match event {
            Event::Alias(id) => {
                let node = self.anchors.get(&id).cloned().ok_or_else(|| {
                    let message = "an alias within its own anchor";
                    Box::new(Diagnostic::new(span, message))
                })?;
                self.count(nodes_of(&node), span)?;
                return Ok(node);
            }
            Event::Scalar(text, style, ..) => self.scalar(text.into_owned(), style, span)?,
            Event::SequenceStart(style, ..) => self.sequence(style, span, depth)?,
            Event::MappingStart(style, ..) => self.mapping(style, span, depth)?,
            _ => return Err(Box::new(Diagnostic::new(span, "not YAML: a value is missing"))),
        };
        if let Some(id) = anchor {
            self.anchors.insert(id, node.clone());
        }
        Ok(node)
    }

    fn scalar(&self, text: String, style: ScalarStyle, span: Span) -> Result<Node, Fatal> {
        if text.len() > SCALAR_BYTES_MAX {
            let message = format!("longer than {SCALAR_BYTES_MAX} bytes");
            return Err(Box::new(Diagnostic::new(span, message)));
        }
        let plain = matches!(style, ScalarStyle::Plain);
        Ok(Node { span, value: Value::Scalar(Scalar { text, plain, template: None }) })
    }

    fn sequence(
        &mut self,
        style: StructureStyle,
        start: Span,
        depth: usize,
    ) -> Result<Node, Fatal> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                let first = items.first().map(|item: &Node| item.span);
                let span = collection_span(style, start, first, span);
                return Ok(Node { span, value: Value::Sequence(items) });
            }
            items.push(self.node(event, span, depth + 1)?);
        }
    }

    fn mapping(&mut self, style: StructureStyle, start: Span, depth: usize) -> Result<Node, Fatal> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut places: HashMap<String, Span> = HashMap::new();
        loop {
            let (event, key_span) = self.next()?;
            let key = match event {
                Event::MappingEnd => {
                    let first = entries.first().map(|entry| entry.key_span);
                    let span = collection_span(style, start, first, key_span);
                    return Ok(Node { span, value: Value::Mapping(entries) });
                }
                Event::Scalar(text, ..) => text.into_owned(),
                _ => {
                    let message = "a key must be plain text";
                    return Err(Box::new(Diagnostic::new(key_span, message)));
                }
            };
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            if key == "<<" {
                let message = "merge keys are not supported";
                let hint = "`defaults` and `profiles` name what peers share; `vars` names a value";
                self.found.push(Diagnostic::new(key_span, message).hint(hint));
            } else if let Some(first) = places.get(&key) {
                let message = format!("`{key}` is given twice");
                let twice = Diagnostic::new(key_span, message).hint("remove one");
                self.found.push(twice.related(*first, "first given here"));
            } else {
                places.insert(key.clone(), key_span);
                entries.push(Entry { key, key_span, value });
            }
        }
    }

    fn count(&mut self, nodes: usize, span: Span) -> Result<(), Fatal> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > NODES_MAX {
            let message = format!("more than {NODES_MAX} values, with those that aliases repeat");
            return Err(Box::new(Diagnostic::new(span, message)));
        }
        Ok(())
    }

    /// Braces of a variable end a flow map, which is the likeliest slip of all.
    fn with_syntax_hint(&self, diagnostic: Diagnostic, span: Span) -> Diagnostic {
        let line = self.text.lines().nth(span.line.saturating_sub(1)).unwrap_or_default();
        if line.contains("${") && line.contains('{') {
            return diagnostic.hint("within { } a variable needs quotes: \"${name}\"");
        }
        if line.contains('\t') {
            return diagnostic.hint("indent with spaces: YAML does not allow tabs there");
        }
        diagnostic
    }

    fn span(&self, start: yaml::Marker, end: yaml::Marker) -> Span {
        let first = self.byte(&start);
        let last = self.byte(&end).max(first);
        let trimmed = self.text[first..last].trim_end().len();
        let shift = if start.line() == 1 { self.text[..self.offset].chars().count() } else { 0 };
        Span {
            source: self.source,
            start: first,
            end: first + trimmed,
            line: start.line(),
            column: start.col() + 1 + shift,
        }
    }

    fn byte(&self, marker: &yaml::Marker) -> usize {
        let body = &self.text[self.offset..];
        let byte = marker.byte_offset().unwrap_or_else(|| {
            body.char_indices().nth(marker.index()).map_or(body.len(), |(byte, _)| byte)
        });
        self.offset + byte.min(body.len())
    }

    fn span_at_end(&self) -> Span {
        let end = self.text.len();
        let line = self.text.lines().count().max(1);
        Span { source: self.source, start: end, end, line, column: 1 }
    }
}

/// A flow collection is its brackets; a block collection is shown by its first
/// key or item, since it may go on for pages.
fn collection_span(style: StructureStyle, start: Span, first: Option<Span>, end: Span) -> Span {
    match (style, first) {
        (StructureStyle::Block, Some(first)) => first,
        _ => Span { end: end.end.max(start.end), ..start },
    }
}

fn nodes_of(node: &Node) -> usize {
    match &node.value {
        Value::Mapping(entries) => 1 + entries.iter().map(|e| nodes_of(&e.value)).sum::<usize>(),
        Value::Scalar(_) => 1,
        Value::Sequence(items) => 1 + items.iter().map(nodes_of).sum::<usize>(),
    }
}
