use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Duration, timeout};

use super::*;
use crate::net::{DialError, dial};
use crate::secure::{HandshakeError, PeerId, Refusal};

mod descriptors;
mod grpc;
mod lines;
mod meddlers;
mod strangers;

/// Much more than anything here takes, and well below the deadline of [`patient`].
const SOON: Duration = Duration::from_secs(30);

/// What must not wait until somebody's deadline has passed.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(SOON, what).await.expect("it does not come")
}

/// No handshake ends by itself while a test runs.
fn patient() -> SessionOptions {
    SessionOptions { handshake_deadline_ms: 60_000, ..SessionOptions::default() }
}

struct Daemon {
    dialler: Identity,
    listener: PeerId,
    address: String,
    options: SessionOptions,
}

impl Daemon {
    /// A listener that knows one dialler, and its sessions.
    async fn start() -> (Self, impl Stream<Item = SecureStream<TcpStream>> + Unpin) {
        Self::start_with(SessionOptions::default()).await
    }

    async fn start_with(
        options: SessionOptions,
    ) -> (Self, impl Stream<Item = SecureStream<TcpStream>> + Unpin) {
        let dialler = Identity::generate().unwrap();
        let identity = Arc::new(Identity::generate().unwrap());
        let listener = Listener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_address().to_string();
        let (known, id) = (dialler.id(), identity.id());
        let known = move |id: &PeerId| (*id == known).then(|| "dialler".to_owned());
        let sessions = listener.incoming(identity, Arc::new(known), options.clone());
        (Self { dialler, listener: id, address, options }, sessions.map(|session| session.unwrap()))
    }

    async fn dial(&self) -> Result<SecureStream<TcpStream>, DialError> {
        self.dial_as(&self.dialler, self.listener).await
    }

    /// Dials through whoever is at `address`.
    async fn dial_at(&self, address: &str) -> Result<SecureStream<TcpStream>, DialError> {
        let account = Account::new();
        dial(address, "listener", self.listener, &self.dialler, &self.options, account).await
    }

    async fn dial_as(
        &self,
        identity: &Identity,
        remote: PeerId,
    ) -> Result<SecureStream<TcpStream>, DialError> {
        dial(&self.address, "listener", remote, identity, &self.options, Account::new()).await
    }
}

fn refusal(dialled: Result<SecureStream<TcpStream>, DialError>) -> Option<Refusal> {
    match dialled.unwrap_err() {
        DialError::Handshake { source: HandshakeError::Refused(reason), .. } => Some(reason),
        _ => None,
    }
}

#[tokio::test]
async fn bytes_pass_both_ways_over_tcp() {
    let (daemon, mut sessions) = Daemon::start().await;
    let (dialled, accepted) = tokio::join!(daemon.dial(), sessions.next());
    let (mut dialled, mut accepted) = (dialled.unwrap(), accepted.unwrap());
    assert_eq!(accepted.handle().peer_name(), "dialler");
    dialled.write_all(b"ask").await.unwrap();
    dialled.shutdown().await.unwrap();
    let mut heard = String::new();
    accepted.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "ask");
    accepted.write_all(b"answer").await.unwrap();
    accepted.shutdown().await.unwrap();
    dialled.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "askanswer");
}

#[tokio::test]
async fn silent_clients_block_nobody() {
    let (daemon, mut sessions) = Daemon::start().await;
    let mut silent = Vec::new();
    for _ in 0..5 {
        silent.push(TcpStream::connect(&daemon.address).await.unwrap());
    }
    let mut slow = TcpStream::connect(&daemon.address).await.unwrap();
    slow.write_all(b"drop\x01").await.unwrap();
    let (dialled, accepted) = tokio::join!(daemon.dial(), sessions.next());
    dialled.unwrap();
    accepted.unwrap();
}

#[tokio::test]
async fn strangers_and_wrong_ids_are_refused_and_never_reach_the_server() {
    let options = SessionOptions { handshake_deadline_ms: 500, ..SessionOptions::default() };
    let (daemon, mut sessions) = Daemon::start_with(options).await;
    let stranger = Identity::generate().unwrap();
    let refused = daemon.dial_as(&stranger, daemon.listener).await;
    assert_eq!(refusal(refused), Some(Refusal::UnknownPeer));
    let refused = daemon.dial_as(&daemon.dialler, stranger.id()).await;
    assert_eq!(refusal(refused), None, "a wrong id is not answered");
    // The next session of the server is the next good one.
    let (dialled, accepted) = tokio::join!(daemon.dial(), sessions.next());
    dialled.unwrap();
    assert_eq!(accepted.unwrap().handle().peer_id(), daemon.dialler.id());
}

#[tokio::test]
async fn a_dropped_stream_stops_listening() {
    let (daemon, sessions) = Daemon::start().await;
    let mut waiting = TcpStream::connect(&daemon.address).await.unwrap();
    drop(sessions);
    // The handshake under way is given up: the connection ends.
    assert!(matches!(waiting.read(&mut [0]).await, Ok(0) | Err(_)));
    let error = daemon.dial().await.unwrap_err();
    assert!(matches!(error, DialError::Connect { .. } | DialError::Handshake { .. }), "{error}");
}

#[tokio::test]
async fn nobody_there_is_said_so() {
    let (daemon, _sessions) = Daemon::start().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let options = SessionOptions::default();
    let dialled =
        dial(&address, "x", daemon.listener, &daemon.dialler, &options, Account::new()).await;
    let error = dialled.unwrap_err();
    assert!(matches!(error, DialError::Connect { .. }), "{error}");
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let taken = Listener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_address().to_string();
    let error = Listener::bind(&address).await.unwrap_err();
    assert!(error.to_string().contains(&address), "{error}");
}
