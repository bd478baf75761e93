//! The accepting end: many handshakes at once, none of which can hold up another.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use futures::{Stream, StreamExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tracing::Instrument as _;

use self::places::{Places, Progress, Stage};
use super::SessionOptions;
use crate::secure::establish::{self, Joined, Known, Lanes, Rejected};
use crate::secure::lane::LaneName;
use crate::secure::{Identity, SecureStream, SessionHandle};
use crate::telemetry::complaints::Complaints;
use crate::telemetry::layers::Account;
use crate::telemetry::names::span;

mod places;

/// Handshakes under way. Each costs a millisecond of one core and a few KiB, and a
/// silent one keeps its place until the deadline: enough for every peer of a large
/// topology to dial at once. Beyond that somebody makes room (see [`places`]).
const HANDSHAKES_MAX: usize = 128;

/// Finished sessions that the server has not taken yet.
const SESSIONS_WAITING_MAX: usize = 16;

/// A bound listening socket.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    local_address: SocketAddr,
}

impl Listener {
    /// Listens on `address` (`host:port`; port 0 takes a free one).
    ///
    /// # Errors
    /// When the address is not ours or taken.
    pub async fn bind(address: &str) -> Result<Self, ListenError> {
        let failed = |source| ListenError { address: address.to_owned(), source };
        let socket = TcpListener::bind(address).await.map_err(failed)?;
        let local_address = socket.local_addr().map_err(failed)?;
        Ok(Self { socket, local_address })
    }

    /// Where it listens, with the real port.
    pub const fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    /// Sessions with peers that `known` gives a name to, in the order in which
    /// their handshakes end. Refusals are logged, never in the stream. Accepting
    /// begins at once, in a task of the current runtime, and ends when the stream
    /// is dropped.
    pub fn incoming(
        self,
        identity: Arc<Identity>,
        known: Arc<Known>,
        options: SessionOptions,
    ) -> impl Stream<Item = Result<SecureStream<TcpStream>, Infallible>> + Send + Unpin + 'static
    {
        let (sessions, finished) = mpsc::channel(SESSIONS_WAITING_MAX);
        let complaints = Complaints::default();
        let guests = Arc::<Guests>::default();
        let hosts = Arc::clone(&guests);
        let lanes: Box<Lanes> = Box::new(move |name| hosts.lane_named(name));
        let door = Arc::new(Door { identity, known, guests, lanes, options, sessions, complaints });
        tokio::spawn(accept_all(self.socket, door));
        ReceiverStream::new(finished).map(Ok)
    }
}

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}; choose a free port at an address of this host")]
pub struct ListenError {
    /// Which address.
    pub address: String,
    /// The system's words.
    pub source: io::Error,
}

/// What every handshake needs.
struct Door {
    identity: Arc<Identity>,
    known: Arc<Known>,
    guests: Arc<Guests>,
    /// Finds the lanes of `guests`.
    lanes: Box<Lanes>,
    options: SessionOptions,
    sessions: mpsc::Sender<SecureStream<TcpStream>>,
    complaints: Complaints,
}

async fn accept_all(socket: TcpListener, door: Arc<Door>) {
    // Dropping the set at the end aborts what is still under way.
    let mut tasks = JoinSet::new();
    let mut places = Places::default();
    loop {
        let accepted = tokio::select! {
            () = door.sessions.closed() => return,
            Some(_) = tasks.join_next() => continue,
            accepted = socket.accept() => accepted,
        };
        let (connection, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                super::pause_after(&error, &door.complaints).await;
                continue;
            }
        };
        places.sweep();
        if places.taken() >= HANDSHAKES_MAX {
            places.free_one(rand::random::<u16>().into());
            door.complaints.warn(format_args!(
                "{HANDSHAKES_MAX} handshakes are under way: one gives way to {from}; if these are \
                 not your peers, close the port to them"
            ));
        }
        let door = Arc::clone(&door);
        places.take(from, |progress| {
            tasks.spawn(async move { door.admit(connection, from, progress).await })
        });
    }
}

impl Door {
    async fn admit(&self, connection: TcpStream, from: SocketAddr, progress: Progress) {
        let handshake = self.handshake(connection);
        match handshake.instrument(tracing::info_span!(span::SECURE_HANDSHAKE)).await {
            Ok(session) => {
                progress.reach(Stage::Agreed);
                self.guests.add(session.handle());
                // Gone means that the server stopped; so does this session.
                let _ = self.sessions.send(session).await;
            }
            Err(rejected) => {
                progress.reach(Stage::Refused);
                self.complaints
                    .warn(format_args!("refused a connection from {from}: {}", rejected.error));
                rejected.ignore().await;
            }
        }
    }

    async fn handshake(
        &self,
        connection: TcpStream,
    ) -> Result<SecureStream<TcpStream>, Rejected<TcpStream>> {
        // A record is a write; without this it is slower and no less right.
        let _ = connection.set_nodelay(true);
        let terms = self.options.terms(Account::new());
        establish::accept(connection, &self.identity, &*self.known, &*self.lanes, terms).await
    }
}

/// The sessions that are up, for who wants a further connection of one.
#[derive(Default)]
struct Guests(Mutex<Vec<SessionHandle>>);

impl Guests {
    fn add(&self, handle: SessionHandle) {
        let mut handles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        handles.retain(|handle| !handle.is_closed());
        if handle.lane() == 0 {
            handles.push(handle);
        }
    }

    fn lane_named(&self, name: &LaneName) -> Option<Joined> {
        let handles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        handles.iter().find_map(|handle| handle.lane_named(name))
    }
}

#[cfg(test)]
mod tests;
