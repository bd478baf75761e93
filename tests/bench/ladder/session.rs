//! Sessions as the daemon makes them, for every way above the loops.

use std::sync::Arc;

use anyhow::Context as _;
use dropbed::net::{Listener, SessionOptions, dial};
use dropbed::secure::{
    Identity, PeerId, Provider, RekeyLimits, SecureStream, SessionHandle, Suite, SuiteChoice,
};
use dropbed::telemetry::layers::Account;
use futures::{Stream, StreamExt as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::aead::Cipher;
use super::arm::Arm;

/// What the record layer is given at a time: a DATA frame's worth.
const WRITE_BYTES: usize = 512 << 10;

/// The settings of an arm's sessions.
pub(crate) fn options(arm: Arm) -> SessionOptions {
    let suites = match arm.cipher {
        Some(Cipher::Aes) => SuiteChoice::Only(Suite::Aes256Gcm),
        _ => SuiteChoice::Only(Suite::ChaCha20Poly1305),
    };
    let mut rekey = RekeyLimits::default();
    rekey.bytes = arm.rekey_bytes.unwrap_or(rekey.bytes);
    rekey.fold_interval_ms = arm.fold_ms.unwrap_or(rekey.fold_interval_ms);
    let provider = match arm.cipher {
        Some(Cipher::ChachaCrate) => Provider::RustCrypto,
        _ => Provider::AwsLc,
    };
    SessionOptions { suites, provider, rekey, ..SessionOptions::default() }
}

/// A listener's sessions with anybody; its address and its id.
pub(crate) async fn listen(
    arm: Arm,
) -> anyhow::Result<(String, PeerId, impl Stream<Item = SecureStream<TcpStream>> + Unpin)> {
    let identity = Arc::new(Identity::generate()?);
    let id = identity.id();
    let listener = Listener::bind("127.0.0.1:0").await?;
    let address = listener.local_address().to_string();
    let known = Arc::new(|_: &PeerId| Some("receiver".to_owned()));
    let incoming = listener.incoming(identity, known, options(arm));
    Ok((address, id, incoming.map(|session| session.unwrap_or_else(|never| match never {}))))
}

/// A session with it.
pub(crate) async fn connect(
    arm: Arm,
    identity: &Identity,
    address: &str,
    id: PeerId,
) -> anyhow::Result<SecureStream<TcpStream>> {
    Ok(dial(address, "sender", id, identity, &options(arm), Account::new()).await?)
}

/// One more connection of a session.
pub(crate) async fn join(
    arm: Arm,
    identity: &Identity,
    address: &str,
    session: &SessionHandle,
) -> anyhow::Result<SecureStream<TcpStream>> {
    Ok(dropbed::net::join(address, session, identity, &options(arm)).await?)
}

/// Answers orders on a stream: so many bytes each.
pub(crate) async fn send<IO: AsyncRead + AsyncWrite + Unpin>(mut io: IO) -> anyhow::Result<()> {
    let block = vec![0x5a; WRITE_BYTES];
    loop {
        let Ok(mut rest) = io.read_u64_le().await else { return Ok(()) };
        while rest > 0 {
            let part = usize::try_from(rest).map_or(WRITE_BYTES, |rest| rest.min(WRITE_BYTES));
            io.write_all(&block[..part]).await?;
            rest -= part as u64;
        }
        io.flush().await?;
    }
}

/// Orders bytes and discards them.
pub(crate) async fn receive<IO: AsyncRead + AsyncWrite + Unpin>(
    io: &mut IO,
    bytes: u64,
) -> anyhow::Result<()> {
    io.write_u64_le(bytes).await?;
    io.flush().await?;
    let mut buffer = vec![0; WRITE_BYTES];
    let mut rest = bytes;
    while rest > 0 {
        let read = io.read(&mut buffer).await.context("cannot read what was ordered")?;
        anyhow::ensure!(read > 0, "the sender closed with {rest} bytes to go");
        rest -= read as u64;
    }
    Ok(())
}
