//! One direction of one connection: read, let the pipeline decide, write.

use std::io::{self, ErrorKind, IoSlice};
use std::sync::Arc;

use tokio::net::TcpStream;

use super::super::alarm::{Alarm, Precision};
use super::super::clock;
use super::super::meter::FlowMeter;
use super::super::pool::{Pool, READ_BYTES_MAX};
use super::super::toxics::Followed;
use super::Sides;
use super::acting::Cut;
use super::delay::End;
use super::pipeline::Pipeline;
use super::splice::Bypass;

/// Chunks handed to the kernel in one write.
const WRITE_SLICES_MAX: usize = 32;
/// After this many bytes other flows and the timers of this thread get their
/// turn: about a quarter of a millisecond of copying.
const TURN_BYTES_MAX: usize = 1024 * 1024;
/// What a call counts for toward a turn, however little it moved: its own cost is
/// about that of copying as much.
const CALL_BYTES_MIN: usize = 8 * 1024;
/// How long a connection is kept whose ends both vanished, so that nobody is told.
/// As long as the kernel keeps half-closed ones (tcp_fin_timeout).
const SILENCE_NS_MAX: u64 = 60_000_000_000;

/// How a flow ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// The sender closed its side, and so did we toward the receiver.
    Closed,
    /// The sender's connection broke, and everything before that was delivered.
    Reset,
    /// The receiver takes no more.
    ReceiverGone,
    /// A toxic ends the connection.
    Cut(Cut),
    /// The sender's end vanished, and so long ago that nobody waits for it.
    Silent,
    /// No timer, or the runtime is ending.
    Failed(io::Error),
}

/// One direction at work; owns everything but the sockets.
#[derive(Debug)]
pub(super) struct Flow<'a> {
    sides: &'a Sides<'a>,
    /// Index of the sending side.
    side: usize,
    meter: FlowMeter<'a>,
    pool: &'a Arc<Pool>,
    toxics: Followed,
    pipeline: Pipeline,
    bypass: Bypass,
    /// Whether the kernel can splice here.
    can_bypass: bool,
    alarm: Option<Alarm>,
    buffer: Option<Vec<u8>>,
    is_reading: bool,
    /// What still comes is dropped.
    receiver_is_gone: bool,
    /// When it is over, although its end vanished.
    silent_until_ns: Option<u64>,
    /// What the pool counts for it.
    held_bytes: usize,
    turn_bytes: usize,
}

enum Delivery {
    /// Nothing is due.
    Idle,
    /// The receiver's socket is full.
    Blocked,
    /// More is due, but others come first.
    TurnOver,
    Over(End),
}

impl<'a> Flow<'a> {
    pub(super) fn new(
        sides: &'a Sides<'a>,
        side: usize,
        meter: FlowMeter<'a>,
        (toxics, pipeline): (Followed, Pipeline),
        pool: &'a Arc<Pool>,
    ) -> Self {
        let mut toxics = toxics;
        toxics.mark_changed();
        Self {
            sides,
            side,
            meter,
            pool,
            toxics,
            pipeline,
            bypass: Bypass::new(Arc::clone(pool)),
            can_bypass: true,
            alarm: None,
            buffer: None,
            is_reading: true,
            receiver_is_gone: false,
            silent_until_ns: None,
            held_bytes: 0,
            turn_bytes: 0,
        }
    }

    fn from(&self) -> &'a TcpStream {
        self.sides.sockets[self.side]
    }

    fn to(&self) -> &'a TcpStream {
        self.sides.sockets[1 - self.side]
    }

    /// Runs to the end of the direction. Cancelling drops what is queued.
    pub(super) async fn run(mut self) -> Ending {
        loop {
            let now_ns = clock::now_ns();
            // An error says that the proxy is gone: its connections are being cut.
            if self.toxics.has_changed().unwrap_or(false) {
                let live = self.toxics.borrow_and_update();
                self.pipeline.follow(&live, now_ns);
            }
            if let Some(cut) = self.pipeline.cut(now_ns) {
                return Ending::Cut(cut);
            }
            if self.silent_until_ns.is_some_and(|until_ns| until_ns <= now_ns) {
                return Ending::Silent;
            }
            let delivery = self.deliver();
            if let Delivery::Over(end) = delivery {
                return self.finish(end).await;
            }
            let took = self.take();
            self.count_held();
            if self.receiver_is_gone && !self.is_reading {
                return Ending::ReceiverGone;
            }
            if self.turn_bytes >= TURN_BYTES_MAX || matches!(delivery, Delivery::TurnOver) {
                self.turn_bytes = 0;
                tokio::task::yield_now().await;
            } else if !took
                && let Some(ending) = self.wait(matches!(delivery, Delivery::Blocked)).await
            {
                return ending;
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
            // Behind a full bypass too, or its time would be due again and again.
            self.pipeline.shape(now_ns);
            let (claimed, result) = if self.bypass.bytes() > 0 {
                let bytes = self.bypass.bytes();
                self.meter.claim(bytes);
                (bytes, self.bypass.drain(self.to()))
            } else {
                let mut slices = [IoSlice::new(&[]); WRITE_SLICES_MAX];
                let (count, bytes) = self.pipeline.due(now_ns, &mut slices);
                if count == 0 {
                    return self.pipeline.due_end(now_ns).map_or(Delivery::Idle, Delivery::Over);
                }
                self.meter.claim(bytes);
                let result = self.to().try_write_vectored(&slices[..count]);
                self.pipeline.advance(*result.as_ref().unwrap_or(&0));
                (bytes, result)
            };
            self.meter.settle(claimed, *result.as_ref().unwrap_or(&0), now_ns);
            match result {
                Ok(written) => self.turn_bytes += written.max(CALL_BYTES_MIN),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Delivery::Blocked,
                Err(_) => {
                    self.lose_receiver();
                    return Delivery::Idle;
                }
            }
        }
    }

    /// Reads once. Says whether anything came, be it the end.
    fn take(&mut self) -> bool {
        if !self.may_read() {
            return false;
        }
        let result = if self.goes_past() { self.take_past() } else { self.take_in() };
        let end = match result {
            Ok(0) if self.sides.is_broken(self.side) => End::Reset,
            Ok(0) => End::Closed,
            Ok(bytes) => {
                self.turn_bytes += bytes.max(CALL_BYTES_MIN);
                return true;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(error) if error.kind() == ErrorKind::InvalidInput && self.can_bypass => {
                self.can_bypass = false;
                return true;
            }
            Err(_) => End::Reset,
        };
        self.is_reading = false;
        self.sides.set_sender_ended(self.side);
        if !self.receiver_is_gone {
            self.pipeline.end_arrives(end, clock::now_ns());
        }
        true
    }

    fn take_past(&mut self) -> io::Result<usize> {
        let bytes = self.bypass.fill(self.from())?;
        self.meter.received(bytes, bytes, clock::now_ns());
        Ok(bytes)
    }

    fn take_in(&mut self) -> io::Result<usize> {
        let room = if self.receiver_is_gone { READ_BYTES_MAX } else { self.pipeline.room_bytes() };
        let mut buffer = self.buffer.take().unwrap_or_else(|| self.pool.buffer());
        let result = self.from().try_read(&mut buffer[..room.min(READ_BYTES_MAX)]);
        let bytes = match result {
            Ok(bytes) if bytes > 0 => bytes,
            _ => {
                self.buffer = Some(buffer);
                return result;
            }
        };
        let (now_ns, before) = (clock::now_ns(), self.pipeline.bytes());
        let chunk = self.pool.fill(buffer, bytes);
        if !self.receiver_is_gone {
            self.pipeline.arrive(chunk, now_ns);
        }
        let entered = self.pipeline.bytes() - before;
        self.meter.received(bytes, self.pipeline.bytes(), now_ns);
        // What a toxic swallowed was never under way.
        self.meter.discarded(bytes - entered);
        Ok(bytes)
    }

    fn may_read(&self) -> bool {
        if !self.is_reading || self.receiver_is_gone {
            return self.is_reading;
        }
        let past_is_full = self.bypass.bytes() > 0 && self.pipeline.is_transparent();
        !past_is_full && self.pipeline.room_bytes() > 0 && self.pool.has_room(self.held_bytes)
    }

    fn goes_past(&self) -> bool {
        self.can_bypass && !self.receiver_is_gone && self.pipeline.is_transparent()
    }

    /// Waits until anything can happen. An ending says that nothing will.
    async fn wait(&mut self, is_blocked: bool) -> Option<Ending> {
        self.bypass.rest();
        self.pipeline.rest();
        if let Some(buffer) = self.buffer.take() {
            self.pool.put_back(buffer);
        }
        let may_read = self.may_read();
        let next_ns = [self.pipeline.next_ns(is_blocked), self.silent_until_ns];
        let next_ns = next_ns.into_iter().flatten().min();
        let (from, to) = (self.from(), self.to());
        let precision = self.pipeline.precision();
        let is_silent = self.pipeline.end_is_lost() && self.silent_until_ns.is_none();
        if let Err(error) = self.set_aside_alarm(next_ns.is_some()) {
            return Some(Ending::Failed(error));
        }
        let result = tokio::select! {
            result = from.readable(), if may_read => result,
            result = to.writable(), if is_blocked => result,
            result = until(&mut self.alarm, next_ns, precision) => result,
            Ok(()) = self.toxics.changed() => {
                // Waiting counts as having seen it; it is still to be followed.
                self.toxics.mark_changed();
                Ok(())
            }
            () = self.sides.other_is_over(self.side), if self.receiver_is_gone => {
                return Some(Ending::ReceiverGone);
            }
            () = self.sides.other_sender_ended(self.side), if is_silent => {
                self.silent_until_ns = Some(clock::now_ns() + SILENCE_NS_MAX);
                Ok(())
            }
        };
        result.err().map(Ending::Failed)
    }

    /// Has an alarm while it is needed, and gives it back otherwise.
    fn set_aside_alarm(&mut self, is_needed: bool) -> io::Result<()> {
        match self.alarm.take() {
            Some(alarm) if !is_needed => self.pool.put_back_alarm(alarm),
            None if is_needed => self.alarm = Some(self.pool.alarm()?),
            kept => self.alarm = kept,
        }
        Ok(())
    }

    /// Nobody takes what is queued. The sender is still read, as its end must be
    /// seen, and a toxic may keep it from knowing.
    fn lose_receiver(&mut self) {
        self.sides.set_broken(1 - self.side);
        self.receiver_is_gone = true;
        self.drop_queued();
        self.bypass = Bypass::new(Arc::clone(self.pool));
    }

    fn drop_queued(&mut self) {
        let queued = self.pipeline.discard();
        self.meter.discarded(queued + self.bypass.bytes());
        self.count_held();
    }

    /// Tells the pool what changed.
    fn count_held(&mut self) {
        let held_bytes = self.pipeline.held_bytes();
        self.pool.held(self.held_bytes, held_bytes);
        self.held_bytes = held_bytes;
    }

    async fn finish(&self, end: End) -> Ending {
        match end {
            // Fails only when the receiver is gone.
            End::Closed => match rustix::net::shutdown(self.to(), rustix::net::Shutdown::Write) {
                Ok(()) => Ending::Closed,
                Err(_) => Ending::ReceiverGone,
            },
            End::Reset => {
                self.sides.sent(1 - self.side).await;
                Ending::Reset
            }
            End::Cut(cut) => {
                self.sides.sent(1 - self.side).await;
                Ending::Cut(cut)
            }
        }
    }
}

impl Drop for Flow<'_> {
    fn drop(&mut self) {
        self.drop_queued();
        if let Some(alarm) = self.alarm.take() {
            self.pool.put_back_alarm(alarm);
        }
    }
}

/// Returns at `at_ns`; never without both.
async fn until(
    alarm: &mut Option<Alarm>,
    at_ns: Option<u64>,
    precision: Precision,
) -> io::Result<()> {
    match (alarm, at_ns) {
        (Some(alarm), Some(at_ns)) => alarm.until(at_ns, precision).await,
        _ => std::future::pending().await,
    }
}
