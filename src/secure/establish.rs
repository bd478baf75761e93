//! The handshake over a transport, up to a stream with confirmed keys.
//!
//! After the two messages each end sends one empty data record and waits for the
//! other's. So the dialling end knows that it is accepted before it says it is
//! connected, and the accepting end knows that the first message was no replay
//! before it serves anything. It stays one round trip for the dialling end.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time;

use super::frame::{CONTENT_TYPE_BYTES, HEADER_BYTES, TAG_BYTES};
use super::handshake::message::{self, Type};
use super::handshake::{Established, HandshakeError, Initiator, Refusal, Responder};
use super::identity::{Identity, PeerId};
use super::record::{Opened, Opener, Sealer};
use super::rekey::RekeyLimits;
use super::session::{Shared, Side};
use super::stream::SecureStream;
use crate::telemetry::layers::Account;

/// What a session is to be like, apart from who is at its ends.
#[derive(Clone, Debug)]
pub struct Terms {
    /// When our sending direction changes its key.
    pub rekey: RekeyLimits,
    /// The whole handshake, both directions.
    pub handshake_deadline_ms: u64,
    /// Where the session's layers charge their time.
    pub account: Account,
}

/// Whose ids are pinned: the name of a peer, or `None` for a stranger.
pub type Known = dyn Fn(&PeerId) -> Option<String> + Send + Sync;

/// The dialling end: a session with exactly `remote`.
///
/// # Errors
/// As [`HandshakeError`] says; the transport is dropped. Not cancel-safe: a
/// dropped handshake is a failed one.
pub async fn connect<IO: AsyncRead + AsyncWrite + Unpin>(
    io: IO,
    identity: &Identity,
    remote: PeerId,
    peer_name: &str,
    terms: Terms,
) -> Result<SecureStream<IO>, HandshakeError> {
    within(terms.handshake_deadline_ms, initiate(io, identity, remote, peer_name, terms)).await
}

/// The accepting end: a session with whoever of `known` dialled.
///
/// # Errors
/// As [`HandshakeError`] says; the other end was told what it may know. Not
/// cancel-safe: a dropped handshake is a failed one.
pub async fn accept<IO: AsyncRead + AsyncWrite + Unpin>(
    io: IO,
    identity: &Identity,
    known: &Known,
    terms: Terms,
) -> Result<SecureStream<IO>, HandshakeError> {
    within(terms.handshake_deadline_ms, respond(io, identity, known, terms)).await
}

/// Tells the dialling end that there is no place for it, and sees that the word
/// arrives: its first message is read, for closing with unread bytes would reset
/// the connection under the refusal.
///
/// # Errors
/// When the transport fails or the deadline passes. Nothing depends on it.
pub async fn refuse_busy<IO: AsyncRead + AsyncWrite + Unpin>(
    mut io: IO,
    deadline_ms: u64,
) -> Result<(), HandshakeError> {
    within(deadline_ms, async {
        receive(&mut io).await?;
        refuse(&mut io, Refusal::Busy).await
    })
    .await
}

async fn within<T>(
    deadline_ms: u64,
    handshake: impl Future<Output = Result<T, HandshakeError>>,
) -> Result<T, HandshakeError> {
    time::timeout(Duration::from_millis(deadline_ms), handshake)
        .await
        .unwrap_or(Err(HandshakeError::TimedOut { deadline_ms }))
}

async fn initiate<IO: AsyncRead + AsyncWrite + Unpin>(
    mut io: IO,
    identity: &Identity,
    remote: PeerId,
    peer_name: &str,
    terms: Terms,
) -> Result<SecureStream<IO>, HandshakeError> {
    let (initiator, body) = Initiator::start(identity, remote)?;
    send(&mut io, &message::encode(Type::Initiate, &body)).await?;
    let established = match receive(&mut io).await? {
        (Type::Respond, body) => initiator.finish(&body)?,
        (Type::Refuse, body) => {
            let reason = body.first().copied().and_then(Refusal::from_byte);
            return Err(reason.map_or(HandshakeError::Malformed, HandshakeError::Refused));
        }
        (Type::Initiate, _) => return Err(HandshakeError::Malformed),
    };
    let mut keys = Keys::new(established);
    confirmed(&mut io, &mut keys.opener).await?;
    send(&mut io, &keys.confirmation()?).await?;
    Ok(keys.into_stream(io, peer_name.to_owned(), Side::Dialled, terms))
}

async fn respond<IO: AsyncRead + AsyncWrite + Unpin>(
    mut io: IO,
    identity: &Identity,
    known: &Known,
    terms: Terms,
) -> Result<SecureStream<IO>, HandshakeError> {
    let (responder, peer_name) = match admit(&mut io, identity, known).await {
        Ok(admitted) => admitted,
        Err(error) => {
            if let Some(reason) = error.refusal() {
                // Why it was refused matters more than whether it heard so.
                let _ = refuse(&mut io, reason).await;
            }
            return Err(error);
        }
    };
    let (established, body) = responder.accept()?;
    let mut keys = Keys::new(established);
    let mut answer = message::encode(Type::Respond, &body);
    answer.extend_from_slice(&keys.confirmation()?);
    send(&mut io, &answer).await?;
    confirmed(&mut io, &mut keys.opener).await?;
    Ok(keys.into_stream(io, peer_name, Side::Accepted, terms))
}

/// Reads the first message and decides whether to answer it.
async fn admit<IO: AsyncRead + Unpin>(
    io: &mut IO,
    identity: &Identity,
    known: &Known,
) -> Result<(Responder, String), HandshakeError> {
    let (Type::Initiate, body) = receive(io).await? else {
        return Err(HandshakeError::Malformed);
    };
    let responder = Responder::read(identity, &body)?;
    let remote = responder.remote();
    match known(&remote) {
        Some(name) => Ok((responder, name)),
        None => Err(HandshakeError::UnknownPeer { remote }),
    }
}

/// The record layer of a session whose keys are not confirmed yet.
struct Keys {
    remote: PeerId,
    sealer: Sealer,
    opener: Opener,
}

impl Keys {
    fn new(established: Established) -> Self {
        Self {
            remote: established.remote,
            sealer: Sealer::new(established.send.0),
            opener: Opener::new(established.receive.0),
        }
    }

    fn confirmation(&mut self) -> Result<Vec<u8>, HandshakeError> {
        let mut record = Vec::with_capacity(CONFIRMATION_BYTES);
        self.sealer.seal_data(&[], 0, &mut record).map_err(HandshakeError::NotConfirmed)?;
        Ok(record)
    }

    fn into_stream<IO>(
        self,
        io: IO,
        peer_name: String,
        side: Side,
        terms: Terms,
    ) -> SecureStream<IO> {
        let shared = Shared::new(self.remote, peer_name, side, terms.account);
        SecureStream::new(io, self.sealer, self.opener, terms.rekey, shared)
    }
}

/// An empty data record.
const CONFIRMATION_BYTES: usize = HEADER_BYTES + CONTENT_TYPE_BYTES + TAG_BYTES;

async fn confirmed<IO: AsyncRead + Unpin>(
    io: &mut IO,
    opener: &mut Opener,
) -> Result<(), HandshakeError> {
    let mut record = [0; CONFIRMATION_BYTES];
    io.read_exact(&mut record).await?;
    match opener.open(&mut record) {
        Ok(Opened::Data(range)) if range.is_empty() => Ok(()),
        Ok(_) => Err(HandshakeError::Malformed),
        Err(error) => Err(HandshakeError::NotConfirmed(error)),
    }
}

async fn send<IO: AsyncWrite + Unpin>(io: &mut IO, bytes: &[u8]) -> Result<(), HandshakeError> {
    io.write_all(bytes).await?;
    Ok(io.flush().await?)
}

async fn refuse<IO: AsyncWrite + Unpin>(
    io: &mut IO,
    reason: Refusal,
) -> Result<(), HandshakeError> {
    send(io, &message::refusal(reason)).await?;
    Ok(io.shutdown().await?)
}

async fn receive<IO: AsyncRead + Unpin>(io: &mut IO) -> Result<(Type, Vec<u8>), HandshakeError> {
    let mut header = [0; message::HEADER_BYTES];
    io.read_exact(&mut header).await?;
    let (kind, length) = message::decode_header(header)?;
    let mut body = vec![0; length];
    io.read_exact(&mut body).await?;
    Ok((kind, body))
}

#[cfg(test)]
mod tests;
