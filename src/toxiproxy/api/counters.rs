//! Counters, as the bundled server tells them.

use serde::{Deserialize, Serialize};

/// Element of the answer at [`COUNTERS_PATH`](super::COUNTERS_PATH), a map by proxy name. Extension.
///
/// Counts start when the proxy is created; disabling, updating and `/reset` keep
/// them, deleting and replacing forget them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyCounters {
    /// Connections accepted.
    pub connections_opened: u64,
    /// Connections that are open now, being dialled included.
    pub connections_open: u64,
    /// Connections closed because the upstream could not be dialled.
    pub dials_failed: u64,
    /// Client to server.
    pub upstream: StreamCounters,
    /// Server to client.
    pub downstream: StreamCounters,
}

/// One connection of a proxy: element of the answer at
/// `/dropbed/proxies/{proxy}/connections`. Extension.
///
/// Live ones are told, and the last few that were closed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionCounters {
    /// How many connections the proxy had accepted before this one.
    pub ordinal: u64,
    /// `host:port` that it came from.
    pub client: String,
    /// When it was accepted, microseconds since 1970.
    pub opened_unix_us: u64,
    /// When it was closed, microseconds since 1970; none while it is open.
    pub closed_unix_us: Option<u64>,
    /// Client to server.
    pub upstream: StreamCounters,
    /// Server to client.
    pub downstream: StreamCounters,
}

/// Counters of one direction, of one connection or of all connections of a proxy.
/// Extension.
///
/// `sent_bytes` includes a write that is just being made, so whoever has received
/// everything finds everything counted; with no write under way it is exact.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamCounters {
    /// Bytes read from the sender.
    pub received_bytes: u64,
    /// Bytes written to the receiver.
    pub sent_bytes: u64,
    /// Bytes in the delay queues now.
    pub queued_bytes: u64,
    /// Most bytes that one connection's delay queue ever held.
    pub queued_bytes_max: u64,
    /// When the first byte was read, microseconds since 1970.
    pub first_received_unix_us: Option<u64>,
    /// When the last byte was read, microseconds since 1970.
    pub last_received_unix_us: Option<u64>,
    /// When the first byte was written, microseconds since 1970.
    pub first_sent_unix_us: Option<u64>,
    /// When the last byte was written, microseconds since 1970.
    pub last_sent_unix_us: Option<u64>,
}
