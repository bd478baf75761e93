//! Counters of one proxy, live and exact.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::super::api::{ProxyCounters, Stream, StreamCounters};
use super::clock;

/// Counters of a proxy over all its connections.
#[derive(Debug, Default)]
pub(super) struct ProxyMeter {
    opened: AtomicU64,
    open: AtomicU64,
    dials_failed: AtomicU64,
    streams: [StreamMeter; 2],
}

impl ProxyMeter {
    /// Counts a connection as open until the guard is dropped. The number says how
    /// many there were before it.
    pub(super) fn open(&self) -> (u64, OpenGuard<'_>) {
        self.open.fetch_add(1, Relaxed);
        (self.opened.fetch_add(1, Relaxed), OpenGuard(self))
    }

    /// Counts an upstream that could not be dialled.
    pub(super) fn dial_failed(&self) {
        self.dials_failed.fetch_add(1, Relaxed);
    }

    /// The counters of one direction.
    pub(super) fn stream(&self, stream: Stream) -> &StreamMeter {
        &self.streams[stream.index()]
    }

    /// All counters now.
    pub(super) fn counters(&self) -> ProxyCounters {
        ProxyCounters {
            connections_opened: self.opened.load(Relaxed),
            connections_open: self.open.load(Relaxed),
            dials_failed: self.dials_failed.load(Relaxed),
            upstream: self.stream(Stream::Upstream).counters(),
            downstream: self.stream(Stream::Downstream).counters(),
        }
    }
}

/// An open connection.
#[derive(Debug)]
pub(super) struct OpenGuard<'a>(&'a ProxyMeter);

impl Drop for OpenGuard<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}

/// Counters of one direction of a proxy. Times are CLOCK_MONOTONIC, 0 for never.
#[derive(Debug, Default)]
pub(super) struct StreamMeter {
    received_bytes: AtomicU64,
    claimed_bytes: AtomicU64,
    sent_bytes: AtomicU64,
    queued_bytes: AtomicU64,
    queued_bytes_max: AtomicU64,
    first_received_ns: AtomicU64,
    last_received_ns: AtomicU64,
    first_sent_ns: AtomicU64,
    last_sent_ns: AtomicU64,
}

impl StreamMeter {
    /// `bytes` were read from a sender, whose queue now holds `connection_bytes`.
    pub(super) fn received(&self, bytes: usize, connection_bytes: usize, now_ns: u64) {
        self.received_bytes.fetch_add(bytes as u64, Relaxed);
        self.queued_bytes.fetch_add(bytes as u64, Relaxed);
        self.queued_bytes_max.fetch_max(connection_bytes as u64, Relaxed);
        stamp(&self.first_received_ns, &self.last_received_ns, now_ns);
    }

    /// A write of `bytes` is about to be made. Counted before, so that the receiver
    /// never holds a byte that is not counted; [`Self::settle`] corrects.
    pub(super) fn claim(&self, bytes: usize) {
        self.claimed_bytes.fetch_add(bytes as u64, Relaxed);
    }

    /// Of `claimed` bytes `written` were taken by the kernel.
    pub(super) fn settle(&self, claimed: usize, written: usize, now_ns: u64) {
        self.claimed_bytes.fetch_sub((claimed - written) as u64, Relaxed);
        if written > 0 {
            self.sent_bytes.fetch_add(written as u64, Relaxed);
            self.queued_bytes.fetch_sub(written as u64, Relaxed);
            stamp(&self.first_sent_ns, &self.last_sent_ns, now_ns);
        }
    }

    /// A connection ended with `bytes` still queued.
    pub(super) fn discarded(&self, bytes: usize) {
        self.queued_bytes.fetch_sub(bytes as u64, Relaxed);
    }

    /// Bytes read, and bytes whose write is done: both only ever rise.
    pub(super) fn totals(&self) -> (u64, u64) {
        (self.received_bytes.load(Relaxed), self.sent_bytes.load(Relaxed))
    }

    fn counters(&self) -> StreamCounters {
        let time = |ns: &AtomicU64| match ns.load(Relaxed) {
            0 => None,
            at_ns => Some(clock::unix_us(at_ns)),
        };
        StreamCounters {
            received_bytes: self.received_bytes.load(Relaxed),
            sent_bytes: self.claimed_bytes.load(Relaxed),
            queued_bytes: self.queued_bytes.load(Relaxed),
            queued_bytes_max: self.queued_bytes_max.load(Relaxed),
            first_received_unix_us: time(&self.first_received_ns),
            last_received_unix_us: time(&self.last_received_ns),
            first_sent_unix_us: time(&self.first_sent_ns),
            last_sent_unix_us: time(&self.last_sent_ns),
        }
    }
}

fn stamp(first_ns: &AtomicU64, last_ns: &AtomicU64, now_ns: u64) {
    // Only the very first byte needs the more expensive exchange.
    if first_ns.load(Relaxed) == 0 {
        // Failing means that another connection was first.
        let _ = first_ns.compare_exchange(0, now_ns, Relaxed, Relaxed);
    }
    last_ns.fetch_max(now_ns, Relaxed);
}
