//! Memory for answers: one budget for a daemon, a quarter of it for each peer.
//!
//! Whoever asks faster than it reads has its answers held here, by HTTP/2 and by the
//! streams in front of it. So what an answer takes is taken before it is read from disk,
//! and given back when the last of its bytes has left, or its call was given up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Duration, timeout};
use tonic::Status;

/// What is counted: no answer is smaller for its bookkeeping, its thread and its disk.
const UNIT_BYTES: u32 = 64 << 10;

/// All answers of a daemon: 1 GiB.
const DAEMON_UNITS: usize = (1 << 30) / UNIT_BYTES as usize;

/// Those of one peer: nine pushes in the largest parts, 36 in parts of 512 KiB over
/// lanes that nobody reads. Three others have as much.
const PEER_UNITS: usize = DAEMON_UNITS / 4;

/// Listings of one peer at a time; the largest has about 100 MiB.
const LISTINGS_MAX: usize = 4;

/// How long an answer may wait for others to be read. Below the silence that a reader
/// suffers within a stream (`Deadlines::stall_ms`), so that it hears why.
const ANSWER_WAIT: Duration = Duration::from_secs(20);

/// The same for a listing, whose call has not been answered at all until its turn comes
/// (`Deadlines::unary_ms`).
const LISTING_WAIT: Duration = Duration::from_secs(8);

/// The budget of a daemon. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    all: Arc<Semaphore>,
    peers: Arc<Mutex<HashMap<String, Weak<Peer>>>>,
}

/// What one peer's calls take from.
#[derive(Clone, Debug)]
pub(super) struct Purse {
    all: Arc<Semaphore>,
    peer: Arc<Peer>,
}

#[derive(Debug)]
struct Peer {
    answers: Arc<Semaphore>,
    listings: Arc<Semaphore>,
}

/// Memory that is taken, or a listing's turn, as long as this lives. With it lives what
/// its peer has taken so far: a peer that is forgotten would begin anew.
#[derive(Debug)]
#[expect(dead_code, reason = "held, not read")]
pub(super) struct Held {
    own: OwnedSemaphorePermit,
    all: Option<OwnedSemaphorePermit>,
    peer: Arc<Peer>,
}

impl Default for Budget {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(DAEMON_UNITS)), peers: Arc::default() }
    }
}

impl Budget {
    /// What calls of this peer take from.
    pub(super) fn of(&self, peer: &str) -> Purse {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let known = peers.get(peer).and_then(Weak::upgrade);
        let peer = known.unwrap_or_else(|| {
            let fresh = Arc::new(Peer {
                answers: Arc::new(Semaphore::new(PEER_UNITS)),
                listings: Arc::new(Semaphore::new(LISTINGS_MAX)),
            });
            peers.retain(|_, peer| peer.strong_count() > 0);
            peers.insert(peer.to_owned(), Arc::downgrade(&fresh));
            fresh
        });
        Purse { all: Arc::clone(&self.all), peer }
    }
}

impl Purse {
    /// Takes what an answer of so many bytes needs; in the order in which it is asked.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED when there is none for [`ANSWER_WAIT`]. Cancel-safe.
    pub(super) async fn take(&self, bytes: u32) -> Result<Held, Status> {
        let units = bytes.div_ceil(UNIT_BYTES).max(1);
        let taken = async {
            let own = Arc::clone(&self.peer.answers).acquire_many_owned(units).await;
            let all = Arc::clone(&self.all).acquire_many_owned(units).await;
            self.held(own.expect(OPEN), Some(all.expect(OPEN)))
        };
        timeout(ANSWER_WAIT, taken).await.map_err(|_| {
            Status::resource_exhausted(
                "the answers that nobody reads have taken all the memory for answers; read them, \
                 or ask for less at a time",
            )
        })
    }

    /// A listing's turn.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED when it does not come for [`LISTING_WAIT`]. Cancel-safe.
    pub(super) async fn list(&self) -> Result<Held, Status> {
        let turn = Arc::clone(&self.peer.listings).acquire_owned();
        let turn = timeout(LISTING_WAIT, turn).await.map_err(|_| {
            Status::resource_exhausted(format!(
                "{LISTINGS_MAX} listings are under way, and nobody reads them"
            ))
        })?;
        Ok(self.held(turn.expect(OPEN), None))
    }

    fn held(&self, own: OwnedSemaphorePermit, all: Option<OwnedSemaphorePermit>) -> Held {
        Held { own, all, peer: Arc::clone(&self.peer) }
    }
}

const OPEN: &str = "nobody closes these semaphores";

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
