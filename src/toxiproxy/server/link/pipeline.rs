//! What a link does to one direction of one connection, from the bytes that come
//! to those that are due. Pure: no sockets, and time is an argument.
//!
//! Bytes enter (where toxics may swallow, cut or change them), wait for the rate
//! that they share with other connections, and are then on their way for the
//! latency. So the rate and the latency add up, whatever the order in which their
//! toxics were made.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use super::super::super::api::{Slicer, Stream};
use super::super::alarm::Precision;
use super::super::toxics::LiveToxic;
use super::acting::{ActingToxics, Cut, Fate};
use super::delay::{DelayQueue, End};
use super::seed::ConnectionSeed;
use limits::Limits;

mod limits;

/// Entries of the queues that an idle connection keeps, a few KiB.
const CHUNKS_KEPT_MAX: usize = 32;

/// One direction of one connection.
#[derive(Debug)]
pub(super) struct Pipeline {
    toxics: ActingToxics,
    limits: Limits,
    jitter: ChaCha8Rng,
    slices: ChaCha8Rng,
    /// Came, and waits for the rate.
    intake: VecDeque<Arrived>,
    intake_bytes: usize,
    /// The end of the stream, behind the intake.
    end: Option<(End, u64)>,
    /// Nothing comes behind an end, be it the sender's or a cut.
    is_closed: bool,
    /// Whether the sender's end vanished in a toxic.
    end_is_lost: bool,
    /// The intake moves on no sooner.
    gate_ns: u64,
    /// When the last of what moved on has passed the rate.
    passed_ns: u64,
    delay: DelayQueue,
    /// A cut by a toxic that was removed.
    cut: Option<Cut>,
}

#[derive(Debug)]
struct Arrived {
    bytes: Bytes,
    at_ns: u64,
}

impl Pipeline {
    pub(super) fn new(seed: &ConnectionSeed, stream: Stream) -> Self {
        let toxics = ActingToxics::new(seed.clone(), stream);
        Self {
            limits: Limits::of(&toxics),
            toxics,
            jitter: seed.draws(stream, "jitter"),
            slices: seed.draws(stream, "slices"),
            intake: VecDeque::new(),
            intake_bytes: 0,
            end: None,
            is_closed: false,
            end_is_lost: false,
            gate_ns: 0,
            passed_ns: 0,
            delay: DelayQueue::default(),
            cut: None,
        }
    }

    /// Takes a changed list of toxics over. What has entered keeps its due time.
    pub(super) fn follow(&mut self, live: &[LiveToxic], now_ns: u64) {
        let cut = self.toxics.follow(live, now_ns);
        self.cut = self.cut.or(cut);
        self.limits = Limits::of(&self.toxics);
        // What the old toxics made wait must not hold up what the new ones let pass.
        self.gate_ns = self.gate_ns.min(now_ns);
    }

    /// Whether bytes may go past it, as nothing acts and nothing is queued.
    pub(super) fn is_transparent(&self) -> bool {
        self.toxics.leave_data_alone() && self.is_empty() && !self.is_closed
    }

    /// Whether nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.intake.is_empty() && self.end.is_none() && self.delay.is_empty()
    }

    /// Bytes in it.
    pub(super) fn bytes(&self) -> usize {
        self.intake_bytes + self.delay.bytes()
    }

    /// Memory that it holds, about.
    pub(super) fn held_bytes(&self) -> usize {
        self.intake_bytes + self.delay.held_bytes()
    }

    /// Gives back memory that only a busy connection needs.
    pub(super) fn rest(&mut self) {
        if self.is_empty() {
            self.intake.shrink_to(CHUNKS_KEPT_MAX);
            self.delay.shrink_to(CHUNKS_KEPT_MAX);
        }
    }

    /// How much may be read; 0 while it is full, or a toxic lets nothing in.
    pub(super) fn room_bytes(&self) -> usize {
        let is_open = !self.is_closed && !self.toxics.is_stalled();
        if !is_open || !self.delay.has_room(self.limits.queue_bytes_max) {
            return 0;
        }
        self.limits.intake_bytes_max.saturating_sub(self.intake_bytes)
    }

    /// Bytes came from the sender, within [`Self::room_bytes`].
    pub(super) fn arrive(&mut self, bytes: Bytes, now_ns: u64) {
        debug_assert!(!self.is_closed, "bytes behind the end");
        let (bytes, cut) = match self.toxics.arrive(bytes, now_ns) {
            Fate::Pass(bytes) => (bytes, None),
            Fate::PassAndCut(bytes, cut) => (bytes, Some(cut)),
            Fate::Lost => return,
        };
        self.intake_bytes += bytes.len();
        if !bytes.is_empty() {
            self.intake.push_back(Arrived { bytes, at_ns: now_ns });
        }
        self.is_closed = cut.is_some();
        self.end = cut.map(|cut| (End::Cut(cut), now_ns));
        self.shape(now_ns);
    }

    /// The sender's stream ended.
    pub(super) fn end_arrives(&mut self, end: End, now_ns: u64) {
        self.is_closed = true;
        if self.toxics.end_arrives() {
            self.end = Some((end, now_ns));
            self.shape(now_ns);
        } else {
            self.end_is_lost = true;
        }
    }

    /// Whether the sender's end came and vanished.
    pub(super) fn end_is_lost(&self) -> bool {
        self.end_is_lost
    }

    /// Whether a toxic says that the connection is over, whatever is queued.
    pub(super) fn cut(&self, now_ns: u64) -> Option<Cut> {
        self.cut.or_else(|| self.toxics.cut(now_ns))
    }

    /// Moves on what the rate lets through by now.
    pub(super) fn shape(&mut self, now_ns: u64) {
        while !self.intake.is_empty() && self.intake_moves(now_ns) {
            match self.toxics.slicer() {
                Some(slicer) => self.move_slice(slicer, now_ns),
                None => self.move_piece(now_ns),
            }
        }
        if self.intake.is_empty()
            && let Some((end, at_ns)) = self.end.take()
        {
            let later_ns = if end == End::Closed { self.toxics.close_delay_ns() } else { 0 };
            let due_ns = at_ns.max(now_ns).max(self.passed_ns) + self.delay_ns() + later_ns;
            self.delay.close(end, due_ns);
        }
    }

    /// Moves whole chunks and a part of one, as much as passes at a time: whoever
    /// sends in small chunks gets as much of a shared rate as others.
    fn move_piece(&mut self, now_ns: u64) {
        let Some(first_ns) = self.intake.front().map(|arrived| arrived.at_ns) else { return };
        let bytes = self.intake_bytes.min(self.limits.quantum_bytes);
        let passed_ns = self.reserve(bytes, first_ns, now_ns);
        let delay_ns = self.delay_ns();
        let mut left = bytes;
        while left > 0 {
            let Some((chunk, at_ns)) = self.take_from_intake(left) else { return };
            left -= chunk.len();
            // No byte is sooner than its own latency.
            self.delay.push(chunk, passed_ns.max(at_ns) + delay_ns, false);
        }
        (self.passed_ns, self.gate_ns) = (passed_ns, passed_ns);
    }

    fn move_slice(&mut self, slicer: Slicer, now_ns: u64) {
        let bytes = slice_bytes(slicer, &mut self.slices).min(self.limits.quantum_bytes);
        let Some((slice, at_ns)) = self.take_from_intake(bytes) else { return };
        let passed_ns = self.reserve(slice.len(), at_ns.max(self.gate_ns), now_ns);
        let due_ns = passed_ns + self.delay_ns();
        self.delay.push(slice, due_ns, true);
        (self.passed_ns, self.gate_ns) = (passed_ns, passed_ns + slicer.delay.as_nanos());
    }

    /// Up to `bytes_max` of the oldest chunk, and when it came.
    fn take_from_intake(&mut self, bytes_max: usize) -> Option<(Bytes, u64)> {
        let front = self.intake.front_mut()?;
        let chunk = front.bytes.split_to(front.bytes.len().min(bytes_max));
        let at_ns = front.at_ns;
        if front.bytes.is_empty() {
            self.intake.pop_front();
        }
        self.intake_bytes -= chunk.len();
        Some((chunk, at_ns))
    }

    /// When `bytes` that were ready have passed every rate.
    fn reserve(&self, bytes: usize, ready_ns: u64, now_ns: u64) -> u64 {
        let rates = self.toxics.rates();
        rates.fold(ready_ns, |passed_ns, (rate, bucket)| {
            bucket.reserve(bytes, rate, passed_ns, now_ns)
        })
    }

    /// Fills `slices` with what is due, oldest first: how many, and their bytes.
    pub(super) fn due<'a>(&'a self, now_ns: u64, slices: &mut [IoSlice<'a>]) -> (usize, usize) {
        self.delay.due(now_ns, slices)
    }

    /// Takes `bytes` out at the front, at most what [`Self::due`] gave.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.delay.advance(bytes);
    }

    /// The end, once it is due and nothing is before it.
    pub(super) fn due_end(&self, now_ns: u64) -> Option<End> {
        self.delay.due_end(now_ns)
    }

    /// When anything will happen by itself. While the receiver takes nothing, what
    /// is due for it does not count.
    pub(super) fn next_ns(&self, receiver_is_full: bool) -> Option<u64> {
        let waits = !self.intake.is_empty() && !self.limits.is_blocked();
        let moves =
            (waits && self.delay.has_room(self.limits.queue_bytes_max)).then_some(self.gate_ns);
        let delivers = if receiver_is_full { None } else { self.delay.next_due_ns() };
        [moves, delivers, self.toxics.next_cut_ns()].into_iter().flatten().min()
    }

    /// Whether what is due is worth more than the kernel's timer: pieces of a rate
    /// come often, and are late by no more than others make up for.
    pub(super) fn precision(&self) -> Precision {
        if self.limits.is_paced { Precision::Timer } else { Precision::Exact }
    }

    /// Drops what is queued: nobody is there to take it. Returns how much it was.
    pub(super) fn discard(&mut self) -> usize {
        self.intake.clear();
        self.end = None;
        std::mem::take(&mut self.intake_bytes) + self.delay.clear()
    }

    fn intake_moves(&self, now_ns: u64) -> bool {
        let may_pass = !self.limits.is_paced || now_ns >= self.gate_ns;
        may_pass && !self.limits.is_blocked() && self.delay.has_room(self.limits.queue_bytes_max)
    }

    /// The way of a chunk: the sum over all latencies, each with its own jitter.
    fn delay_ns(&mut self) -> u64 {
        let draw = |jitter: &mut ChaCha8Rng, mean_ns: u64, jitter_ns: u64| match jitter_ns {
            0 => mean_ns,
            _ => jitter.random_range(mean_ns - jitter_ns..=mean_ns + jitter_ns),
        };
        let latencies = self.toxics.latencies();
        latencies
            .map(|latency| {
                draw(&mut self.jitter, latency.latency.as_nanos(), latency.jitter.as_nanos())
            })
            .sum()
    }
}

fn slice_bytes(slicer: Slicer, slices: &mut ChaCha8Rng) -> usize {
    let (mean, variation) = (slicer.average_size_bytes, slicer.size_variation_bytes);
    let drawn = slices.random_range(mean - variation..=mean + variation);
    usize::try_from(drawn).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
