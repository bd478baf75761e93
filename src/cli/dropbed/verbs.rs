//! Verbs that work on a live topology of another process.

use std::io::{self, Write as _};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::commands::print;
use super::signals::Signals;
use crate::cli::exit::Exit;
use crate::telemetry::colour;
use crate::testbed::live::find::Which;
use crate::testbed::parts::{Chunk, Lines, Parts, Stream, VerbError};

pub(super) mod cp;
pub(super) mod events;
pub(super) mod exec;
pub(super) mod inside;
pub(super) mod inspect;
pub(super) mod logs;
pub(super) mod ls;
pub(super) mod peer;

/// Chunks on their way to the terminal.
const CHUNKS_MAX: usize = 64;

/// Says why, and what the command ends with.
fn ended(result: Result<Exit, VerbError>) -> Exit {
    result.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        error.exit()
    })
}

/// Resolves at the first SIGINT or SIGTERM.
async fn interrupted() {
    Signals::take_over().interrupted().await;
}

/// The topology that is meant, with a warning when this disturbs it.
async fn disturbed(which: &Which) -> Result<Parts, VerbError> {
    let parts = Parts::open(which).await?;
    if let Some(warning) = parts.live().disturbs() {
        eprintln!("warning: {warning}");
    }
    Ok(parts)
}

/// Writes what parts say: as it comes from one, in whole lines with a name before
/// each from several.
struct Printer {
    /// By part, in the order in which they were named; empty for one alone.
    lines: Vec<(String, [Lines; 2])>,
    width: usize,
    is_coloured: bool,
    /// Cancelled when nobody reads standard output any more (`| head`).
    unread: CancellationToken,
}

impl Printer {
    fn new<'a>(parts: impl Iterator<Item = &'a str>) -> Self {
        let lines: Vec<_> = parts.map(|name| (name.to_owned(), <[Lines; 2]>::default())).collect();
        let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        let is_coloured = colour::is_wanted(&io::stdout());
        let lines = if lines.len() > 1 { lines } else { Vec::new() };
        Self { lines, width, is_coloured, unread: CancellationToken::new() }
    }

    /// Until all senders are gone.
    async fn print(mut self, mut chunks: mpsc::Receiver<Chunk>) {
        while let Some(chunk) = chunks.recv().await {
            self.chunk(&chunk);
        }
        for index in 0..self.lines.len() {
            for stream in [Stream::Stdout, Stream::Stderr] {
                let rest = self.lines[index].1[usize::from(stream == Stream::Stderr)].rest();
                rest.into_iter().for_each(|line| self.line(index, stream, &line));
            }
        }
    }

    fn chunk(&mut self, chunk: &Chunk) {
        let Some(index) = self.lines.iter().position(|(name, _)| *name == chunk.part) else {
            return self.write(chunk.stream, &chunk.bytes);
        };
        let stream = usize::from(chunk.stream == Stream::Stderr);
        for line in self.lines[index].1[stream].add(&chunk.bytes) {
            self.line(index, chunk.stream, &line);
        }
    }

    fn line(&self, index: usize, stream: Stream, line: &[u8]) {
        /// Cyan, yellow, green, magenta, blue: red is for errors.
        const COLOURS: [u8; 5] = [36, 33, 32, 35, 34];
        let (name, _) = &self.lines[index];
        let mut text = if self.is_coloured {
            let code = COLOURS[index % COLOURS.len()];
            format!("\u{1b}[{code}m{name:width$} | \u{1b}[0m", width = self.width).into_bytes()
        } else {
            format!("{name:width$} | ", width = self.width).into_bytes()
        };
        text.extend_from_slice(line);
        text.push(b'\n');
        self.write(stream, &text);
    }

    /// A reader that went away is no fault of ours, and the end of what only tells.
    fn write(&self, stream: Stream, bytes: &[u8]) {
        match stream {
            Stream::Stdout if tell(bytes).is_err() => self.unread.cancel(),
            Stream::Stdout => {}
            Stream::Stderr => drop(io::stderr().lock().write_all(bytes)),
        }
    }
}

/// To standard output, at once.
fn tell(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush())
}

fn print_line(line: &str) {
    print(&format!("{line}\n"));
}
