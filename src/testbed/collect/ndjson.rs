//! Spans on disk, one JSON object per line, so that a run can be told again.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use super::record::SpanRecord;

/// Appends `spans` to the file, which is made when it is not there. Blocks on
/// disk.
///
/// # Errors
/// The file cannot be opened or written.
pub fn append_ndjson(path: &Path, spans: &[SpanRecord]) -> Result<(), NdjsonError> {
    let write = || -> std::io::Result<()> {
        let mut file = BufWriter::new(OpenOptions::new().create(true).append(true).open(path)?);
        for span in spans {
            serde_json::to_writer(&mut file, span)?;
            file.write_all(b"\n")?;
        }
        file.flush()
    };
    write().map_err(|source| NdjsonError::Write { path: path.to_owned(), source })
}

/// Reads what [`append_ndjson`] wrote. Blocks on disk.
///
/// # Errors
/// The file cannot be read, or a line is not a span.
pub fn read_ndjson(path: &Path) -> Result<Vec<SpanRecord>, NdjsonError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| NdjsonError::Read { path: path.to_owned(), source })?;
    let parse = |(index, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|source| NdjsonError::Line {
            path: path.to_owned(),
            line: index + 1,
            source,
        })
    };
    text.lines().enumerate().map(parse).collect()
}

/// Why spans could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum NdjsonError {
    /// The file cannot be opened or written.
    #[error("cannot write spans to {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// The file cannot be read.
    #[error("cannot read spans from {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// A line is not a span; the file was cut or edited.
    #[error("{}:{line}: not a span: {source}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// 1-based.
        line: usize,
        /// The parser's words.
        source: serde_json::Error,
    },
}
