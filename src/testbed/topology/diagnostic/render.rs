//! The three forms of diagnostics: for people, for programs, for GitHub.

use std::fmt::{self, Write as _};

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, Severity, SourceCode,
};
use serde_json::{Value, json};

use super::{DIAGNOSTICS_MAX, Diagnostic, Diagnostics, Span};

/// Columns of an excerpt; fixed, so that the output does not depend on the
/// terminal it was made on.
const WIDTH_COLUMNS: usize = 100;

pub(super) fn excerpts(diagnostics: &Diagnostics, graphical: bool) -> String {
    let theme = if graphical { GraphicalTheme::unicode() } else { GraphicalTheme::none() };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(WIDTH_COLUMNS)
        .with_links(false)
        .with_context_lines(1);
    let mut text = String::new();
    for diagnostic in diagnostics.list.iter().take(DIAGNOSTICS_MAX) {
        let shown = Shown::new(diagnostics, diagnostic);
        let written = handler.render_report(&mut text, &shown);
        written.expect("a String takes all writes, and every span lies within its source");
        text.push('\n');
    }
    let count = diagnostics.list.len();
    let _ = writeln!(
        text,
        "{count} error{} in {}",
        if count == 1 { "" } else { "s" },
        diagnostics.sources[0].name
    );
    text
}

pub(super) fn json(all: &[&Diagnostics]) -> String {
    let list: Value = all
        .iter()
        .flat_map(|of_file| of_file.list.iter().map(|diagnostic| object(of_file, diagnostic)))
        .collect();
    format!("{list}\n")
}

fn object(all: &Diagnostics, diagnostic: &Diagnostic) -> Value {
    let related: Value = diagnostic
        .related
        .iter()
        .map(|related| {
            let mut object = place(all, Some(related.span));
            object["label"] = related.label.as_str().into();
            object
        })
        .collect();
    let mut object = place(all, diagnostic.span);
    object["topology"] = all.sources[0].name.as_str().into();
    object["message"] = diagnostic.message.as_str().into();
    object["hint"] = diagnostic.hint.as_deref().into();
    object["related"] = related;
    object
}

fn place(all: &Diagnostics, span: Option<Span>) -> Value {
    json!({
        "file": all.source_name(span),
        "line": span.map(|span| span.line),
        "column": span.map(|span| span.column),
        "start": span.map(|span| span.start),
        "end": span.map(|span| span.end),
    })
}

pub(super) fn github(diagnostics: &Diagnostics) -> String {
    let mut text = String::new();
    for diagnostic in &diagnostics.list {
        let _ = write!(text, "::error file={}", property(diagnostics.source_name(diagnostic.span)));
        if let Some(span) = diagnostic.span {
            let _ = write!(text, ",line={},col={}", span.line, span.column);
        }
        let _ = write!(text, "::{}", data(&diagnostic.message));
        if let Some(hint) = &diagnostic.hint {
            let _ = write!(text, "{}", data(&format!("\nhint: {hint}")));
        }
        for related in &diagnostic.related {
            let place = diagnostics.place(related.span);
            let _ = write!(text, "{}", data(&format!("\n{place}: {}", related.label)));
        }
        text.push('\n');
    }
    text
}

/// Escapes of a workflow command's message, as GitHub's own toolkit makes them.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// One diagnostic with its source, for miette.
#[derive(Debug)]
struct Shown<'a> {
    message: &'a str,
    hint: Option<&'a String>,
    severity: Severity,
    source: Option<NamedSource<String>>,
    labels: Vec<LabeledSpan>,
    /// Places in other sources than the diagnostic's own.
    elsewhere: Vec<Self>,
}

impl<'a> Shown<'a> {
    fn new(all: &'a Diagnostics, diagnostic: &'a Diagnostic) -> Self {
        let own_source = diagnostic.span.map(|span| span.source);
        let mut shown = Self {
            message: &diagnostic.message,
            hint: diagnostic.hint.as_ref(),
            severity: Severity::Error,
            source: own_source.map(|index| named(all, index)),
            labels: diagnostic.span.map(primary).into_iter().collect(),
            elsewhere: Vec::new(),
        };
        for related in &diagnostic.related {
            if Some(related.span.source) == own_source {
                let span = related.span;
                let label = Some(related.label.clone());
                shown.labels.push(LabeledSpan::new(label, span.start, span.end - span.start));
            } else {
                shown.elsewhere.push(Self {
                    message: &related.label,
                    hint: None,
                    severity: Severity::Advice,
                    source: Some(named(all, related.span.source)),
                    labels: vec![primary(related.span)],
                    elsewhere: Vec::new(),
                });
            }
        }
        shown
    }
}

fn named(all: &Diagnostics, index: usize) -> NamedSource<String> {
    let source = &all.sources[index];
    NamedSource::new(&source.name, source.text.clone())
}

/// The place that the excerpt's heading names.
fn primary(span: Span) -> LabeledSpan {
    LabeledSpan::new_primary_with_span(None, (span.start, span.end - span.start))
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message)
    }
}

impl std::error::Error for Shown<'_> {}

impl miette::Diagnostic for Shown<'_> {
    fn severity(&self) -> Option<Severity> {
        Some(self.severity)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let hint = self.hint?;
        Some(Box::new(hint))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn miette::Diagnostic> + 'a>> {
        let each = self.elsewhere.iter().map(|shown| shown as &dyn miette::Diagnostic);
        Some(Box::new(each))
    }
}
