//! Records as a byte stream: the only poll code of the channel.
//!
//! Writing gathers the caller's slices into one record, seals it in the send
//! buffer and hands that to the transport in one write. Reading opens records in
//! the read buffer and copies their data once, into the reader's. Both buffers
//! live as long as the stream: steady state allocates nothing.
//!
//! The halves may be polled by different tasks (`tokio::io::split`). Whoever is
//! polled first carries out what is pending: whole records are appended to the
//! send buffer, so an answer never lands inside another record.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;

use self::incoming::{Incoming, Received};
use self::outgoing::Outgoing;
use super::record::{Opener, RecordError, Sealer};
use super::rekey::RekeyLimits;
use super::session::{self, SessionHandle, Shared};

mod incoming;
mod outgoing;
mod wait;

/// An encrypted, authenticated byte stream over `IO`.
///
/// The end of the stream is authentic: a reader gets end of file only after the
/// peer's `Close`, everything else is an error with a [`RecordError`] inside.
/// Reading and writing are cancel-safe: what `poll_write` has accepted is sealed
/// and kept, what `poll_read` has not given out stays. `poll_flush` is ready when
/// the transport has taken everything; `poll_shutdown` sends the `Close`.
pub struct SecureStream<IO> {
    io: IO,
    incoming: Incoming,
    outgoing: Outgoing,
    shared: Arc<Shared>,
    /// Registered with the transport for writing: wakes both halves.
    both: Waker,
}

impl<IO> SecureStream<IO> {
    /// A stream whose handshake is done and whose keys are confirmed.
    pub(super) fn new(
        io: IO,
        sealer: Sealer,
        opener: Opener,
        limits: RekeyLimits,
        shared: Shared,
    ) -> Self {
        let shared = Arc::new(shared);
        Self {
            io,
            incoming: Incoming::new(opener),
            outgoing: Outgoing::new(sealer, limits),
            both: session::both_halves(&shared),
            shared,
        }
    }

    /// The session, for those who do not read or write it.
    pub fn handle(&self) -> SessionHandle {
        SessionHandle(Arc::clone(&self.shared))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> SecureStream<IO> {
    /// Sends what is pending and must not wait for the writer: an update that
    /// somebody asked for, and the rest of the send buffer.
    fn poll_pending(&mut self) -> Poll<io::Result<()>> {
        if let Some(error) = self.incoming.failure() {
            return Poll::Ready(Err(broken(error)));
        }
        let seen_epoch = self.incoming.epoch();
        let mut context = Context::from_waker(&self.both);
        self.outgoing.poll_pending(&mut self.io, seen_epoch, &self.shared, &mut context)
    }

    /// The reading half's part in that. A write error is for the writer: what the
    /// peer has sent can still be read.
    fn nudge(&mut self) {
        let _ = self.poll_pending();
    }

    fn fail(&self, error: io::Error) -> io::Error {
        self.shared.close();
        error
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for SecureStream<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.shared.reader.register(cx.waker());
        this.nudge();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            if this.incoming.deliver(buf) {
                return Poll::Ready(Ok(()));
            }
            match this.incoming.next_record(&this.shared) {
                Ok(Received::Data) => {}
                Ok(Received::End) => {
                    this.shared.close();
                    return Poll::Ready(Ok(()));
                }
                Ok(Received::KeyUpdate(update)) => {
                    if let Err(error) = this.outgoing.handle_update(update) {
                        let error = this.incoming.reject(error);
                        return Poll::Ready(Err(this.fail(broken(error))));
                    }
                    this.nudge();
                }
                Ok(Received::Nothing) => {
                    let read = ready!(this.incoming.poll_fill(&mut this.io, &this.shared, cx));
                    read.map_err(|e| this.fail(e))?;
                }
                Err(error) => return Poll::Ready(Err(this.fail(broken(error)))),
            }
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for SecureStream<IO> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.shared.writer.register(cx.waker());
        ready!(this.poll_pending()).map_err(|e| this.fail(e))?;
        if bufs.iter().all(|part| part.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        let seen_epoch = this.incoming.epoch();
        let accepted = this.outgoing.seal(bufs, seen_epoch, &this.shared);
        let accepted = accepted.map_err(|e| this.fail(broken(e)))?;
        // Accepted is accepted: what the transport does not take now it takes when
        // flushed, and whether it failed the next call says.
        this.nudge();
        Poll::Ready(Ok(accepted))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.shared.writer.register(cx.waker());
        ready!(this.poll_pending()).map_err(|e| this.fail(e))?;
        Pin::new(&mut this.io).poll_flush(&mut Context::from_waker(&this.both))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.shared.writer.register(cx.waker());
        ready!(this.poll_pending()).map_err(|e| this.fail(e))?;
        this.outgoing.close(&this.shared).map_err(|e| this.fail(broken(e)))?;
        ready!(this.poll_pending()).map_err(|e| this.fail(e))?;
        Pin::new(&mut this.io).poll_shutdown(&mut Context::from_waker(&this.both))
    }
}

impl<IO> Connected for SecureStream<IO> {
    type ConnectInfo = SessionHandle;

    fn connect_info(&self) -> SessionHandle {
        self.handle()
    }
}

impl<IO> Drop for SecureStream<IO> {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl<IO> std::fmt::Debug for SecureStream<IO> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecureStream").field("session", &self.handle()).finish_non_exhaustive()
    }
}

/// A failed session as its reader and writer see it.
fn broken(error: RecordError) -> io::Error {
    let kind = match error {
        RecordError::Truncated => io::ErrorKind::UnexpectedEof,
        RecordError::AfterClose => io::ErrorKind::BrokenPipe,
        _ => io::ErrorKind::InvalidData,
    };
    io::Error::new(kind, error)
}

#[cfg(test)]
mod tests;
