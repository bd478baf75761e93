//! What the rest of the daemon sees of a live stream: who is at the other end,
//! what it has carried, and the wish for new keys.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

use tokio::sync::Notify;

use super::channel::Channel;
use super::handshake::dialogue::Joined;
use super::identity::PeerId;
use super::lane::{LaneName, Ticket, Tickets};
use crate::telemetry::clock;
use crate::telemetry::complaints::Complaints;
use crate::telemetry::layers::{Account, Layer};
use wishes::Wishes;

mod wishes;

/// Where [`wishes`] has its primitives from.
mod sync {
    pub(super) use std::sync::atomic::{AtomicBool, Ordering};

    pub(super) use futures::task::AtomicWaker;
}

static NEXT_SESSION_ID: AtomicU64 = AtomicU64::new(1);

/// Which end of the connection this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// We accepted it, so we serve: time without room to write is
    /// [`Layer::TcpWait`].
    Accepted,
    /// We dialled, so we read: time without bytes to read is [`Layer::TcpWait`].
    Dialled,
}

/// One session, as long as anybody asks about it; the stream itself may be gone.
#[derive(Clone)]
pub struct SessionHandle(pub(super) Arc<Shared>);

impl SessionHandle {
    /// The other end, authenticated by the handshake.
    pub fn peer_id(&self) -> PeerId {
        self.0.peer_id
    }

    /// What we call the other end.
    pub fn peer_name(&self) -> &str {
        &self.0.peer_name
    }

    /// Unique in the process.
    pub fn session_id(&self) -> u64 {
        self.0.session_id
    }

    /// Which connection of its session: 0 is the one with the handshake.
    pub fn lane(&self) -> u8 {
        self.0.lane
    }

    /// Takes the ticket for a further connection that we dial.
    pub(super) fn next_lane(&self) -> Option<Joined> {
        self.take_ticket(Tickets::next)
    }

    /// Takes the ticket with this name for a further connection that the peer dials;
    /// `None` when this is not the session, or not any more.
    pub fn lane_named(&self, name: &LaneName) -> Option<Joined> {
        self.take_ticket(|tickets| tickets.find(name))
    }

    fn take_ticket(&self, take: impl FnOnce(&mut Tickets) -> Option<Ticket>) -> Option<Joined> {
        if self.is_closed() {
            return None;
        }
        let ticket = take(&mut self.0.tickets())?;
        Some(Joined { ticket, remote: self.peer_id(), peer_name: self.peer_name().to_owned() })
    }

    /// True when we dialled.
    pub fn dialled(&self) -> bool {
        self.0.side == Side::Dialled
    }

    /// What the session has carried so far. Each field is exact; together they
    /// are not one instant.
    pub fn counters(&self) -> Counters {
        self.0.counters()
    }

    /// [`Counters::wire_bytes_received`] alone, for whoever asks often.
    pub fn wire_bytes_received(&self) -> u64 {
        self.0.tally.wire_bytes_received.load(Ordering::Relaxed)
    }

    /// Where the session's layers charge their time.
    pub fn account(&self) -> &Account {
        &self.0.account
    }

    /// Epochs now: sent, received.
    pub fn epochs(&self) -> (u32, u32) {
        let tally = &self.0.tally;
        (tally.epoch_sent.load(Ordering::Acquire), tally.epoch_received.load(Ordering::Acquire))
    }

    /// Starts the measurement of [`Counters::rekey_gap_ns_max`] anew. Silence before
    /// a transfer is no pause of its byte stream.
    pub fn measure_gaps_from_now(&self) {
        self.0.tally.gaps_from_ns.store(clock::now_ns(), Ordering::Relaxed);
        self.0.tally.rekey_gap_ns_max.store(0, Ordering::Relaxed);
    }

    /// Moves both directions to their next epoch, soon, also on an idle session.
    /// Requests made before the first is carried out are one. Wait for the end of
    /// it with [`epochs_beyond`](Self::epochs_beyond).
    pub fn request_rekey(&self) {
        self.0.wishes.ask_rekey();
    }

    /// Agrees on fresh keys with the peer and moves both directions to them, soon,
    /// also on an idle session: who has stolen all keys of the session before cannot
    /// read on. Wait for it with [`folds_beyond`](Self::folds_beyond).
    pub fn request_fold(&self) {
        self.0.wishes.ask_fold();
    }

    /// How often fresh keys came into use.
    pub fn folds(&self) -> u32 {
        self.0.tally.folds.load(Ordering::Acquire)
    }

    /// Resolves when there were more folds than these. Waits for ever when the
    /// session ends before, or the peer has closed its direction. Cancel-safe.
    pub async fn folds_beyond(&self, folds: u32) {
        self.changed_until(|handle| handle.folds() > folds).await;
    }

    /// Resolves when both epochs are greater than these. Waits for ever when the
    /// session ends before: give it a deadline, or select with
    /// [`closed`](Self::closed). Cancel-safe.
    pub async fn epochs_beyond(&self, sent: u32, received: u32) {
        self.changed_until(|handle| {
            let now = handle.epochs();
            now.0 > sent && now.1 > received
        })
        .await;
    }

    /// Whether the session can carry nothing more: closed by the peer, failed, or
    /// dropped here.
    pub fn is_closed(&self) -> bool {
        self.0.closed.load(Ordering::Acquire)
    }

    /// Resolves when [`is_closed`](Self::is_closed). Cancel-safe.
    pub async fn closed(&self) {
        self.changed_until(Self::is_closed).await;
    }

    async fn changed_until(&self, holds: impl Fn(&Self) -> bool) {
        loop {
            let mut changed = std::pin::pin!(self.0.changed.notified());
            // From here on no notification is lost, so the check cannot miss one.
            changed.as_mut().enable();
            if holds(self) {
                return;
            }
            changed.await;
        }
    }
}

impl fmt::Debug for SessionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionHandle")
            .field("session_id", &self.0.session_id)
            .field("peer_name", &self.0.peer_name)
            .field("side", &self.0.side)
            .finish_non_exhaustive()
    }
}

/// `SessionCounters` of `control.proto`, without the layers: cumulative since the
/// handshake, whose own bytes are not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// What we call the other end.
    pub peer: String,
    /// True when we dialled.
    pub dialled: bool,
    /// Unique in the process.
    pub session_id: u64,
    /// Epoch of the next record we send.
    pub epoch_sent: u32,
    /// Epoch of the next record we expect.
    pub epoch_received: u32,
    /// Records sealed, control records included.
    pub records_sent: u64,
    /// Records opened, control records included.
    pub records_received: u64,
    /// Bytes of the stream, as our writer gave them.
    pub plain_bytes_sent: u64,
    /// Bytes of the stream, as the peer's writer gave them.
    pub plain_bytes_received: u64,
    /// Bytes that the transport took.
    pub wire_bytes_sent: u64,
    /// Bytes that the transport gave.
    pub wire_bytes_received: u64,
    /// Time spent sealing, the gathering of the plaintext included.
    pub seal_ns: u64,
    /// Time spent opening.
    pub open_ns: u64,
    /// Time in which something was to be written and the transport took nothing.
    pub write_blocked_ns: u64,
    /// Time in which a reader waited and the transport had nothing.
    pub read_wait_ns: u64,
    /// Longest time between the last data record of an epoch and the first of the
    /// next, as received.
    pub rekey_gap_ns_max: u64,
}

/// The numbers behind [`Counters`]. Each has one writer, the task with the stream.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) epoch_sent: AtomicU32,
    pub(super) epoch_received: AtomicU32,
    pub(super) folds: AtomicU32,
    pub(super) records_sent: AtomicU64,
    pub(super) records_received: AtomicU64,
    pub(super) plain_bytes_sent: AtomicU64,
    pub(super) plain_bytes_received: AtomicU64,
    pub(super) wire_bytes_sent: AtomicU64,
    pub(super) wire_bytes_received: AtomicU64,
    pub(super) seal_ns: AtomicU64,
    pub(super) open_ns: AtomicU64,
    pub(super) write_blocked_ns: AtomicU64,
    pub(super) read_wait_ns: AtomicU64,
    pub(super) rekey_gap_ns_max: AtomicU64,
    /// When the measurement of gaps began; 0: with the session.
    pub(super) gaps_from_ns: AtomicU64,
}

/// What a stream and its handles share.
pub(super) struct Shared {
    peer_id: PeerId,
    peer_name: String,
    session_id: u64,
    side: Side,
    lane: u8,
    tickets: Mutex<Tickets>,
    account: Account,
    complaints: Arc<Complaints>,
    pub(super) tally: Tally,
    pub(super) wishes: Wishes,
    closed: AtomicBool,
    /// An epoch or `closed` has changed.
    changed: Notify,
}

impl Shared {
    pub(super) fn new(peer_id: PeerId, peer_name: String, side: Side, account: Account) -> Self {
        Self {
            peer_id,
            peer_name,
            session_id: NEXT_SESSION_ID.fetch_add(1, Ordering::Relaxed),
            side,
            lane: 0,
            tickets: Mutex::default(),
            account,
            complaints: Arc::default(),
            tally: Tally::default(),
            wishes: Wishes::new(),
            closed: AtomicBool::new(false),
            changed: Notify::new(),
        }
    }

    /// Which connection of its session it is, and what further ones are made with.
    pub(super) fn lane(self, lane: u8, tickets: Tickets) -> Self {
        Self { lane, tickets: Mutex::new(tickets), ..self }
    }

    /// Where it is said why it failed.
    pub(super) fn complaining_to(self, complaints: Arc<Complaints>) -> Self {
        Self { complaints, ..self }
    }

    pub(super) const fn account(&self) -> &Account {
        &self.account
    }

    /// The layer that a wait of the reading half belongs to.
    pub(super) fn read_wait_layer(&self) -> Option<Layer> {
        (self.side == Side::Dialled).then_some(Layer::TcpWait)
    }

    /// The layer that a wait of the writing half belongs to.
    pub(super) fn write_wait_layer(&self) -> Option<Layer> {
        (self.side == Side::Accepted).then_some(Layer::TcpWait)
    }

    /// What the channel counts, for those who wait for it.
    pub(super) fn publish(&self, channel: &Channel) {
        let tally = &self.tally;
        tally.records_sent.store(channel.records_sent(), Ordering::Relaxed);
        tally.records_received.store(channel.records_received(), Ordering::Relaxed);
        let (sent, received) = channel.epochs();
        let moved = [
            (&tally.epoch_sent, sent),
            (&tally.epoch_received, received),
            (&tally.folds, channel.folds()),
        ]
        .into_iter()
        // The plain load keeps the cache line shared on the hot path.
        .filter(|(seen, now)| seen.load(Ordering::Relaxed) != *now)
        .inspect(|(seen, now)| seen.store(*now, Ordering::Release))
        .count();
        if moved > 0 {
            self.changed.notify_waiters();
        }
    }

    /// Whether it was up until now. No further connection is made of it any more.
    pub(super) fn close(&self) -> bool {
        let was_up = !self.closed.swap(true, Ordering::AcqRel);
        if was_up {
            drop(std::mem::take(&mut *self.tickets()));
            self.changed.notify_waiters();
        }
        was_up
    }

    fn tickets(&self) -> MutexGuard<'_, Tickets> {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session ends with an error: told once, whoever meets it first.
    pub(super) fn fail(&self, error: &io::Error) {
        if self.close() {
            let Self { peer_name, session_id, lane, .. } = self;
            self.complaints.warn(format_args!(
                "session {session_id} with {peer_name} (lane {lane}) failed: {error}"
            ));
        }
    }

    fn counters(&self) -> Counters {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let tally = &self.tally;
        Counters {
            peer: self.peer_name.clone(),
            dialled: self.side == Side::Dialled,
            session_id: self.session_id,
            epoch_sent: tally.epoch_sent.load(Ordering::Acquire),
            epoch_received: tally.epoch_received.load(Ordering::Acquire),
            records_sent: load(&tally.records_sent),
            records_received: load(&tally.records_received),
            plain_bytes_sent: load(&tally.plain_bytes_sent),
            plain_bytes_received: load(&tally.plain_bytes_received),
            wire_bytes_sent: load(&tally.wire_bytes_sent),
            wire_bytes_received: load(&tally.wire_bytes_received),
            seal_ns: load(&tally.seal_ns),
            open_ns: load(&tally.open_ns),
            write_blocked_ns: load(&tally.write_blocked_ns),
            read_wait_ns: load(&tally.read_wait_ns),
            rekey_gap_ns_max: load(&tally.rekey_gap_ns_max),
        }
    }
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wishes.wake();
    }
}

/// A waker of both halves.
pub(super) fn both_halves(shared: &Arc<Shared>) -> Waker {
    Waker::from(Arc::clone(shared))
}

#[cfg(test)]
mod tests;
