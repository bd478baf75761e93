//! Moves bytes between a channel and its transport.

use std::io;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Duration, Instant, sleep_until};

use super::super::channel::Event;
use super::super::record::RecordError;
use super::{SecureStream, broken, meter};

impl<IO> SecureStream<IO> {
    /// The channel's time: tokio's, which tests can pause.
    pub(super) fn now_ns(&self) -> u64 {
        let since_start = Instant::now().saturating_duration_since(self.began);
        // 2^64 ns are 584 years.
        u64::try_from(since_start.as_nanos()).unwrap_or(u64::MAX)
    }

    /// Takes what the handle asked for.
    fn take_wishes(&mut self) {
        if self.shared.wishes.take_rekey() {
            self.channel.request_rekey();
        }
        if self.shared.wishes.take_fold() {
            self.channel.request_fold();
        }
    }

    /// Ends the session for its handles. A write after our own close is an error of the
    /// writer alone; it is no failure of the session.
    pub(super) fn fail(&self, error: io::Error) -> io::Error {
        let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
        if cause != Some(&RecordError::AfterClose) || self.channel.failure().is_some() {
            self.shared.fail(&error);
        }
        error
    }

    /// Has both halves polled at `at`; true when it has passed.
    fn watch(&mut self, at: Instant) -> bool {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if timer.deadline() != at {
            timer.as_mut().reset(at);
        }
        timer.as_mut().poll(&mut Context::from_waker(&self.both)).is_ready()
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> SecureStream<IO> {
    /// Sends what is pending and must not wait for the writer: what the peer or
    /// somebody here asked for, and the rest of the send buffer.
    pub(super) fn poll_pending(&mut self) -> Poll<io::Result<()>> {
        loop {
            self.take_wishes();
            if let Some(error) = self.channel.failure() {
                return Poll::Ready(Err(broken(error)));
            }
            ready!(self.poll_drain())?;
            let now_ns = self.now_ns();
            let (channel, shared) = (&mut self.channel, &self.shared);
            if channel.has_control(now_ns) {
                meter::sealing(shared, || channel.prepare_output(now_ns)).map_err(broken)?;
                shared.publish(channel);
            }
            if self.channel.output().is_empty() {
                // A time that is here already wakes nobody.
                if let Some(at_ns) = self.channel.wake_at_ns()
                    && self.watch(self.began + Duration::from_nanos(at_ns))
                {
                    continue;
                }
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// The reading half's part in that. A write error is for the writer: what the
    /// peer has sent can still be read.
    pub(super) fn nudge(&mut self) {
        let _ = self.poll_pending();
    }

    /// Ready when the transport has everything.
    fn poll_drain(&mut self) -> Poll<io::Result<()>> {
        while !self.channel.output().is_empty() {
            let mut cx = Context::from_waker(&self.both);
            let polled = Pin::new(&mut self.io).poll_write(&mut cx, self.channel.output());
            let Poll::Ready(wrote) = polled else {
                self.write_wait.begin(self.shared.account(), self.shared.write_wait_layer());
                return self.poll_stalled();
            };
            self.write_wait.end(&self.shared.tally.write_blocked_ns);
            self.blocked_since = None;
            let wrote = wrote?;
            if wrote == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.channel.handle_sent(wrote);
            self.shared.tally.wire_bytes_sent.fetch_add(wrote as u64, Ordering::Relaxed);
        }
        Poll::Ready(Ok(()))
    }

    /// The transport takes nothing: pending, up to the deadline.
    fn poll_stalled(&mut self) -> Poll<io::Result<()>> {
        let since = *self.blocked_since.get_or_insert_with(Instant::now);
        let deadline_ms = self.stall_deadline_ms;
        if !self.watch(since + Duration::from_millis(deadline_ms)) {
            return Poll::Pending;
        }
        let stalled = RecordError::Stalled { deadline_ms };
        self.channel.fail(stalled);
        let error = self.fail(broken(stalled));
        // The other half may wait for the transport, which says nothing more.
        self.both.wake_by_ref();
        Poll::Ready(Err(error))
    }

    /// Opens the next record.
    pub(super) fn next_event(&mut self) -> io::Result<Event> {
        if !self.channel.has_record() {
            // An error of before, an end, or nothing: no work to charge.
            return self.channel.next_event(0).map_err(broken);
        }
        let now_ns = self.now_ns();
        let epoch = self.channel.epochs().1;
        let (channel, shared) = (&mut self.channel, &self.shared);
        let event = meter::opening(shared, || channel.next_event(now_ns)).map_err(broken)?;
        shared.publish(channel);
        if event == Event::Data {
            self.gaps.data_received(epoch, channel.data().len(), shared);
        }
        Ok(event)
    }

    /// Reads as much as is wanted, at least a byte.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut buf = ReadBuf::new(self.channel.input_room());
        let polled = Pin::new(&mut self.io).poll_read(cx, &mut buf);
        let bytes = buf.filled().len();
        if polled.is_pending() {
            self.read_wait.begin(self.shared.account(), self.shared.read_wait_layer());
        } else {
            self.read_wait.end(&self.shared.tally.read_wait_ns);
        }
        ready!(polled)?;
        if bytes == 0 {
            let cut = self.channel.handle_end_of_input().err().unwrap_or(RecordError::Truncated);
            self.channel.fail(cut);
            return Poll::Ready(Err(broken(cut)));
        }
        self.channel.handle_input(bytes);
        self.shared.tally.wire_bytes_received.fetch_add(bytes as u64, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}
