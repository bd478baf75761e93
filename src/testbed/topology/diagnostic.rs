//! What is wrong with a topology: all of it, each with its place.

use std::fmt;

use super::source::{Source, Span};
use crate::telemetry::colour;

mod render;

/// More than this many are not shown: the first ones are the cause of the rest.
pub const DIAGNOSTICS_MAX: usize = 100;

/// More places of one mistake than this help nobody.
pub const RELATED_MAX: usize = 8;

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Where; nowhere when the file itself could not be read.
    pub span: Option<Span>,
    /// What is wrong, in one sentence.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Other places that have a part in it.
    pub related: Vec<Related>,
}

/// A place that has a part in a mistake that stands elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Related {
    /// Where.
    pub span: Span,
    /// What is there, such as `first given here`.
    pub label: String,
}

impl Diagnostic {
    pub(crate) fn new(span: Span, message: impl Into<String>) -> Self {
        Self { span: Some(span), ..Self::nowhere(message) }
    }

    /// A mistake that no one place stands for.
    pub(crate) fn nowhere(message: impl Into<String>) -> Self {
        Self { span: None, message: message.into(), hint: None, related: Vec::new() }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Adds a place that has a part in it. Ones beyond [`RELATED_MAX`] and the
    /// mistake's own place are left out.
    pub(crate) fn related(mut self, span: Span, label: impl Into<String>) -> Self {
        let related = Related { span, label: label.into() };
        let known = self.span == Some(span) || self.related.contains(&related);
        if !known && self.related.len() < RELATED_MAX {
            self.related.push(related);
        }
        self
    }
}

/// Everything that is wrong, in the order of the file. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostics {
    sources: Vec<Source>,
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// In the order of their places, each once.
    pub(crate) fn new(sources: Vec<Source>, mut list: Vec<Diagnostic>) -> Self {
        assert!(!list.is_empty(), "an error without a diagnostic");
        list.sort_by(|left, right| (left.span, &left.message).cmp(&(right.span, &right.message)));
        list.dedup_by(|left, right| left.span == right.span && left.message == right.message);
        Self { sources, list }
    }

    /// A file that could not be read at all.
    pub(crate) fn unreadable(name: &str, message: String, hint: &str) -> Self {
        let source = Source { name: name.to_owned(), text: String::new() };
        let diagnostic = Diagnostic::nowhere(message).hint(hint);
        Self::new(vec![source], vec![diagnostic])
    }

    /// Each of them, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// Excerpts of the source with each place marked, for a person who reads
    /// standard error: drawn in colour on a terminal unless `NO_COLOR` is set,
    /// plain ASCII otherwise.
    pub fn human(&self) -> String {
        self.excerpts(colour::is_wanted(&std::io::stderr()))
    }

    /// The same, drawn with Unicode and colour or plain, as told.
    pub fn excerpts(&self, graphical: bool) -> String {
        render::excerpts(self, graphical)
    }

    /// One JSON array of objects, for programs.
    pub fn json(&self) -> String {
        render::json(&[self])
    }

    /// One JSON array for several files together. Each object has its place as
    /// `file`, `line`, `column` (both 1-based, in characters), `start` and `end`
    /// (bytes), and the file that was checked as `topology`: a mistake in an
    /// argument of `--set` has that as its `file`.
    pub fn json_of(all: &[Self]) -> String {
        render::json(&all.iter().collect::<Vec<_>>())
    }

    /// Workflow commands that annotate the lines of a change on GitHub.
    pub fn github(&self) -> String {
        render::github(self)
    }

    /// The name of the file, or `--set`.
    fn source_name(&self, span: Option<Span>) -> &str {
        &self.sources[span.map_or(0, |span| span.source)].name
    }

    /// `file:line:column` of a place.
    fn place(&self, span: Span) -> String {
        format!("{}:{}:{}", self.source_name(Some(span)), span.line, span.column)
    }
}

/// One line for each: `file:line:column: message (hint); file:line:column: label`.
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.list.iter().take(DIAGNOSTICS_MAX).enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            match diagnostic.span {
                Some(span) => write!(f, "{}: ", self.place(span))?,
                None => write!(f, "{}: ", self.source_name(None))?,
            }
            f.write_str(&diagnostic.message)?;
            if let Some(hint) = &diagnostic.hint {
                write!(f, " ({hint})")?;
            }
            for related in &diagnostic.related {
                write!(f, "; {}: {}", self.place(related.span), related.label)?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}
