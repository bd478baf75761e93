//! Sessions end when their peer is forgotten, not only when it hangs up.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;

/// A stream with a known peer. Once that is forgotten it says good-bye, as far as the
/// transport takes it at once, and fails: nothing is read or written any more.
///
/// Both halves are to be polled by one task, as HTTP/2 does: the end wakes the one
/// that polled last.
pub(super) struct Admitted<IO> {
    io: IO,
    forgotten: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl<IO> Admitted<IO> {
    /// `io` until `forgotten`.
    pub(super) fn new(io: IO, forgotten: CancellationToken) -> Self {
        Self { io, forgotten: Box::pin(forgotten.cancelled_owned()) }
    }
}

impl<IO: AsyncWrite + Unpin> Admitted<IO> {
    /// The stream, and a wake-up when it ends.
    fn admitted(&mut self, cx: &mut Context<'_>) -> io::Result<Pin<&mut IO>> {
        if self.forgotten.as_mut().poll(cx).is_pending() {
            return Ok(Pin::new(&mut self.io));
        }
        // A peer that reads nothing is not waited for.
        let _ = Pin::new(&mut self.io).poll_shutdown(cx);
        Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the peer is no longer known"))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for Admitted<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut().admitted(cx) {
            Ok(io) => io.poll_read(cx, buf),
            Err(error) => Poll::Ready(Err(error)),
        }
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
