//! Carries a [`Dialogue`] over a transport, within a deadline.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Duration, Instant, timeout_at};

use super::SecureStream;
use crate::secure::entropy;
use crate::secure::handshake::dialogue::Dialogue;
use crate::secure::handshake::message::BODY_BYTES_MAX;
use crate::secure::handshake::{HandshakeError, Local};
use crate::secure::identity::{Identity, PeerId};
use crate::secure::rekey::RekeyLimits;
use crate::secure::session::{SessionHandle, Shared, Side};
use crate::secure::suite::{Provider, SuiteChoice};
use crate::telemetry::complaints::Complaints;
use crate::telemetry::layers::Account;

pub use crate::secure::handshake::dialogue::{Joined, Known, Lanes};

/// What is read and dropped of a connection that gets no answer.
const IGNORED_BYTES_MAX: usize = 64 * 1024;

/// What a session is to be like, apart from who is at its ends.
#[derive(Clone, Debug)]
pub struct Terms {
    /// When our sending direction changes its key.
    pub rekey: RekeyLimits,
    /// How records are sealed.
    pub suites: SuiteChoice,
    /// Who implements them.
    pub provider: Provider,
    /// The whole handshake, both directions.
    pub handshake_deadline_ms: u64,
    /// How long the transport may take nothing before the session is given up.
    pub stall_deadline_ms: u64,
    /// Where the session's layers charge their time.
    pub account: Account,
    /// Where it is said why the session failed.
    pub complaints: Arc<Complaints>,
}

/// The dialling end: a session with exactly `remote`.
///
/// # Errors
/// As [`HandshakeError`] says; the transport is dropped. Not cancel-safe: a
/// dropped handshake is a failed one.
pub async fn connect<IO: AsyncRead + AsyncWrite + Unpin>(
    mut io: IO,
    identity: &Identity,
    remote: PeerId,
    peer_name: &str,
    terms: Terms,
) -> Result<SecureStream<IO>, HandshakeError> {
    let local = Local { identity, suites: terms.suites, entropy: entropy::system };
    let mut dialogue = Dialogue::dial(local, remote, peer_name)?;
    let deadline_ms = terms.handshake_deadline_ms;
    let until = Instant::now() + Duration::from_millis(deadline_ms);
    carry(&mut io, &mut dialogue, until, deadline_ms).await?;
    Ok(stream(io, dialogue, Side::Dialled, terms))
}

/// The dialling end of a further connection of `session`, which begins with a fold.
///
/// # Errors
/// As [`HandshakeError`] says; the transport is dropped, and a ticket is used up. Not
/// cancel-safe: a dropped handshake is a failed one.
pub async fn join<IO: AsyncRead + AsyncWrite + Unpin>(
    mut io: IO,
    identity: &Identity,
    session: &SessionHandle,
    terms: Terms,
) -> Result<SecureStream<IO>, HandshakeError> {
    let local = Local { identity, suites: terms.suites, entropy: entropy::system };
    let joined = session.next_lane().ok_or(HandshakeError::NoTicketLeft)?;
    let mut dialogue = Dialogue::join(local, joined)?;
    let deadline_ms = terms.handshake_deadline_ms;
    let until = Instant::now() + Duration::from_millis(deadline_ms);
    carry(&mut io, &mut dialogue, until, deadline_ms).await?;
    let stream = stream(io, dialogue, Side::Dialled, terms);
    stream.handle().request_fold();
    Ok(stream)
}

/// The accepting end: a session with whoever of `known` dialled, or a further connection
/// of one in `lanes`.
///
/// # Errors
/// As [`HandshakeError`] says. Those who know our id were told; all others are to
/// hear nothing: [`ignore`](Rejected::ignore) their connection. Not cancel-safe: a dropped handshake is
/// a failed one.
pub async fn accept<IO: AsyncRead + AsyncWrite + Unpin>(
    mut io: IO,
    identity: &Identity,
    known: &Known,
    lanes: &Lanes,
    terms: Terms,
) -> Result<SecureStream<IO>, Rejected<IO>> {
    let local = Local { identity, suites: terms.suites, entropy: entropy::system };
    let mut dialogue = Dialogue::accept(local, known).with_lanes(lanes);
    let deadline_ms = terms.handshake_deadline_ms;
    let until = Instant::now() + Duration::from_millis(deadline_ms);
    match carry(&mut io, &mut dialogue, until, deadline_ms).await {
        Ok(()) => Ok(stream(io, dialogue, Side::Accepted, terms)),
        Err(error) => Err(Rejected { error, io, until }),
    }
}

/// A connection without a session.
#[derive(Debug)]
pub struct Rejected<IO> {
    /// Why.
    pub error: HandshakeError,
    io: IO,
    until: Instant,
}

impl<IO: AsyncRead + Unpin> Rejected<IO> {
    /// Keeps the connection open, and says nothing, until the deadline of its
    /// handshake, or until the other end leaves. So a scanner sees the same of a wrong
    /// message as of none: a port that never answers and closes at a fixed time.
    pub async fn ignore(mut self) {
        let left = async {
            let mut ignored = [0; 1024];
            let mut rest = IGNORED_BYTES_MAX;
            while rest > 0 {
                match self.io.read(&mut ignored).await {
                    Ok(0) | Err(_) => return,
                    Ok(bytes) => rest = rest.saturating_sub(bytes),
                }
            }
            // Whoever says so much is not read any more; the deadline closes it.
            std::future::pending::<()>().await;
        };
        // Passing the deadline is the purpose.
        let _ = timeout_at(self.until, left).await;
    }
}

async fn carry<IO: AsyncRead + AsyncWrite + Unpin>(
    io: &mut IO,
    dialogue: &mut Dialogue<'_>,
    until: Instant,
    deadline_ms: u64,
) -> Result<(), HandshakeError> {
    timeout_at(until, converse(io, dialogue))
        .await
        .unwrap_or(Err(HandshakeError::TimedOut { deadline_ms }))
}

async fn converse<IO: AsyncRead + AsyncWrite + Unpin>(
    io: &mut IO,
    dialogue: &mut Dialogue<'_>,
) -> Result<(), HandshakeError> {
    let mut buffer = [0; BODY_BYTES_MAX];
    let mut outcome = Ok(());
    loop {
        let output = dialogue.take_output();
        if !output.is_empty() {
            io.write_all(&output).await?;
            io.flush().await?;
        }
        outcome?;
        if dialogue.wanted() == 0 {
            return Ok(());
        }
        let bytes = io.read(&mut buffer[..dialogue.wanted()]).await?;
        if bytes == 0 {
            return Err(HandshakeError::Closed);
        }
        // What it has to say, it says also when it fails.
        outcome = dialogue.handle_input(&buffer[..bytes]);
    }
}

fn stream<IO>(io: IO, dialogue: Dialogue<'_>, side: Side, terms: Terms) -> SecureStream<IO> {
    let mut agreed = dialogue
        .finish(terms.rekey, 0)
        .expect("converse ends well only when nothing more is wanted");
    agreed.channel.set_provider(terms.provider);
    let (remote, name, account) = (agreed.remote, agreed.peer_name, terms.account);
    let shared = Shared::new(remote, name, side, account)
        .lane(agreed.lane, agreed.tickets)
        .complaining_to(terms.complaints);
    SecureStream::new(io, agreed.channel, terms.stall_deadline_ms, shared)
}

#[cfg(test)]
mod tests;
