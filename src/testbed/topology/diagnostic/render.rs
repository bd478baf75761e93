//! The three forms of diagnostics: for people, for programs, for GitHub.

use std::fmt::{self, Write as _};

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};

use super::{DIAGNOSTICS_MAX, Diagnostic, Diagnostics};

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

pub(super) fn json(diagnostics: &Diagnostics) -> String {
    let list: Vec<serde_json::Value> = diagnostics
        .list
        .iter()
        .map(|diagnostic| {
            serde_json::json!({
                "file": diagnostics.source_name(diagnostic),
                "line": diagnostic.span.map(|span| span.line),
                "column": diagnostic.span.map(|span| span.column),
                "start": diagnostic.span.map(|span| span.start),
                "end": diagnostic.span.map(|span| span.end),
                "message": diagnostic.message,
                "hint": diagnostic.hint,
            })
        })
        .collect();
    let mut text = serde_json::Value::Array(list).to_string();
    text.push('\n');
    text
}

pub(super) fn github(diagnostics: &Diagnostics) -> String {
    let mut text = String::new();
    for diagnostic in &diagnostics.list {
        let _ = write!(text, "::error file={}", property(diagnostics.source_name(diagnostic)));
        if let Some(span) = diagnostic.span {
            let _ = write!(text, ",line={},col={}", span.line, span.column);
        }
        let _ = write!(text, "::{}", data(&diagnostic.message));
        if let Some(hint) = &diagnostic.hint {
            let _ = write!(text, "{}", data(&format!("\nhint: {hint}")));
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
    diagnostic: &'a Diagnostic,
    source: Option<NamedSource<String>>,
}

impl<'a> Shown<'a> {
    fn new(diagnostics: &Diagnostics, diagnostic: &'a Diagnostic) -> Self {
        let source = diagnostic.span.map(|span| {
            let source = &diagnostics.sources[span.source];
            NamedSource::new(&source.name, source.text.clone())
        });
        Self { diagnostic, source }
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.diagnostic.message)
    }
}

impl std::error::Error for Shown<'_> {}

impl miette::Diagnostic for Shown<'_> {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let hint = self.diagnostic.hint.as_ref()?;
        Some(Box::new(hint))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.diagnostic.span?;
        let label = LabeledSpan::new(None, span.start, span.end - span.start);
        Some(Box::new(std::iter::once(label)))
    }
}
