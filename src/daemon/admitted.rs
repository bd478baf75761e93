//! Sessions end when they are cut here, not only when their peer hangs up.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Duration, Sleep, sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;

use crate::telemetry::complaints::Complaints;

/// What every client of HTTP/2 says first (RFC 9113 section 3.4).
const PREFACE_BYTES: usize = 24;

/// How long a peer that has dialled may take to say it. HTTP/2's own pings, which find
/// a dead end, begin only after it. Over the slowest link of a topology (8 kbit/s, 4 s
/// one way) it takes 5 s.
const PREFACE_DEADLINE: Duration = Duration::from_secs(30);

/// A stream with a known peer. Once it is cut, because the peer is forgotten or has too
/// many or the daemon ends, it says good-bye, as far as the transport takes it at once,
/// and fails: nothing is read or written any more.
///
/// Both halves are to be polled by one task, as HTTP/2 does: the end wakes the one
/// that polled last.
pub(super) struct Admitted<IO> {
    io: IO,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    preface: Option<Preface>,
}

/// The first words of a peer that are still to come.
struct Preface {
    peer: String,
    complaints: Arc<Complaints>,
    missing_bytes: usize,
    deadline: Pin<Box<Sleep>>,
}

impl<IO> Admitted<IO> {
    /// A stream that we dialled, until `cut`.
    pub(super) fn dialled(io: IO, cut: CancellationToken) -> Self {
        Self { io, cut: Box::pin(cut.cancelled_owned()), preface: None }
    }

    /// One that `peer` dialled, until `cut`, or until its first words are overdue.
    pub(super) fn accepted(
        io: IO,
        peer: &str,
        cut: CancellationToken,
        complaints: Arc<Complaints>,
    ) -> Self {
        let (peer, missing_bytes) = (peer.to_owned(), PREFACE_BYTES);
        let deadline = Box::pin(sleep(PREFACE_DEADLINE));
        let preface = Preface { peer, complaints, missing_bytes, deadline };
        Self { preface: Some(preface), ..Self::dialled(io, cut) }
    }

    /// So many bytes came.
    fn heard(&mut self, bytes: usize) {
        if let Some(preface) = &mut self.preface {
            preface.missing_bytes = preface.missing_bytes.saturating_sub(bytes);
        }
        self.preface.take_if(|preface| preface.missing_bytes == 0);
    }

    /// Why the stream ends here, if it does, and a wake-up when it will.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if self.cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "this end has cut the session",
            ));
        }
        let Some(preface) = &mut self.preface else { return Poll::Pending };
        if preface.deadline.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        let peer = &preface.peer;
        preface.complaints.warn(format_args!(
            "a session ends: its peer {peer} has not begun to speak in {PREFACE_DEADLINE:?}"
        ));
        Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, "the peer has not begun to speak"))
    }
}

impl<IO: AsyncWrite + Unpin> Admitted<IO> {
    /// The stream, and a wake-up when it ends.
    fn admitted(&mut self, cx: &mut Context<'_>) -> io::Result<Pin<&mut IO>> {
        let Poll::Ready(error) = self.poll_end(cx) else { return Ok(Pin::new(&mut self.io)) };
        // A peer that reads nothing is not waited for.
        let _ = Pin::new(&mut self.io).poll_shutdown(cx);
        Err(error)
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for Admitted<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let polled = match this.admitted(cx) {
            Ok(io) => io.poll_read(cx, buf),
            Err(error) => Poll::Ready(Err(error)),
        };
        this.heard(buf.filled().len() - before);
        polled
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Admitted<IO> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut().admitted(cx) {
            Ok(io) => io.poll_write(cx, buf),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut().admitted(cx) {
            Ok(io) => io.poll_write_vectored(cx, bufs),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut().admitted(cx) {
            Ok(io) => io.poll_flush(cx),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut().admitted(cx) {
            Ok(io) => io.poll_shutdown(cx),
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

impl<IO: Connected> Connected for Admitted<IO> {
    type ConnectInfo = IO::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.io.connect_info()
    }
}

#[cfg(test)]
mod tests;
