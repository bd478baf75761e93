//! The JSON of the HTTP API, shared by server and client.

use serde::{Deserialize, Deserializer, Serialize};

pub use attributes::AttributeError;
pub use counters::{ConnectionCounters, ProxyCounters, StreamCounters};
pub use effect::{
    BUCKET_NAME_BYTES_MAX, BYTES_MAX, Bandwidth, Corrupt, Effect, Latency, RateScope, Slicer,
};
pub use quantity::{LATENCY_MS_MAX, Millis, RATE_KB_PER_S_MAX, RateBytes};
pub use toxic::{Stream, Toxic, ToxicDraft, ToxicUpdate};

mod attributes;
mod counters;
mod effect;
mod quantity;
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
/// Missing fields and null are read as empty, so that the server can name them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxySpec {
    /// Unique in the server, not empty.
    #[serde(default, deserialize_with = "null_is_default")]
    pub name: String,
    /// `host:port`; port 0 asks for any free port.
    #[serde(default, deserialize_with = "null_is_default")]
    pub listen: String,
    /// `host:port`, not empty.
    #[serde(default, deserialize_with = "null_is_default")]
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
    /// Those made, replaced or left alone, in the order asked. The stock server
    /// writes null where there are none.
    #[serde(default, deserialize_with = "null_is_default")]
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

/// As Go's decoder: null leaves a field as it was.
fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests;
