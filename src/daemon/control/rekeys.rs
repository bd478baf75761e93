//! Changes of key at byte positions of a transfer.

use tonic::Status;

use crate::secure::SessionHandle;

/// Most positions in one call; a rekey takes a round trip, so more would merge.
const POSITIONS_MAX: usize = 1024;

/// Positions that are still ahead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Positions(Vec<u64>);

impl Positions {
    /// Positions in any order.
    pub(super) fn new(mut at_bytes: Vec<u64>) -> Result<Self, Status> {
        if at_bytes.len() > POSITIONS_MAX {
            let reason = format!("at most {POSITIONS_MAX} rekeys in one transfer");
            return Err(Status::invalid_argument(reason));
        }
        at_bytes.sort_unstable_by(|a, b| b.cmp(a));
        Ok(Self(at_bytes))
    }

    /// All of them, for the process that reads.
    pub(super) fn iter(&self) -> impl Iterator<Item = u64> {
        self.0.iter().copied()
    }

    /// Whether one was passed, now that `bytes` have arrived; each counts once,
    /// several at once are one.
    pub(super) fn passed(&mut self, bytes: u64) -> bool {
        let before = self.0.len();
        while self.0.last().is_some_and(|&at| at <= bytes) {
            self.0.pop();
        }
        self.0.len() < before
    }

    /// Asks these connections of a session for new keys when a position was passed. Does not wait.
    pub(super) fn rekey(&mut self, connections: &[SessionHandle], bytes: u64) {
        if self.passed(bytes) {
            connections.iter().for_each(SessionHandle::request_rekey);
        }
    }
}

#[cfg(test)]
mod tests;
