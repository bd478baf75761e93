//! Memory for answers: one budget for a daemon, a quarter of it for each peer.
//!
//! Whoever asks faster than it reads has its answers held here, by HTTP/2 and by the
//! streams in front of it. So what an answer takes is taken before it is read from disk,
//! and given back when the last of its bytes has left, or its call was given up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Duration, timeout};
use tonic::Status;

/// What is counted: no answer is smaller for its bookkeeping, its thread and its disk.
const UNIT_BYTES: u32 = 64 << 10;

/// All answers of a daemon, but for what each peer has for itself: 1 GiB in all.
const DAEMON_UNITS: usize = (1 << 30) / UNIT_BYTES as usize;

/// What one peer may take of it: sixteen streams of reads, or twelve pushes in the largest
/// parts, of which each holds up to five.
const PEER_UNITS: usize = DAEMON_UNITS / 4;

/// What a peer has besides, 16 MiB, so that others who do not read cannot take all: one
/// stream of reads, or six pushes in parts of 512 KiB.
const FLOOR_UNITS: usize = (16 << 20) / UNIT_BYTES as usize;

/// What the answers of one stream of reads may hold: 32 of the default size, and four of
/// the largest. It is what waits here, not what is on its way: it bounds no throughput.
const STREAM_UNITS: usize = (16 << 20) / UNIT_BYTES as usize;

/// Listings of one peer at a time; the largest has about 100 MiB.
const LISTINGS_MAX: usize = 4;

/// How long an answer may wait for room. Below the silence that a reader suffers within a
/// stream (`Deadlines::stall_ms`), so that it hears why.
const ANSWER_WAIT: Duration = Duration::from_secs(20);

/// The same for a listing, whose call has not been answered at all until its turn comes
/// (`Deadlines::unary_ms`).
const LISTING_WAIT: Duration = Duration::from_secs(8);

/// The budget of a daemon. Clones share it. A peer that is forgotten keeps its entry, some
/// hundred bytes: names come from the administrator alone.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    all: Arc<Semaphore>,
    peers: Arc<Mutex<HashMap<String, Arc<Peer>>>>,
}

/// What one peer's calls take from.
#[derive(Clone, Debug)]
pub(super) struct Purse {
    all: Arc<Semaphore>,
    peer: Arc<Peer>,
    /// Of a stream whose answers may overtake each other: those that must come in order
    /// would wait for ever behind others that hold it.
    stream: Option<Arc<Semaphore>>,
}

#[derive(Debug)]
struct Peer {
    floor: Arc<Semaphore>,
    answers: Arc<Semaphore>,
    listings: Arc<Semaphore>,
}

/// Memory that is taken, or a listing's turn, as long as this lives.
#[derive(Debug)]
pub(super) struct Held {
    _permits: [Option<OwnedSemaphorePermit>; 3],
}

impl Default for Budget {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(DAEMON_UNITS)), peers: Arc::default() }
    }
}

impl Default for Peer {
    fn default() -> Self {
        Self {
            floor: Arc::new(Semaphore::new(FLOOR_UNITS)),
            answers: Arc::new(Semaphore::new(PEER_UNITS)),
            listings: Arc::new(Semaphore::new(LISTINGS_MAX)),
        }
    }
}

impl Budget {
    /// What calls of this peer take from.
    pub(super) fn of(&self, peer: &str) -> Purse {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let peer = Arc::clone(peers.entry(peer.to_owned()).or_default());
        Purse { all: Arc::clone(&self.all), peer, stream: None }
    }
}

impl Purse {
    /// The same for one stream of reads, bounded by itself.
    pub(super) fn of_stream(self) -> Self {
        Self { stream: Some(Arc::new(Semaphore::new(STREAM_UNITS))), ..self }
    }

    /// Takes what an answer of so many bytes needs; in the order in which it is asked.
    /// An answer that waits for those before it in its stream holds nothing, and waits as
    /// long as they do.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED when there is no room for [`ANSWER_WAIT`]. Cancel-safe.
    pub(super) async fn take(&self, bytes: u32) -> Result<Held, Status> {
        let units = bytes.div_ceil(UNIT_BYTES).max(1);
        let stream = match &self.stream {
            Some(stream) => Some(of(stream, units).await),
            None => None,
        };
        let [one, other] = timeout(ANSWER_WAIT, self.room(units)).await.map_err(|_| {
            Status::resource_exhausted(
                "the answers that nobody reads have taken all the memory for answers; read them, \
                 or ask for less at a time",
            )
        })?;
        Ok(Held { _permits: [stream, one, other] })
    }

    /// Of the peer's own, or of what is everybody's.
    async fn room(&self, units: u32) -> [Option<OwnedSemaphorePermit>; 2] {
        let shared = async {
            let own = of(&self.peer.answers, units).await;
            (own, of(&self.all, units).await)
        };
        tokio::select! {
            biased;
            floor = of(&self.peer.floor, units) => [Some(floor), None],
            (own, all) = shared => [Some(own), Some(all)],
        }
    }

    /// A listing's turn.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED when it does not come for [`LISTING_WAIT`]. Cancel-safe.
    pub(super) async fn list(&self) -> Result<Held, Status> {
        let turn = timeout(LISTING_WAIT, of(&self.peer.listings, 1)).await.map_err(|_| {
            Status::resource_exhausted(format!(
                "{LISTINGS_MAX} listings are under way, and nobody reads them"
            ))
        })?;
        Ok(Held { _permits: [Some(turn), None, None] })
    }
}

async fn of(budget: &Arc<Semaphore>, units: u32) -> OwnedSemaphorePermit {
    let permits = Arc::clone(budget).acquire_many_owned(units).await;
    permits.expect("nobody closes these semaphores")
}

impl Held {
    /// Bytes that hold it until the last of them is dropped.
    pub(super) fn with(self, data: Bytes) -> Bytes {
        Bytes::from_owner(Holding { data, _held: self })
    }
}

struct Holding {
    data: Bytes,
    _held: Held,
}

impl AsRef<[u8]> for Holding {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

#[cfg(test)]
mod tests;
