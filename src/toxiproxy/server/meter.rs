//! Counters of one proxy, live and exact.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::super::api::{ConnectionCounters, ProxyCounters, Stream, StreamCounters};
use super::clock;

/// Closed connections that are remembered, the latest ones.
const CLOSED_MAX: usize = 64;

/// Counters of a proxy over all its connections.
#[derive(Debug, Default)]
pub(super) struct ProxyMeter {
    opened: AtomicU64,
    dials_failed: AtomicU64,
    streams: [StreamMeter; 2],
    connections: Mutex<Connections>,
}

#[derive(Debug, Default)]
struct Connections {
    open: BTreeMap<u64, Arc<ConnectionMeter>>,
    closed: VecDeque<ConnectionCounters>,
}

/// Counters of one connection, which count for its proxy too.
#[derive(Debug)]
pub(super) struct ConnectionMeter {
    proxy: Arc<ProxyMeter>,
    ordinal: u64,
    client: SocketAddr,
    opened_ns: u64,
    streams: [StreamMeter; 2],
}

impl ProxyMeter {
    /// Counts a connection as open until the guard is dropped.
    pub(super) fn open(self: &Arc<Self>, client: SocketAddr) -> OpenConnection {
        let meter = Arc::new(ConnectionMeter {
            proxy: Arc::clone(self),
            ordinal: self.opened.fetch_add(1, Relaxed),
            client,
            opened_ns: clock::now_ns(),
            streams: Default::default(),
        });
        self.connections().open.insert(meter.ordinal, Arc::clone(&meter));
        OpenConnection(meter)
    }

    /// The open connections, then the latest closed ones, each in order of opening
    /// or closing.
    pub(super) fn list(&self) -> Vec<ConnectionCounters> {
        let connections = self.connections();
        let open = connections.open.values().map(|meter| meter.counters(None));
        open.chain(connections.closed.iter().cloned()).collect()
    }

    /// Nothing that panics is done under the lock.
    fn connections(&self) -> MutexGuard<'_, Connections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
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
            connections_open: self.connections().open.len() as u64,
            dials_failed: self.dials_failed.load(Relaxed),
            upstream: self.stream(Stream::Upstream).counters(),
            downstream: self.stream(Stream::Downstream).counters(),
        }
    }
}

impl ConnectionMeter {
    /// How many connections the proxy had before this one.
    pub(super) fn ordinal(&self) -> u64 {
        self.ordinal
    }

    fn counters(&self, closed_ns: Option<u64>) -> ConnectionCounters {
        ConnectionCounters {
            ordinal: self.ordinal,
            client: self.client.to_string(),
            opened_unix_us: clock::unix_us(self.opened_ns),
            closed_unix_us: closed_ns.map(clock::unix_us),
            upstream: self.streams[Stream::Upstream.index()].counters(),
            downstream: self.streams[Stream::Downstream.index()].counters(),
        }
    }
}

/// An open connection; dropping it counts it as closed.
#[derive(Debug)]
pub(super) struct OpenConnection(Arc<ConnectionMeter>);

impl Deref for OpenConnection {
    type Target = ConnectionMeter;

    fn deref(&self) -> &ConnectionMeter {
        &self.0
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        let mut connections = self.0.proxy.connections();
        connections.open.remove(&self.0.ordinal);
        if connections.closed.len() == CLOSED_MAX {
            connections.closed.pop_front();
        }
        connections.closed.push_back(self.0.counters(Some(clock::now_ns())));
    }
}

/// One direction of a connection, counted for the connection and for its proxy.
#[derive(Clone, Copy, Debug)]
pub(super) struct FlowMeter<'a> {
    both: [&'a StreamMeter; 2],
}

impl<'a> FlowMeter<'a> {
    pub(super) fn new(connection: &'a ConnectionMeter, stream: Stream) -> Self {
        let index = stream.index();
        Self { both: [&connection.proxy.streams[index], &connection.streams[index]] }
    }

    /// See [`StreamMeter::received`].
    pub(super) fn received(self, bytes: usize, connection_bytes: usize, now_ns: u64) {
        for meter in self.both {
            meter.received(bytes, connection_bytes, now_ns);
        }
    }

    /// See [`StreamMeter::claim`].
    pub(super) fn claim(self, bytes: usize) {
        for meter in self.both {
            meter.claim(bytes);
        }
    }

    /// See [`StreamMeter::settle`].
    pub(super) fn settle(self, claimed: usize, written: usize, now_ns: u64) {
        for meter in self.both {
            meter.settle(claimed, written, now_ns);
        }
    }

    /// See [`StreamMeter::discarded`].
    pub(super) fn discarded(self, bytes: usize) {
        for meter in self.both {
            meter.discarded(bytes);
        }
    }
}

/// Counters of one direction, of a proxy or of a connection. Times are CLOCK_MONOTONIC, 0 for never.
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

    /// `bytes` that were read will never be written: a toxic swallowed them, or
    /// nobody is there to take them.
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
