//! A FIFO of bytes with due times. Pure: time is an argument.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

use super::acting::Cut;

/// What a queued chunk is charged beyond its bytes, so that one-byte chunks
/// cannot outgrow the bound: the chunk's own entry and its share of a buffer.
const CHUNK_OVERHEAD_BYTES: usize = 64;

/// How a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The sender closed its side; the other direction lives on.
    Closed,
    /// The sender's connection broke.
    Reset,
    /// A toxic ends both directions here.
    Cut(Cut),
}

/// Chunks in the order they came, none of them due before its predecessor.
///
/// Due times are fixed when a chunk is queued: a later change of latency touches
/// only later chunks, so it can neither reorder nor flush.
#[derive(Debug, Default)]
pub(super) struct DelayQueue {
    chunks: VecDeque<Chunk>,
    end: Option<(u64, End)>,
    bytes: usize,
    last_due_ns: u64,
}

#[derive(Debug)]
struct Chunk {
    bytes: Bytes,
    due_ns: u64,
    is_slice: bool,
}

impl DelayQueue {
    /// Queues `bytes` until `due_ns`, or until its predecessor's due time if that
    /// is later. A slice is written by itself.
    pub(super) fn push(&mut self, bytes: Bytes, due_ns: u64, is_slice: bool) {
        debug_assert!(self.end.is_none(), "pushed after the end");
        if bytes.is_empty() {
            return;
        }
        self.last_due_ns = self.last_due_ns.max(due_ns);
        self.bytes += bytes.len();
        self.chunks.push_back(Chunk { bytes, due_ns: self.last_due_ns, is_slice });
    }

    /// Queues the end of the stream behind all chunks.
    pub(super) fn close(&mut self, end: End, due_ns: u64) {
        self.last_due_ns = self.last_due_ns.max(due_ns);
        self.end = Some((self.last_due_ns, end));
    }

    /// Drops everything, the end too. Returns how many bytes there were.
    pub(super) fn clear(&mut self) -> usize {
        self.chunks.clear();
        self.end = None;
        std::mem::take(&mut self.bytes)
    }

    /// Whether nothing is queued, not even the end.
    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty() && self.end.is_none()
    }

    /// Bytes queued.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Memory held, about.
    pub(super) fn held_bytes(&self) -> usize {
        self.bytes + self.chunks.len() * CHUNK_OVERHEAD_BYTES
    }

    /// Whether one more chunk may be queued. The bound may be exceeded by that
    /// chunk.
    pub(super) fn has_room(&self, bytes_max: usize) -> bool {
        self.held_bytes() < bytes_max
    }

    /// Gives back memory for more than `chunks`.
    pub(super) fn shrink_to(&mut self, chunks: usize) {
        self.chunks.shrink_to(chunks);
    }

    /// When something can next be taken out; in the past if it is due already.
    pub(super) fn next_due_ns(&self) -> Option<u64> {
        let chunk = self.chunks.front().map(|chunk| chunk.due_ns);
        chunk.or_else(|| self.end.map(|(due_ns, _)| due_ns))
    }

    /// Fills `slices` with what is due, oldest first. Returns how many are filled
    /// and their bytes.
    pub(super) fn due<'a>(&'a self, now_ns: u64, slices: &mut [IoSlice<'a>]) -> (usize, usize) {
        let due = self.chunks.iter().take_while(|chunk| chunk.due_ns <= now_ns);
        let (mut count, mut bytes) = (0, 0);
        for (slot, chunk) in slices.iter_mut().zip(due) {
            if chunk.is_slice && count > 0 {
                break;
            }
            *slot = IoSlice::new(&chunk.bytes);
            bytes += chunk.bytes.len();
            count += 1;
            if chunk.is_slice {
                break;
            }
        }
        (count, bytes)
    }

    /// The end, once it is due and nothing is queued before it.
    pub(super) fn due_end(&self, now_ns: u64) -> Option<End> {
        let (due_ns, end) = self.end?;
        (self.chunks.is_empty() && due_ns <= now_ns).then_some(end)
    }

    /// Takes `bytes` out at the front, at most what [`Self::due`] gave.
    pub(super) fn advance(&mut self, mut bytes: usize) {
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
