//! Every window, frame, chunk and deadline of a session, in one place, so that
//! client and server agree and a measurement can say what it was made with.

use std::time::Duration;

use tonic::transport::{Endpoint, Server};

use crate::secure::lane::LANES_MAX;

/// HTTP/2 receive window of a stream. It caps a stream at window/RTT: 64 MiB carry
/// 10 Gbit/s up to 50 ms, 1 Gbit/s up to 500 ms. Memory is used only while the reader
/// lags.
pub const WINDOW_BYTES: u32 = 64 << 20;

/// The same of a whole connection that we dialled: one for each lane of a push, whose
/// streams may all come to this connection when the others die, and one for all other
/// calls. A stream that waits for its turn must not hold up the one whose turn it is.
pub const CONNECTION_WINDOW_BYTES: u32 = (LANES_MAX as u32 + 1) * WINDOW_BYTES;

/// Receive window of a stream on a further lane, which carries nothing but its share of a
/// push: four have as much together as the session. A lane that is ahead waits in it.
pub const LANE_WINDOW_BYTES: u32 = WINDOW_BYTES / 4;

/// The same of the whole lane, which other lanes' streams may come to.
pub const LANE_CONNECTION_WINDOW_BYTES: u32 = LANES_MAX as u32 * LANE_WINDOW_BYTES;

/// What a peer may send to us as a server, of a stream and of a connection: requests
/// and bursts.
pub const SERVER_WINDOW_BYTES: u32 = WINDOW_BYTES;

/// Largest HTTP/2 DATA frame that we accept, and with it what a peer sends: its
/// default of 16 KiB halves the throughput on loopback.
pub const FRAME_BYTES: u32 = 512 << 10;

/// File bytes per message of a push, unless asked otherwise: they just fill a DATA
/// frame (the head of the message has one of its own), so that the receiver need
/// not put them together again.
pub const PART_BYTES_DEFAULT: u32 = FRAME_BYTES;

/// Connections of a push, unless asked otherwise: where the processors or the receiver's
/// buffers do not bind, more bring nothing (ARCHITECTURE.md, The ladder).
pub const LANES_DEFAULT: u8 = 1;

/// File bytes per ranged read, unless asked otherwise: the article's chunk.
pub const CHUNK_BYTES_DEFAULT: u32 = 512 << 10;

/// Most file bytes in one message.
pub const CHUNK_BYTES_MAX: u32 = 4 << 20;

/// Ranged reads in flight, unless asked otherwise: 4 MiB, which is 1 Gbit/s at
/// 33 ms.
pub const DEPTH_DEFAULT: u32 = 8;

/// Most ranged reads that one stream has in flight at the client.
pub const DEPTH_MAX: u32 = 128;

/// Ranged reads of one stream that the server works on at a time.
pub const READ_IN_FLIGHT_MAX: usize = 32;

/// Parts of a push that are read from disk ahead of the network.
pub const READ_AHEAD_PARTS: usize = 4;

/// Parts that wait for the destination's disk before the network is held back.
pub const SINK_QUEUE_PARTS: usize = 8;

/// Entries in one message of a listing: at most about 350 KiB.
pub const LIST_BATCH_ENTRIES_MAX: usize = 1024;

/// Entries of one directory. Bounds the memory of both sides at about 100 MiB.
pub const LIST_ENTRIES_MAX: usize = 200_000;

/// Payload of a ping.
pub const PING_BYTES_MAX: usize = 1024;

/// Payload of one burst. Half of the window, which is the least that is open when
/// nothing is under way: so no burst waits for the receiver's leave, and its rate is
/// the link's and not window over round trip.
pub const BURST_BYTES_MAX: u64 = WINDOW_BYTES as u64 / 2;

/// A whole burst, in milliseconds. What takes longer is too long for its link.
pub const BURST_DEADLINE_MS: u64 = 120_000;

/// Largest message with file bytes.
pub const MESSAGE_BYTES_MAX: usize = (CHUNK_BYTES_MAX + (64 << 10)) as usize;

/// Largest of all others, either way: a batch of a listing has at most 350 KiB.
pub const SMALL_MESSAGE_BYTES_MAX: usize = 512 << 10;

/// Largest request for file bytes: a path of 4096 bytes, a version, a trace.
pub const REQUEST_BYTES_MAX: usize = 16 << 10;

/// Concurrent calls on one session. Mount and pulls need a handful.
pub const CALLS_MAX: u32 = 64;

/// An unanswered HTTP/2 ping is sent after this long without traffic.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// A session whose ping is not answered within this is closed.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a peer may be silent before a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// A call with one answer: from the request to the answer.
    pub unary_ms: u64,
    /// A stream: between two messages while something is owed.
    pub stall_ms: u64,
}

impl Default for Deadlines {
    /// 10 s for an answer; 30 s of silence, in which a message of
    /// [`CHUNK_BYTES_MAX`] arrives over 1.2 Mbit/s.
    fn default() -> Self {
        Self { unary_ms: 10_000, stall_ms: 30_000 }
    }
}

/// A tonic server with these limits.
pub fn server() -> Server {
    Server::builder()
        .initial_stream_window_size(SERVER_WINDOW_BYTES)
        .initial_connection_window_size(SERVER_WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES)
        .max_concurrent_streams(CALLS_MAX)
        .http2_keepalive_interval(Some(KEEP_ALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
}

/// A tonic endpoint with these limits. Its address only fills the `:authority`
/// of requests; the connector yields a stream that is connected already.
pub fn endpoint() -> Endpoint {
    with_windows(WINDOW_BYTES, CONNECTION_WINDOW_BYTES)
}

/// The same for a further lane.
pub fn lane_endpoint() -> Endpoint {
    with_windows(LANE_WINDOW_BYTES, LANE_CONNECTION_WINDOW_BYTES)
}

fn with_windows(stream_bytes: u32, connection_bytes: u32) -> Endpoint {
    Endpoint::from_static("http://peer.dropbed")
        .initial_stream_window_size(stream_bytes)
        .initial_connection_window_size(connection_bytes)
        .max_frame_size(FRAME_BYTES)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
}
