//! One direction of one connection: read, queue until due, write.

use std::io::{self, IoSlice};

use bytes::{BufMut, BytesMut};
use tokio::net::TcpStream;

use super::super::clock;
use super::super::meter::StreamMeter;
use super::alarm::Alarm;
use super::delay::{DelayQueue, End};
use super::shaping::Shaping;

/// Most bytes of one read: some loopback segments at once.
const READ_BYTES_MAX: usize = 128 * 1024;
/// A new buffer is opened when less than this is left in the old one, so that
/// small reads share buffers and waste at most an eighth.
const READ_BYTES_MIN: usize = 16 * 1024;
/// Chunks handed to the kernel in one write.
const WRITE_SLICES_MAX: usize = 32;
/// After this many bytes other flows and the timers of this thread get their
/// turn: about a quarter of a millisecond of copying.
const TURN_BYTES_MAX: usize = 1024 * 1024;

/// How a flow ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// The sender closed its side, and so did we toward the receiver.
    Closed,
    /// The sender's connection broke, and everything before that was delivered.
    Reset,
    /// The receiver takes no more.
    ReceiverGone,
    /// No timer, or the runtime is ending.
    Failed(io::Error),
}

/// One task's view of a direction; owns everything but the sockets.
#[derive(Debug)]
pub(super) struct Flow<'a> {
    from: &'a TcpStream,
    to: &'a TcpStream,
    meter: &'a StreamMeter,
    shaping: Shaping,
    queue: DelayQueue,
    alarm: Alarm,
    buffer: BytesMut,
    reading: bool,
    turn_bytes: usize,
}

enum Delivery {
    /// Nothing is due.
    Idle,
    /// The receiver's socket is full.
    Blocked,
    /// More is due, but others come first.
    TurnOver,
    Over(Ending),
}

impl<'a> Flow<'a> {
    pub(super) fn new(
        from: &'a TcpStream,
        to: &'a TcpStream,
        meter: &'a StreamMeter,
        shaping: Shaping,
    ) -> Self {
        Self {
            from,
            to,
            meter,
            shaping,
            queue: DelayQueue::default(),
            alarm: Alarm::default(),
            buffer: BytesMut::new(),
            reading: true,
            turn_bytes: 0,
        }
    }

    /// Runs to the end of the direction.
    pub(super) async fn run(mut self) -> Ending {
        loop {
            let delivery = self.deliver();
            if let Delivery::Over(ending) = delivery {
                return ending;
            }
            let took = self.take();
            if self.turn_bytes >= TURN_BYTES_MAX || matches!(delivery, Delivery::TurnOver) {
                self.turn_bytes = 0;
                tokio::task::yield_now().await;
            } else if !took
                && let Err(error) = self.wait(matches!(delivery, Delivery::Blocked)).await
            {
                return Ending::Failed(error);
            }
        }
    }

    /// Writes what is due, as far as the receiver takes it.
    fn deliver(&mut self) -> Delivery {
        loop {
            if self.turn_bytes >= TURN_BYTES_MAX {
                return Delivery::TurnOver;
            }
            let now_ns = clock::now_ns();
            let mut slices = [IoSlice::new(&[]); WRITE_SLICES_MAX];
            let (count, bytes) = self.queue.due(now_ns, &mut slices);
            if count == 0 {
                return self.queue.due_end(now_ns).map_or(Delivery::Idle, |end| self.finish(end));
            }
            self.meter.claim(bytes);
            let result = self.to.try_write_vectored(&slices[..count]);
            self.meter.settle(bytes, *result.as_ref().unwrap_or(&0), now_ns);
            match result {
                Ok(written) => {
                    self.queue.advance(written);
                    self.turn_bytes += written;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Delivery::Blocked;
                }
                Err(_) => return Delivery::Over(Ending::ReceiverGone),
            }
        }
    }

    /// Reads one chunk and queues it. Says whether anything came, be it the end.
    fn take(&mut self) -> bool {
        if !self.may_read() {
            return false;
        }
        if self.buffer.capacity() < READ_BYTES_MIN {
            self.buffer.reserve(READ_BYTES_MAX);
        }
        let result = self.from.try_read_buf(&mut (&mut self.buffer).limit(READ_BYTES_MAX));
        let end = match result {
            Ok(0) => End::Closed,
            Ok(bytes) => {
                let due_ns = self.due_ns();
                self.queue.push(self.buffer.split().freeze(), due_ns.1);
                self.meter.received(bytes, self.queue.bytes(), due_ns.0);
                self.turn_bytes += bytes;
                return true;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            Err(_) => End::Reset,
        };
        let (_, due_ns) = self.due_ns();
        self.queue.close(end, due_ns);
        self.reading = false;
        true
    }

    /// Now, and when what arrived now is due.
    fn due_ns(&mut self) -> (u64, u64) {
        self.shaping.refresh();
        let now_ns = clock::now_ns();
        (now_ns, now_ns + self.shaping.delay_ns())
    }

    fn may_read(&self) -> bool {
        self.reading && self.queue.has_room(self.shaping.queue_bytes_max())
    }

    async fn wait(&mut self, blocked: bool) -> io::Result<()> {
        let may_read = self.may_read();
        let due_ns = if blocked { None } else { self.queue.next_due_ns() };
        tokio::select! {
            result = self.from.readable(), if may_read => result,
            result = self.to.writable(), if blocked => result,
            result = self.alarm.until(due_ns.unwrap_or(0)), if due_ns.is_some() => result,
        }
    }

    fn finish(&self, end: End) -> Delivery {
        Delivery::Over(match end {
            // Fails only when the receiver is gone.
            End::Closed => match rustix::net::shutdown(self.to, rustix::net::Shutdown::Write) {
                Ok(()) => Ending::Closed,
                Err(_) => Ending::ReceiverGone,
            },
            End::Reset => Ending::Reset,
        })
    }
}

impl Drop for Flow<'_> {
    fn drop(&mut self) {
        self.meter.discarded(self.queue.bytes());
    }
}
