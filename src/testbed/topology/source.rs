//! Where a value was written: in the file, or in an argument.

/// A text that values come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The file's path as given, or `--set`.
    pub name: String,
    /// All of it.
    pub text: String,
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
