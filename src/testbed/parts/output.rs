//! What a part says, as it comes, and how several are told apart. Pure.

/// Which of a command's streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    /// What it is asked for.
    Stdout,
    /// What it complains of.
    Stderr,
}

/// Some bytes of one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// Whose.
    pub(crate) part: String,
    /// Of which stream.
    pub(crate) stream: Stream,
    /// As they came: a line may be in several.
    pub(crate) bytes: Vec<u8>,
}

/// A line without an end is shown in pieces of this size.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// Bytes of one stream until their line is complete.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    begun: Vec<u8>,
}

impl Lines {
    /// The lines that these bytes complete, without their ends.
    pub(crate) fn add(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut complete = Vec::new();
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.begun.extend_from_slice(piece);
            if self.begun.last() == Some(&b'\n') {
                self.begun.pop();
                complete.push(std::mem::take(&mut self.begun));
            } else if self.begun.len() >= LINE_BYTES_MAX {
                complete.push(std::mem::take(&mut self.begun));
            }
        }
        complete
    }

    /// What is left without an end.
    pub(crate) fn rest(&mut self) -> Option<Vec<u8>> {
        Some(std::mem::take(&mut self.begun)).filter(|rest| !rest.is_empty())
    }
}

#[cfg(test)]
mod tests;
