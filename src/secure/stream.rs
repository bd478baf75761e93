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
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};
use tonic::transport::server::Connected;

use self::meter::Gaps;
use self::wait::Wait;
use super::channel::{Channel, Event};
use super::record::RecordError;
use super::session::{self, SessionHandle, Shared};

mod drive;
pub mod establish;
mod meter;
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
    channel: Channel,
    shared: Arc<Shared>,
    /// Registered with the transport for writing: wakes both halves.
    both: Waker,
    began: Instant,
    /// Made when something first has to wait, then used again.
    timer: Option<Pin<Box<Sleep>>>,
    /// Since when the transport takes nothing.
    blocked_since: Option<Instant>,
    stall_deadline_ms: u64,
    read_wait: Wait,
    write_wait: Wait,
    gaps: Gaps,
}

impl<IO> SecureStream<IO> {
    /// A stream whose handshake is done and whose keys are confirmed. The channel's
    /// time begins now, at 0.
    pub(super) fn new(io: IO, channel: Channel, stall_deadline_ms: u64, shared: Shared) -> Self {
        let shared = Arc::new(shared);
        Self {
            io,
            channel,
            both: session::both_halves(&shared),
            shared,
            began: Instant::now(),
            timer: None,
            blocked_since: None,
            stall_deadline_ms,
            read_wait: Wait::default(),
            write_wait: Wait::default(),
            gaps: Gaps::default(),
        }
    }

    /// The session, for those who do not read or write it.
    pub fn handle(&self) -> SessionHandle {
        SessionHandle(Arc::clone(&self.shared))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for SecureStream<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.shared.wishes.register_reader(cx.waker());
        this.nudge();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            let data = this.channel.data();
            let bytes = data.len().min(buf.remaining());
            if bytes > 0 {
                buf.put_slice(&data[..bytes]);
                this.channel.consume(bytes);
                return Poll::Ready(Ok(()));
            }
            match this.next_event().map_err(|e| this.fail(e))? {
                Event::Data => {}
                Event::End => {
                    this.shared.close();
                    return Poll::Ready(Ok(()));
                }
                Event::Control => this.nudge(),
                Event::Nothing => ready!(this.poll_fill(cx)).map_err(|e| this.fail(e))?,
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
        this.shared.wishes.register_writer(cx.waker());
        ready!(this.poll_pending()).map_err(|e| this.fail(e))?;
        if bufs.iter().all(|part| part.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        let now_ns = this.now_ns();
        let (channel, shared) = (&mut this.channel, &this.shared);
        let accepted = meter::sealing(shared, || channel.write(bufs, now_ns));
        shared.publish(channel);
        let accepted = accepted.map_err(|e| this.fail(broken(e)))?;
        this.shared.tally.plain_bytes_sent.fetch_add(accepted as u64, Ordering::Relaxed);
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
        this.shared.wishes.register_writer(cx.waker());
        ready!(this.poll_pending()).map_err(|e| this.fail(e))?;
        Pin::new(&mut this.io).poll_flush(&mut Context::from_waker(&this.both))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.shared.wishes.register_writer(cx.waker());
        ready!(this.poll_pending()).map_err(|e| this.fail(e))?;
        let (channel, shared) = (&mut this.channel, &this.shared);
        let closed = meter::sealing(shared, || channel.close());
        shared.publish(channel);
        closed.map_err(|e| this.fail(broken(e)))?;
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
        RecordError::Stalled { .. } => io::ErrorKind::TimedOut,
        _ => io::ErrorKind::InvalidData,
    };
    io::Error::new(kind, error)
}

#[cfg(test)]
mod tests;
