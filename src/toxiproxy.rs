//! A Toxiproxy-compatible proxy server and a typed client for its API.
//!
//! Uses no other module of this package.
//!
//! - [`api`] holds the JSON that both ends share.
//! - [`server`] answers the HTTP API of Toxiproxy 2.12 and carries the bytes.
//! - [`client`] drives either this server or the stock one.
//!
//! The server differs from the stock one where that one distorts measurements:
//! the delay queue is bounded in bytes and not in chunks, a delay is met to a
//! fraction of a millisecond, changing a toxic never flushes what is queued,
//! half-close and reset are kept, the dial does not block the accept loop, the
//! seed works, and bytes are counted exactly. What the stock API does not have
//! lives under `/dropbed/`.

pub mod api;
pub mod client;
pub mod server;

#[cfg(test)]
mod testing;

#[cfg(test)]
mod tests;
