//! What a running daemon consists of, as control and wiring see it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::join_all;
use tokio::time::{Duration, timeout};
use tokio_util::sync::CancellationToken;

use super::config::Config;
use super::peers::{AddError, PeerEntry, Peers};
use super::session::PeerRemote;
use crate::fs::Shares;
use crate::fuse::Readers;
use crate::proto::control as wire;
use crate::secure::{PeerId, SessionHandle};
use crate::source::Source;
use crate::telemetry::complaints::Complaints;
use crate::telemetry::setup::Telemetry;

/// Connections of one peer that dialled us, lanes included: four sessions with all
/// their lanes. Beyond it the oldest is cut, which may be one whose other end has died
/// without a word.
pub(super) const ACCEPTED_PER_PEER_MAX: usize = 32;

/// How long the tasks of cut sessions may take to notice: they only have to be polled
/// once.
const CUT_DEADLINE: Duration = Duration::from_secs(2);

/// The parts of one daemon.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) config: Config,
    pub(crate) id: PeerId,
    pub(crate) listen_address: String,
    pub(crate) started_ns: u64,
    pub(crate) source: Arc<Source>,
    pub(crate) peers: Peers,
    pub(crate) shares: Shares,
    pub(crate) readers: Readers,
    pub(crate) telemetry: Option<Arc<Telemetry>>,
    pub(crate) accepted: Accepted,
    /// One change of the known peers at a time: `peers` and `shares` agree.
    pub(crate) changing: Mutex<()>,
    /// Cancelled once: the daemon is to stop.
    pub(crate) stop: CancellationToken,
    /// Cancelled once, after `stop`: no session goes on, nor comes up.
    pub(crate) cut: CancellationToken,
}

impl Core {
    /// Makes a peer known, and shows its share in the mount.
    pub(crate) fn add_peer(&self, entry: PeerEntry) -> Result<(), AddError> {
        if entry.name == self.config.name {
            let (name, other) = (entry.name.clone(), format!("{} (this daemon)", entry.name));
            return Err(AddError::IdTaken { name, other });
        }
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let peer = self.peers.add(entry)?;
        let name = peer.entry().name.clone();
        // A peer's name is a directory's name: checked more strictly.
        if let Err(error) = self.shares.insert(&name, Arc::new(PeerRemote(peer))) {
            tracing::error!(%error, "the mount does not show the peer");
        }
        Ok(())
    }

    /// Forgets a peer, and waits until its sessions have ended; false when none has
    /// that name. Cancel-safe: it is forgotten at once.
    pub(crate) async fn remove_peer(&self, name: &str) -> bool {
        let sessions = {
            let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
            self.shares.remove(name);
            // Also before they end and are not up any more, and after the last was added.
            let mut sessions = self.handles();
            self.peers.remove(name).map(|removed| {
                sessions.extend(self.accepted.all());
                sessions.retain(|handle| handle.peer_id() == removed.entry().id);
                sessions.sort_unstable_by_key(SessionHandle::session_id);
                sessions.dedup_by_key(|handle| handle.session_id());
                sessions
            })
        };
        let Some(sessions) = sessions else { return false };
        tracing::info!(peer = name, sessions = sessions.len(), "forgotten; its sessions are cut");
        ended(&sessions).await;
        true
    }

    /// Ends every session, and lets none come up any more. Returns when `sessions`, those
    /// that were up, have ended.
    pub(crate) async fn cut(&self, sessions: &[SessionHandle]) {
        self.cut.cancel();
        ended(sessions).await;
    }

    /// Where pulled files go.
    pub(crate) fn downloads(&self) -> PathBuf {
        self.config.state.join("downloads")
    }

    /// Counters of the sessions that are up.
    pub(crate) fn sessions(&self) -> Vec<wire::SessionCounters> {
        self.handles().iter().map(counters).collect()
    }

    /// The sessions that are up, those that we dialled first.
    pub(crate) fn handles(&self) -> Vec<SessionHandle> {
        let dialled = self.peers.all().into_iter().filter_map(|peer| peer.current());
        let dialled = dialled.flat_map(|session| session.handles());
        let up = dialled.filter(|handle| !handle.is_closed());
        up.chain(self.accepted.all()).collect()
    }
}

/// Waits until sessions that are cut have noticed.
async fn ended(sessions: &[SessionHandle]) {
    let ended = join_all(sessions.iter().map(SessionHandle::closed));
    if timeout(CUT_DEADLINE, ended).await.is_err() {
        tracing::warn!("a session that is cut has not ended yet");
    }
}

/// Sessions that peers dialled, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Accepted {
    sessions: Arc<Mutex<Vec<(SessionHandle, CancellationToken)>>>,
    /// About known peers that ask too much of us.
    pub(crate) complaints: Arc<Complaints>,
}

impl Accepted {
    /// Remembers one as long as it lives, and makes room for it among those of its peer.
    /// Returns what cuts it, also when `forgotten` is cancelled.
    pub(crate) fn add(
        &self,
        handle: SessionHandle,
        forgotten: &CancellationToken,
    ) -> CancellationToken {
        let cut = forgotten.child_token();
        let mut sessions = self.sessions();
        sessions.retain(|(handle, _)| !handle.is_closed());
        let peer = handle.peer_id();
        let mut of_peer = sessions.iter().enumerate().filter(|(_, (one, _))| one.peer_id() == peer);
        let oldest = of_peer.next().map(|(index, _)| index);
        // All others of them.
        let full = of_peer.count() + 1 >= ACCEPTED_PER_PEER_MAX;
        if let Some(index) = oldest.filter(|_| full) {
            let (_, oldest) = sessions.remove(index);
            oldest.cancel();
            self.complaints.warn(format_args!(
                "{} has {ACCEPTED_PER_PEER_MAX} connections to us: the oldest gives way to another",
                handle.peer_name()
            ));
        }
        sessions.push((handle, cut.clone()));
        cut
    }

    /// Those that are up.
    pub(crate) fn all(&self) -> Vec<SessionHandle> {
        let up = |(handle, _): &(SessionHandle, _)| (!handle.is_closed()).then(|| handle.clone());
        self.sessions().iter().filter_map(up).collect()
    }

    fn sessions(&self) -> MutexGuard<'_, Vec<(SessionHandle, CancellationToken)>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The counters of a session, as control tells them.
pub(crate) fn counters(handle: &SessionHandle) -> wire::SessionCounters {
    let counters = handle.counters();
    let times = handle.account().times();
    let layers = times
        .iter()
        .map(|(layer, self_ns)| wire::LayerTime { layer: layer.name().to_owned(), self_ns })
        .collect();
    wire::SessionCounters {
        peer: counters.peer,
        dialled: counters.dialled,
        session_id: counters.session_id,
        epoch_sent: counters.epoch_sent,
        epoch_received: counters.epoch_received,
        records_sent: counters.records_sent,
        records_received: counters.records_received,
        plain_bytes_sent: counters.plain_bytes_sent,
        plain_bytes_received: counters.plain_bytes_received,
        wire_bytes_sent: counters.wire_bytes_sent,
        wire_bytes_received: counters.wire_bytes_received,
        seal_ns: counters.seal_ns,
        open_ns: counters.open_ns,
        write_blocked_ns: counters.write_blocked_ns,
        read_wait_ns: counters.read_wait_ns,
        rekey_gap_ns_max: counters.rekey_gap_ns_max,
        layers,
        lane: handle.lane().into(),
        folds: handle.folds(),
    }
}

/// What a session and its further connections have carried together. Keys and layers are
/// those of the first: they have one account.
pub(crate) fn together(
    all: wire::SessionCounters,
    one: wire::SessionCounters,
) -> wire::SessionCounters {
    wire::SessionCounters {
        records_sent: all.records_sent + one.records_sent,
        records_received: all.records_received + one.records_received,
        plain_bytes_sent: all.plain_bytes_sent + one.plain_bytes_sent,
        plain_bytes_received: all.plain_bytes_received + one.plain_bytes_received,
        wire_bytes_sent: all.wire_bytes_sent + one.wire_bytes_sent,
        wire_bytes_received: all.wire_bytes_received + one.wire_bytes_received,
        seal_ns: all.seal_ns + one.seal_ns,
        open_ns: all.open_ns + one.open_ns,
        write_blocked_ns: all.write_blocked_ns + one.write_blocked_ns,
        read_wait_ns: all.read_wait_ns + one.read_wait_ns,
        rekey_gap_ns_max: all.rekey_gap_ns_max.max(one.rekey_gap_ns_max),
        ..all
    }
}
