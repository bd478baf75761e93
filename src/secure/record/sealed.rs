//! Where sealed records are put.

use std::ops::{Deref, DerefMut};

/// Sealed records, one after the other, in memory that is used again. A cipher writes
/// over all of a record's room, so that is not cleared for it: without `unsafe` room must
/// have been cleared once, and a `Vec` that is emptied would have it cleared anew each
/// time (a tenth of what it takes to send with AES).
#[derive(Debug, Default)]
pub struct Sealed {
    /// What is behind `filled` is left of records before.
    bytes: Vec<u8>,
    filled: usize,
}

impl Sealed {
    /// Room for so many bytes without another allocation.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), filled: 0 }
    }

    /// Takes all records out.
    pub const fn clear(&mut self) {
        self.filled = 0;
    }

    /// Room for a record of so many bytes behind the others, to be written over whole.
    pub(super) fn room(&mut self, bytes: usize) -> &mut [u8] {
        let start = self.filled;
        self.filled += bytes;
        if self.bytes.len() < self.filled {
            self.bytes.resize(self.filled, 0);
        }
        &mut self.bytes[start..self.filled]
    }
}

impl Deref for Sealed {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }
}

impl DerefMut for Sealed {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.filled]
    }
}
