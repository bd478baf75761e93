//! A transport that gives and takes as little as it is told to, and is often busy.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub(super) struct Chop<IO> {
    io: IO,
    cuts: Vec<usize>,
    turn: usize,
}

impl<IO> Chop<IO> {
    pub(super) fn new(io: IO, cuts: Vec<usize>) -> Self {
        Self { io, cuts, turn: 0 }
    }

    /// How much this time; every third time nothing yet.
    fn cut(&mut self, cx: &Context<'_>) -> Poll<usize> {
        self.turn += 1;
        if self.turn.is_multiple_of(3) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.cuts[self.turn % self.cuts.len()])
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Chop<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let cut = std::task::ready!(self.cut(cx));
        let mut bytes = vec![0; cut.min(buf.remaining())];
        let mut part = ReadBuf::new(&mut bytes);
        std::task::ready!(Pin::new(&mut self.io).poll_read(cx, &mut part))?;
        buf.put_slice(part.filled());
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Chop<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let cut = std::task::ready!(self.cut(cx)).min(buf.len());
        Pin::new(&mut self.io).poll_write(cx, &buf[..cut])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
