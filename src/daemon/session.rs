//! Sessions that we dial: on demand, one per peer, again after it is lost.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared, join_all};
use tokio::time::{Duration, timeout};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::admitted::Admitted;
use super::peers::PeerEntry;
use crate::net::{self, SessionOptions};
use crate::secure::{Identity, SessionHandle};
use crate::telemetry::layers::Account;
use crate::transfer::client::Client;
use crate::transfer::limits::Deadlines;
use crate::transfer::{Entry, FetchError, Remote, Version, spans};

/// How long a session may take to say good-bye.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);

/// What all sessions of a daemon are dialled with.
#[derive(Clone, Debug)]
pub struct Dialler {
    /// Who we are.
    pub identity: Arc<Identity>,
    /// Keys and deadlines of the channel.
    pub options: SessionOptions,
    /// Deadlines of calls.
    pub deadlines: Deadlines,
}

/// A session that is up. Clones share it.
#[derive(Clone, Debug)]
pub struct Session {
    /// Speaks gRPC over it.
    pub client: Client,
    /// Its keys and counters.
    pub handle: SessionHandle,
}

/// One known peer, and the session with it if there is one.
#[derive(Debug)]
pub struct PeerSession {
    entry: PeerEntry,
    account: Account,
    dialler: Dialler,
    /// Cancelled when its id is no longer known: ends every session with it.
    forgotten: CancellationToken,
    state: Mutex<State>,
    /// Why there was no session when that was last told; empty since there was one.
    told: Mutex<String>,
    /// One at a time: two would make too many connections.
    widening: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
enum State {
    Down {
        last_error: String,
    },
    Dialling(Dialling),
    /// Boxed, since the others are small.
    Up(Box<Session>),
}

type Dialling = Shared<BoxFuture<'static, Result<Session, FetchError>>>;

impl Session {
    /// The handles of its connections, the one with the handshake first.
    pub(super) fn handles(&self) -> Vec<SessionHandle> {
        std::iter::once(self.handle.clone()).chain(self.client.lane_handles()).collect()
    }
}

impl PeerSession {
    /// `forgotten` is that of the same id, where it was known before.
    pub(super) fn new(entry: PeerEntry, dialler: Dialler, forgotten: CancellationToken) -> Self {
        let state = Mutex::new(State::Down { last_error: String::new() });
        let (account, told, widening) = (Account::new(), Mutex::default(), Default::default());
        Self { entry, account, dialler, forgotten, state, told, widening }
    }

    /// Cancelled when this peer's id is no longer known.
    pub(super) const fn forgotten(&self) -> &CancellationToken {
        &self.forgotten
    }

    /// Name, id and address.
    pub fn entry(&self) -> &PeerEntry {
        &self.entry
    }

    /// What all sessions with this peer that we dial are charged to.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// The session, dialled if there is none. Callers at the same time share one
    /// attempt, which goes on when they are dropped.
    pub async fn session(self: &Arc<Self>) -> Result<Session, FetchError> {
        let dialling = {
            let mut state = self.state();
            match &*state {
                State::Up(session) if !session.handle.is_closed() => {
                    return Ok(Session::clone(session));
                }
                State::Dialling(dialling) => dialling.clone(),
                State::Up(_) | State::Down { .. } => {
                    let dialling = Arc::clone(self).start();
                    *state = State::Dialling(dialling.clone());
                    dialling
                }
            }
        };
        dialling.await
    }

    /// The session if it is up.
    pub fn current(&self) -> Option<Session> {
        match &*self.state() {
            State::Up(session) if !session.handle.is_closed() => Some(Session::clone(session)),
            _ => None,
        }
    }

    /// Why there is no session; empty after success.
    pub fn last_error(&self) -> String {
        match &*self.state() {
            State::Down { last_error } => last_error.clone(),
            State::Up(session) if session.handle.is_closed() => "the session ended".to_owned(),
            State::Up(_) | State::Dialling(_) => String::new(),
        }
    }

    /// Ends the session with its authenticated close, within a deadline.
    pub async fn close(&self) {
        let before = std::mem::replace(
            &mut *self.state(),
            State::Down { last_error: "closed here".to_owned() },
        );
        let State::Up(session) = before else { return };
        let handles = session.handles();
        drop(session);
        let closed = join_all(handles.iter().map(SessionHandle::closed));
        if timeout(CLOSE_DEADLINE, closed).await.is_err() {
            tracing::warn!(peer = self.entry.name, "the session is still in use");
        }
    }

    fn start(self: Arc<Self>) -> Dialling {
        let peer = self.entry.name.clone();
        let span = spans::session_connect(&peer);
        let task = tokio::spawn(async move { self.dial().await }.instrument(span));
        async move {
            task.await.unwrap_or_else(|error| {
                Err(FetchError::Unreachable { peer, reason: format!("dialling failed: {error}") })
            })
        }
        .boxed()
        .shared()
    }

    async fn dial(&self) -> Result<Session, FetchError> {
        let connected = self.connect().await;
        let state = match &connected {
            Ok(session) => State::Up(Box::new(session.clone())),
            Err(error) => State::Down { last_error: error.to_string() },
        };
        self.tell(connected.as_ref().err());
        *self.state() = state;
        connected
    }

    /// Says why there is no session, once as long as it stays the same: a mount may ask
    /// for one with every call.
    fn tell(&self, error: Option<&FetchError>) {
        let why = error.map(ToString::to_string).unwrap_or_default();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if *told != why {
            if !why.is_empty() {
                tracing::warn!(error = why, "no session");
            }
            *told = why;
        }
    }

    async fn connect(&self) -> Result<Session, FetchError> {
        let PeerEntry { name, id, address } = &self.entry;
        let unreachable = |reason: String| FetchError::Unreachable { peer: name.clone(), reason };
        // Who holds a file of it open still asks.
        if self.forgotten.is_cancelled() {
            return Err(unreachable(
                "it was removed from the known peers, or this daemon stops".to_owned(),
            ));
        }
        let Some(address) = address else {
            return Err(unreachable("no address is known; it only dials us".to_owned()));
        };
        let Dialler { identity, options, deadlines } = &self.dialler;
        let stream = net::dial(address, name, *id, identity, options, self.account.clone())
            .await
            .map_err(|error| unreachable(error.to_string()))?;
        let handle = stream.handle();
        let stream = Admitted::dialled(stream, self.forgotten.clone());
        let client = Client::over(stream, name, self.account.clone(), *deadlines).await?;
        tracing::info!(peer = name, address, session_id = handle.session_id(), "session is up");
        Ok(Session { client, handle })
    }

    /// Brings `session` to so many connections, and replaces those that ended. It does
    /// with fewer where they cannot be made.
    pub async fn widen(&self, session: &Session, lanes: u8) {
        let _widening = self.widening.lock().await;
        let has = session.client.sweep_lanes();
        let missing = usize::from(lanes).saturating_sub(has);
        // The peer has the session when it answers; before that a lane of it is unknown.
        if missing == 0 || session.client.ping().await.is_err() {
            return;
        }
        let joined = join_all((0..missing).map(|_| self.join(session))).await;
        for error in joined.into_iter().filter_map(Result::err) {
            tracing::warn!(%error, "a lane is missing; transfers go on without it");
        }
    }

    /// One more connection.
    async fn join(&self, session: &Session) -> Result<(), FetchError> {
        let PeerEntry { name, address, .. } = &self.entry;
        let unreachable = |reason: String| FetchError::Unreachable { peer: name.clone(), reason };
        let address = address.as_ref().ok_or_else(|| unreachable("no address".to_owned()))?;
        let Dialler { identity, options, .. } = &self.dialler;
        let stream = net::join(address, &session.handle, identity, options).await;
        let stream = stream.map_err(|error| unreachable(error.to_string()))?;
        let handle = stream.handle();
        let stream = Admitted::dialled(stream, self.forgotten.clone());
        session.client.add_lane(stream, handle).await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A peer's share, whether or not there is a session now: for the mount.
#[derive(Clone, Debug)]
pub struct PeerRemote(pub Arc<PeerSession>);

impl Remote for PeerRemote {
    fn list(&self, path: &str) -> BoxFuture<'static, Result<Vec<Entry>, FetchError>> {
        let (peer, path) = (Arc::clone(&self.0), path.to_owned());
        async move { peer.session().await?.client.list(&path).await }.boxed()
    }

    fn stat(&self, path: &str) -> BoxFuture<'static, Result<Entry, FetchError>> {
        let (peer, path) = (Arc::clone(&self.0), path.to_owned());
        async move { peer.session().await?.client.stat(&path).await }.boxed()
    }

    fn read(
        &self,
        path: &str,
        version: Version,
        offset_bytes: u64,
        length_bytes: u32,
    ) -> BoxFuture<'static, Result<Bytes, FetchError>> {
        let (peer, path) = (Arc::clone(&self.0), path.to_owned());
        async move {
            let client = peer.session().await?.client;
            Remote::read(&client, &path, version, offset_bytes, length_bytes).await
        }
        .boxed()
    }

    fn account(&self) -> Account {
        self.0.account().clone()
    }
}
