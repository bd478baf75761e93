//! A FIFO of bytes with due times. Pure: time is an argument.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// What a queued chunk is charged beyond its bytes, so that one-byte chunks
/// cannot outgrow the bound: the chunk's own entry and its share of a buffer.
const CHUNK_OVERHEAD_BYTES: usize = 64;

/// How the sender ended its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum End {
    /// It closed its side; the other direction lives on.
    Closed,
    /// The connection broke.
    Reset,
}

/// Chunks in the order they came, none of them due before its predecessor.
///
/// Due times are fixed when a chunk is queued: a later change of latency touches
/// only later chunks, so it can neither reorder nor flush.
#[derive(Debug, Default)]
pub(in super::super) struct DelayQueue {
    chunks: VecDeque<Chunk>,
    end: Option<(u64, End)>,
    bytes: usize,
    last_due_ns: u64,
}

#[derive(Debug)]
struct Chunk {
    bytes: Bytes,
    due_ns: u64,
}

impl DelayQueue {
    /// Queues `bytes` until `due_ns`, or until its predecessor's due time if that
    /// is later.
    pub(in super::super) fn push(&mut self, bytes: Bytes, due_ns: u64) {
        debug_assert!(self.end.is_none(), "pushed after the end");
        if bytes.is_empty() {
            return;
        }
        self.last_due_ns = self.last_due_ns.max(due_ns);
        self.bytes += bytes.len();
        self.chunks.push_back(Chunk { bytes, due_ns: self.last_due_ns });
    }

    /// Queues the end of the stream behind all chunks.
    pub(in super::super) fn close(&mut self, end: End, due_ns: u64) {
        self.last_due_ns = self.last_due_ns.max(due_ns);
        self.end = Some((self.last_due_ns, end));
    }

    /// Bytes queued.
    pub(in super::super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether one more chunk may be queued. The bound may be exceeded by that
    /// chunk.
    pub(in super::super) fn has_room(&self, bytes_max: usize) -> bool {
        self.bytes + self.chunks.len() * CHUNK_OVERHEAD_BYTES < bytes_max
    }

    /// When something can next be taken out; in the past if it is due already.
    pub(in super::super) fn next_due_ns(&self) -> Option<u64> {
        let chunk = self.chunks.front().map(|chunk| chunk.due_ns);
        chunk.or_else(|| self.end.map(|(due_ns, _)| due_ns))
    }

    /// Fills `slices` with what is due, oldest first. Returns how many are filled
    /// and their bytes.
    pub(in super::super) fn due<'a>(
        &'a self,
        now_ns: u64,
        slices: &mut [IoSlice<'a>],
    ) -> (usize, usize) {
        let due = self.chunks.iter().take_while(|chunk| chunk.due_ns <= now_ns);
        let (mut count, mut bytes) = (0, 0);
        for (slot, chunk) in slices.iter_mut().zip(due) {
            *slot = IoSlice::new(&chunk.bytes);
            bytes += chunk.bytes.len();
            count += 1;
        }
        (count, bytes)
    }

    /// The end, once it is due and nothing is queued before it.
    pub(in super::super) fn due_end(&self, now_ns: u64) -> Option<End> {
        let (due_ns, end) = self.end?;
        (self.chunks.is_empty() && due_ns <= now_ns).then_some(end)
    }

    /// Takes `bytes` out at the front, at most what [`Self::due`] gave.
    pub(in super::super) fn advance(&mut self, mut bytes: usize) {
        debug_assert!(bytes <= self.bytes, "took out more than was queued");
        while bytes > 0 {
            let Some(chunk) = self.chunks.front_mut() else { return };
            let taken = bytes.min(chunk.bytes.len());
            chunk.bytes.advance(taken);
            self.bytes -= taken;
            bytes -= taken;
            if chunk.bytes.is_empty() {
                self.chunks.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests;
