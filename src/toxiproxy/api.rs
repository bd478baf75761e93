//! The JSON of the HTTP API, shared by server and client.

use serde::{Deserialize, Serialize};

pub use toxic::{
    AttributeError, Effect, LATENCY_MS_MAX, Latency, Millis, Stream, Toxic, ToxicDraft, ToxicUpdate,
};

mod toxic;

/// What `GET /version` of the bundled server tells: the version whose API it
/// speaks, and a mark that it is not the stock server.
pub const VERSION: &str = concat!("2.12.0-dropbed.", env!("CARGO_PKG_VERSION"));

/// The part of [`VERSION`] that the stock server never has.
pub const BUNDLED_MARK: &str = "-dropbed";

/// Path of the counters. An extension: the stock server answers 404.
pub const COUNTERS_PATH: &str = "/dropbed/counters";

/// One proxy, as the server tells it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proxy {
    /// Unique in the server.
    pub name: String,
    /// `host:port` that it listens on; the real port once it was enabled.
    pub listen: String,
    /// `host:port` that it dials for each connection.
    pub upstream: String,
    /// Whether it listens.
    pub enabled: bool,
    /// In order of creation, both streams.
    #[serde(default)]
    pub toxics: Vec<Toxic>,
}

/// Body of `POST /proxies`, and element of that of `POST /populate`.
///
/// Missing fields are read as empty, so that the server can name them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxySpec {
    /// Unique in the server, not empty.
    #[serde(default)]
    pub name: String,
    /// `host:port`; port 0 asks for any free port.
    #[serde(default)]
    pub listen: String,
    /// `host:port`, not empty.
    #[serde(default)]
    pub upstream: String,
    /// Whether it listens at once; none means yes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// Body of `PATCH /proxies/{proxy}`: what is none stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyUpdate {
    /// Listen elsewhere. Cuts all connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,
    /// Dial elsewhere. Cuts all connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// False closes the listener and all connections; toxics are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// Answer to `POST /populate`. With an error, `proxies` are those done before it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Populated {
    /// Why not all were done.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<ErrorBody>,
    /// Those made, replaced or left alone, in the order asked.
    pub proxies: Vec<Proxy>,
}

/// Body of every error answer. Its content type says `text/plain`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// In words.
    pub error: String,
    /// The HTTP status once more.
    pub status: u16,
}

/// Body of `GET /version`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionBody {
    /// For instance `2.12.0`.
    pub version: String,
}

/// Element of the answer at [`COUNTERS_PATH`], a map by proxy name. Extension.
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

/// Counters of one direction over all connections of a proxy. Extension.
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

#[cfg(test)]
mod tests;
