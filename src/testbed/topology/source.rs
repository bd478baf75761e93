//! Where a value was written: in the file, or in an argument.

use std::io::Read as _;
use std::path::Path;

use super::diagnostic::{Diagnostic, Diagnostics};
use super::tree::{self, FILE_BYTES_MAX};

/// A text that values come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The file's path as given, or `--set`.
    pub name: String,
    /// All of it.
    pub text: String,
}

/// A value and where it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placed<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

/// A place in one source. Orders by source, then position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// Index of the source; 0 is the file.
    pub source: usize,
    /// First byte.
    pub start: usize,
    /// One past the last byte; equal to `start` where something is missing.
    pub end: usize,
    /// 1-based.
    pub line: usize,
    /// 1-based, in characters.
    pub column: usize,
}

impl Span {
    /// The very beginning of a source.
    pub(crate) const fn beginning(source: usize) -> Self {
        Self { source, start: 0, end: 0, line: 1, column: 1 }
    }
}

/// The text of a topology file.
///
/// # Errors
///
/// The file cannot be read, is longer than a topology may be, or is not UTF-8.
pub(crate) fn read(path: &Path) -> Result<Source, Diagnostics> {
    let name = path.display().to_string();
    // One byte more than may be there tells that it is too long.
    let limit = FILE_BYTES_MAX as u64 + 1;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path);
    let read = file.and_then(|file| file.take(limit).read_to_end(&mut bytes));
    if let Err(error) = read {
        let message = format!("cannot read the topology {name}: {error}");
        let hint = "give the path of a topology file (YAML)";
        return Err(Diagnostics::unreadable(&name, message, hint));
    }
    let refused =
        |text, diagnostic| Diagnostics::new(vec![Source { name, text }], vec![diagnostic]);
    if bytes.len() > FILE_BYTES_MAX {
        return Err(refused(String::new(), tree::too_long(0)));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Source { name: path.display().to_string(), text }),
        Err(error) => {
            let good = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(&error.as_bytes()[..good]).into_owned();
            let diagnostic = not_utf8(&text);
            Err(refused(text, diagnostic))
        }
    }
}

/// `text` is all that could be read.
fn not_utf8(text: &str) -> Diagnostic {
    let line = text.rsplit('\n').next().unwrap_or_default();
    let span = Span {
        source: 0,
        start: text.len(),
        end: text.len(),
        line: text.matches('\n').count() + 1,
        column: line.chars().count() + 1,
    };
    Diagnostic::new(span, "from here on this is not UTF-8, which topologies are written in")
        .hint("save the file as UTF-8")
}
