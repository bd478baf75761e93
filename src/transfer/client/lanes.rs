//! Further connections of a session, for pushes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::{Client, over};
use crate::secure::SessionHandle;
use crate::transfer::limits;
use crate::transfer::plain::Plain;
use crate::transfer::push::{Expected, Stripe};
use crate::transfer::{FetchError, Version};

/// A further connection.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    connection: Connection,
    handle: SessionHandle,
}

/// What streams of a push are asked over.
#[derive(Clone, Debug)]
pub(in crate::transfer) struct Connection {
    pub(in crate::transfer) channel: Plain,
    /// A push has given it up. Shared with whoever chooses connections for the next one.
    given_up: Arc<AtomicBool>,
}

impl Connection {
    fn new(channel: Plain) -> Self {
        Self { channel, given_up: Arc::default() }
    }

    /// It failed a push: no other one is to try it.
    pub(in crate::transfer) fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }

    fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Relaxed)
    }
}

impl Lane {
    fn is_up(&self) -> bool {
        !self.handle.is_closed() && !self.connection.is_given_up()
    }
}

impl Client {
    /// Speaks HTTP/2 over `io`, a further connection of the session, as long as
    /// `handle` says that it is up. Pushes use it from its first fold on, so that
    /// this change of keys is in none of them.
    ///
    /// # Errors
    /// As [`Client::over`], and when the fold is not complete in time.
    pub async fn add_lane<IO>(&self, io: IO, handle: SessionHandle) -> Result<(), FetchError>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let endpoint = limits::lane_endpoint();
        let channel = over(endpoint, io, &self.peer, self.deadlines.unary_ms).await?;
        let deadline = Duration::from_millis(self.deadlines.unary_ms);
        let folded = async {
            tokio::select! {
                () = handle.folds_beyond(0) => true,
                () = handle.closed() => false,
            }
        };
        if timeout(deadline, folded).await != Ok(true) {
            let reason = "a lane ended before its first fold, or was too slow with it".to_owned();
            return Err(FetchError::Unreachable { peer: self.peer.to_string(), reason });
        }
        self.lanes().push(Lane { connection: Connection::new(channel), handle });
        Ok(())
    }

    /// Forgets lanes that have ended, or failed a push. Returns the connections that are
    /// left, the first one included.
    pub fn sweep_lanes(&self) -> usize {
        let mut lanes = self.lanes();
        lanes.retain(Lane::is_up);
        1 + lanes.len()
    }

    /// The further connections, also those that have ended since they were last
    /// [swept](Self::sweep_lanes).
    pub fn lane_handles(&self) -> Vec<SessionHandle> {
        self.lanes().iter().map(|lane| lane.handle.clone()).collect()
    }

    /// Up to so many connections that are up, the first one always.
    pub(super) fn connections(&self, lanes_max: usize) -> Vec<Connection> {
        let lanes = self.lanes();
        let up = lanes.iter().filter(|lane| lane.is_up());
        let further = up.map(|lane| lane.connection.clone()).take(lanes_max.saturating_sub(1));
        std::iter::once(Connection::new(self.channel.clone())).chain(further).collect()
    }

    fn lanes(&self) -> MutexGuard<'_, Vec<Lane>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `start_bytes..end_bytes` of a file in stripes, at most so many, each of two parts at
/// least: for less, another stream costs more than it brings.
pub(super) fn stripes(
    version: Version,
    start_bytes: u64,
    end_bytes: u64,
    part_bytes: u32,
    count_max: usize,
) -> Vec<Expected> {
    let part = u64::from(part_bytes.max(1));
    let worth = end_bytes.saturating_sub(start_bytes) / (2 * part);
    let count = worth.min(count_max as u64);
    if count < 2 {
        let length_bytes = Some(end_bytes.saturating_sub(start_bytes));
        return vec![Expected::new(Some(version), start_bytes, length_bytes, Some(part_bytes))];
    }
    let stripe = Stripe { part_bytes, step_bytes: count * part };
    (0..count)
        .map(|index| Expected::striped(version, start_bytes + index * part, end_bytes, stripe))
        .collect()
}

#[cfg(test)]
mod tests;
