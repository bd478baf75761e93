//! Who may talk to us, and under which name.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use tokio_util::sync::CancellationToken;

use super::session::{Dialler, PeerSession};
use crate::secure::PeerId;

/// Longest name: a label of DNS, so that a peer can be a host.
const NAME_BYTES_MAX: usize = 63;

/// Most peers one daemon knows. Each costs some hundred bytes until it is dialled.
const PEERS_MAX: usize = 4096;

/// A known peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerEntry {
    /// What we call it.
    pub name: String,
    /// Its pinned id.
    pub id: PeerId,
    /// Where to dial it; none: it only dials us.
    pub address: Option<String>,
}

/// A name that cannot be a peer's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` cannot name a peer: use 1 to {NAME_BYTES_MAX} of a-z, 0-9 and inner dashes")]
pub struct NameError {
    /// As given.
    pub name: String,
}

/// Checks the name of a peer.
pub fn check_peer_name(name: &str) -> Result<(), NameError> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let dash_outside = name.starts_with('-') || name.ends_with('-');
    if name.is_empty() || name.len() > NAME_BYTES_MAX || dash_outside || !name.bytes().all(allowed)
    {
        return Err(NameError { name: name.to_owned() });
    }
    Ok(())
}

/// Why a peer cannot be added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddError {
    /// The name cannot be.
    #[error(transparent)]
    Name(#[from] NameError),
    /// One key is one peer: its name must be certain.
    #[error("the id of `{name}` is known as `{other}`; one id has one name")]
    IdTaken {
        /// The new name.
        name: String,
        /// The name it has.
        other: String,
    },
    /// No more room.
    #[error("`{name}`: {PEERS_MAX} peers are known already")]
    TooMany {
        /// The new name.
        name: String,
    },
}

/// All known peers, each with its session. Clones are the same set.
#[derive(Clone, Debug)]
pub struct Peers {
    known: Arc<RwLock<BTreeMap<String, Arc<PeerSession>>>>,
    dialler: Dialler,
    cut: CancellationToken,
}

impl Peers {
    /// Nobody yet; sessions are dialled by `dialler`, and all of them end with `cut`.
    pub fn new(dialler: Dialler, cut: CancellationToken) -> Self {
        Self { known: Arc::default(), dialler, cut }
    }

    /// Adds a peer, or replaces the one of the same name. The replaced one's sessions
    /// are cut when its id is another; else the one that we dialled ends when its last
    /// transfer does, and those that it dialled go on.
    pub fn add(&self, entry: PeerEntry) -> Result<Arc<PeerSession>, AddError> {
        check_peer_name(&entry.name)?;
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = known
            .values()
            .map(|peer| peer.entry())
            .find(|other| other.id == entry.id && other.name != entry.name)
        {
            return Err(AddError::IdTaken { name: entry.name, other: other.name.clone() });
        }
        match known.get(&entry.name) {
            Some(same) if *same.entry() == entry => return Ok(Arc::clone(same)),
            None if known.len() >= PEERS_MAX => {
                return Err(AddError::TooMany { name: entry.name });
            }
            _ => {}
        }
        let name = entry.name.clone();
        let same_id = known.get(&name).filter(|old| old.entry().id == entry.id);
        let forgotten =
            same_id.map_or_else(|| self.cut.child_token(), |old| old.forgotten().clone());
        let is_same_id = same_id.is_some();
        let peer = Arc::new(PeerSession::new(entry, self.dialler.clone(), forgotten));
        let replaced = known.insert(name, Arc::clone(&peer));
        if let Some(replaced) = replaced.filter(|_| !is_same_id) {
            replaced.forgotten().cancel();
        }
        Ok(peer)
    }

    /// Forgets the peer of this name and cuts every session with it; `None` when there
    /// is none.
    pub fn remove(&self, name: &str) -> Option<Arc<PeerSession>> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let removed = known.remove(name)?;
        removed.forgotten().cancel();
        Some(removed)
    }

    /// What ends the sessions with this id; `None` when it is unknown. Once it was asked
    /// for, no removal is missed.
    pub fn forgotten(&self, id: &PeerId) -> Option<CancellationToken> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let found = known.values().find(|peer| peer.entry().id == *id);
        found.map(|peer| peer.forgotten().clone())
    }

    /// The peer of this name.
    pub fn find(&self, name: &str) -> Option<Arc<PeerSession>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// What we call the peer with this id; `None` when it is unknown. It looks at all
    /// of them, so that its time does not tell which one it is.
    pub fn name_of(&self, id: &PeerId) -> Option<String> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let matching = known.values().filter(|peer| peer.entry().id == *id);
        matching.fold(None, |_, peer| Some(peer.entry().name.clone()))
    }

    /// All peers, by name.
    pub fn all(&self) -> Vec<Arc<PeerSession>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}
