//! The dialling end of a session.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time;
use tracing::Instrument as _;

use super::SessionOptions;
use crate::secure::establish;
use crate::secure::{HandshakeError, Identity, PeerId, SecureStream, SessionHandle};
use crate::telemetry::layers::Account;
use crate::telemetry::names::{attribute, span};

/// Connects to `address` (`host:port`) and makes a session with exactly `remote`.
/// Its layers charge `account`.
///
/// # Errors
/// When nobody is there within the deadline, or it is not `remote`, or it does not
/// want us. Not cancel-safe: a dropped attempt is a failed one.
pub async fn dial(
    address: &str,
    peer_name: &str,
    remote: PeerId,
    identity: &Identity,
    options: &SessionOptions,
    account: Account,
) -> Result<SecureStream<TcpStream>, DialError> {
    let socket = connect(address, options.connect_deadline_ms).await?;
    establish::connect(socket, identity, remote, peer_name, options.terms(account))
        .instrument(tracing::info_span!(span::SECURE_HANDSHAKE, { attribute::PEER } = peer_name))
        .await
        .map_err(|source| DialError::of_handshake(peer_name, address, source))
}

/// A further connection of `session`, to the same `address`. Only once something has
/// come over `session`: the other end may not have got our last word before.
///
/// # Errors
/// As [`dial`], and when the session has no more of them to give. Not cancel-safe: a
/// dropped attempt has used one up.
pub async fn join(
    address: &str,
    session: &SessionHandle,
    identity: &Identity,
    options: &SessionOptions,
) -> Result<SecureStream<TcpStream>, DialError> {
    let socket = connect(address, options.connect_deadline_ms).await?;
    let (name, terms) = (session.peer_name(), options.terms(session.account().clone()));
    establish::join(socket, identity, session, terms)
        .instrument(tracing::info_span!(span::SECURE_HANDSHAKE, { attribute::PEER } = name))
        .await
        .map_err(|source| DialError::of_handshake(name, address, source))
}

async fn connect(address: &str, deadline_ms: u64) -> Result<TcpStream, DialError> {
    let connect = TcpStream::connect(address);
    let connected = time::timeout(Duration::from_millis(deadline_ms), connect).await;
    match connected {
        Ok(connected) => connected.and_then(|socket| {
            // A record is a write, and nothing is gained by holding one back.
            socket.set_nodelay(true)?;
            Ok(socket)
        }),
        Err(_) => return Err(DialError::TimedOut { address: address.to_owned(), deadline_ms }),
    }
    .map_err(|source| DialError::Connect { address: address.to_owned(), source })
}

/// Why a peer could not be dialled.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// No TCP connection.
    #[error("cannot connect to {address}: {source}; check the address, and that dropd runs there")]
    Connect {
        /// Where to.
        address: String,
        /// The system's words.
        source: io::Error,
    },
    /// A TCP connection, but no session.
    #[error("no session with {peer_name} at {address}: {source}")]
    Handshake {
        /// Who should be there.
        peer_name: String,
        /// Where.
        address: String,
        /// What went wrong.
        source: HandshakeError,
    },
    /// No TCP connection in time.
    #[error(
        "no connection to {address} within {deadline_ms} ms: the host is down, or a firewall \
         drops the packets"
    )]
    TimedOut {
        /// Where to.
        address: String,
        /// The deadline that passed.
        deadline_ms: u64,
    },
}

impl DialError {
    fn of_handshake(peer_name: &str, address: &str, source: HandshakeError) -> Self {
        Self::Handshake { peer_name: peer_name.to_owned(), address: address.to_owned(), source }
    }
}
