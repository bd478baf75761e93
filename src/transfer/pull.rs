//! One file of a peer, whole, to a destination: stat, then push or ranged reads.

use std::path::PathBuf;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use tracing::Instrument as _;

use super::client::{Client, PushRequest};
use super::limits::{
    CHUNK_BYTES_DEFAULT, CHUNK_BYTES_MAX, DEPTH_DEFAULT, DEPTH_MAX, PART_BYTES_DEFAULT,
};
use super::reads::Range;
use super::sink::Sink;
pub use super::sink::SinkError;
use super::{FetchError, FileKind, Version, spans};
use crate::telemetry::layers::Layer;
use crate::telemetry::{clock, propagate};

pub(crate) use super::sink::{PARTIAL_PREFIX, remove_partials};

/// How bytes are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullMode {
    /// One stream, paced by flow control alone.
    Push {
        /// Bytes per message, at most [`CHUNK_BYTES_MAX`].
        part_bytes: u32,
        /// Connections that share it, at most, as far as the session has them.
        lanes: u8,
    },
    /// Ranged reads.
    RequestResponse {
        /// Bytes per request, at most [`CHUNK_BYTES_MAX`].
        chunk_bytes: u32,
        /// Requests in flight, at most [`DEPTH_MAX`].
        depth: u32,
    },
}

impl PullMode {
    /// Push with default parts.
    pub const PUSH: Self = Self::Push { part_bytes: PART_BYTES_DEFAULT, lanes: 1 };

    /// Ranged reads with default chunk and depth.
    pub const REQUEST_RESPONSE: Self =
        Self::RequestResponse { chunk_bytes: CHUNK_BYTES_DEFAULT, depth: DEPTH_DEFAULT };

    /// The name in telemetry.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Push { .. } => "push",
            Self::RequestResponse { .. } => "request-response",
        }
    }

    fn check(self) -> Result<(), PullError> {
        let (bytes, depth) = match self {
            Self::Push { part_bytes, .. } => (part_bytes, 1),
            Self::RequestResponse { chunk_bytes, depth } => (chunk_bytes, depth),
        };
        if !(1..=CHUNK_BYTES_MAX).contains(&bytes) {
            return Err(PullError::Size { what: "chunk", value: bytes, max: CHUNK_BYTES_MAX });
        }
        if !(1..=DEPTH_MAX).contains(&depth) {
            return Err(PullError::Size { what: "depth", value: depth, max: DEPTH_MAX });
        }
        Ok(())
    }
}

/// Where the bytes go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A file, which appears under this name only when it is complete.
    File(PathBuf),
    /// Hashed, then dropped.
    Hash,
}

/// A finished pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// Size of the file.
    pub bytes: u64,
    /// From just before the first request until the file is complete at its
    /// destination (on disk, under its name), or hashed.
    pub wall_ns: u64,
    /// From just before the first request to the first bytes of the file; 0 when
    /// it has none.
    pub first_byte_ns: u64,
    /// Longest time between two successive messages with bytes.
    pub gap_ns_max: u64,
    /// Connections that shared the bytes: 1 for ranged reads, and fewer than asked for
    /// when the session had no more or the file is small.
    pub lanes: usize,
    /// Only for [`Target::Hash`].
    pub blake3: Option<blake3::Hash>,
}

/// Why a pull failed. Nothing is at its destination then.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The peer, or the way to it.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The destination.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// A chunk or depth out of bounds.
    #[error("{what} {value} is not between 1 and {max}")]
    Size {
        /// `chunk` or `depth`.
        what: &'static str,
        /// As asked for.
        value: u32,
        /// The most there is.
        max: u32,
    },
    /// Only files can be pulled.
    #[error("{path}: is a directory at {peer}; pull its files")]
    Directory {
        /// Who was asked.
        peer: String,
        /// What for.
        path: String,
    },
}

/// Pulls `path`. `progress` hears the bytes so far and in total, after each
/// message; it must not block. Its span is a child of `traceparent`. Dropping the
/// future cancels the pull and leaves nothing at the destination.
pub async fn pull(
    client: &Client,
    path: &str,
    mode: PullMode,
    target: &Target,
    traceparent: Option<&str>,
    progress: impl FnMut(u64, u64) + Send,
) -> Result<Pulled, PullError> {
    mode.check()?;
    let span = spans::pull(client.peer(), path, mode.name());
    propagate::set_parent(&span, traceparent);
    let before = client.account().times();
    let pulled = run(client, path, mode, target, progress).instrument(span.clone()).await;
    let times = client.account().times().since(&before);
    spans::record_layers(&span, &times);
    // One interval for both, so that the layers add up to the wall time.
    pulled.map(|pulled| {
        spans::record_length(&span, pulled.bytes);
        Pulled { wall_ns: times.total_ns(), ..pulled }
    })
}

async fn run(
    client: &Client,
    path: &str,
    mode: PullMode,
    target: &Target,
    mut progress: impl FnMut(u64, u64) + Send,
) -> Result<Pulled, PullError> {
    let _fetch = client.account().enter(Layer::Fetch);
    let mut pace = Pace::start(clock::now_ns());
    let entry = client.stat(path).await?;
    if entry.kind == FileKind::Directory {
        let (peer, path) = (client.peer().to_owned(), path.to_owned());
        return Err(PullError::Directory { peer, path });
    }
    let size_bytes = entry.version.size_bytes;
    let sink = match target {
        Target::File(destination) => {
            let span = tracing::Span::current();
            Sink::file(destination, size_bytes, client.account().clone(), span)
        }
        Target::Hash => Sink::hash(),
    };
    let (mut parts, lanes) = parts(client, path, entry.version, mode).await?;
    let mut bytes = 0;
    while let Some(data) = parts.try_next().await? {
        if !data.is_empty() {
            pace.arrived(clock::now_ns());
        }
        bytes += data.len() as u64;
        if !sink.write(data).await {
            break;
        }
        progress(bytes, size_bytes);
    }
    drop(parts);
    let blake3 = sink.commit().await?;
    Ok(pace.done(clock::now_ns(), bytes, lanes, blake3))
}

/// The bytes of a file, in order.
type Parts = BoxStream<'static, Result<Bytes, FetchError>>;

/// The parts, and how many connections share them.
async fn parts(
    client: &Client,
    path: &str,
    version: Version,
    mode: PullMode,
) -> Result<(Parts, usize), FetchError> {
    match mode {
        PullMode::Push { part_bytes, lanes } => {
            let (version, part_bytes) = (Some(version), Some(part_bytes));
            let (path, lanes_max) = (path.to_owned(), lanes.into());
            let request =
                PushRequest { path, version, part_bytes, lanes_max, ..PushRequest::default() };
            let push = client.push(request).await?;
            let lanes = push.streams();
            let parts = futures::stream::try_unfold(push, |mut push| async move {
                Ok(push.next().await?.map(|data| (data, push)))
            });
            Ok((parts.boxed(), lanes))
        }
        PullMode::RequestResponse { chunk_bytes, depth } => {
            let (client, path, reads) = (client.clone(), path.to_owned(), client.open_reads());
            let step = usize::try_from(chunk_bytes).unwrap_or(usize::MAX);
            let ranges = (0..version.size_bytes).step_by(step).map(move |offset_bytes| {
                let path = path.clone();
                let range = Range { path, version, offset_bytes, length_bytes: chunk_bytes };
                let (client, reads) = (client.clone(), reads.clone());
                async move { client.read_over(reads, range).await }
            });
            let depth = usize::try_from(depth).unwrap_or(usize::MAX);
            Ok((futures::stream::iter(ranges).buffered(depth).boxed(), 1))
        }
    }
}

/// The pure part: first byte, longest gap, whole time.
#[derive(Debug)]
struct Pace {
    start_ns: u64,
    first_ns: Option<u64>,
    last_ns: u64,
    gap_ns_max: u64,
}

impl Pace {
    fn start(now_ns: u64) -> Self {
        Self { start_ns: now_ns, first_ns: None, last_ns: now_ns, gap_ns_max: 0 }
    }

    fn arrived(&mut self, now_ns: u64) {
        if self.first_ns.is_some() {
            self.gap_ns_max = self.gap_ns_max.max(now_ns.saturating_sub(self.last_ns));
        }
        self.first_ns.get_or_insert(now_ns);
        self.last_ns = now_ns;
    }

    fn done(self, now_ns: u64, bytes: u64, lanes: usize, blake3: Option<blake3::Hash>) -> Pulled {
        Pulled {
            bytes,
            lanes,
            blake3,
            wall_ns: now_ns.saturating_sub(self.start_ns),
            first_byte_ns: self.first_ns.map_or(0, |first_ns| first_ns - self.start_ns),
            gap_ns_max: self.gap_ns_max,
        }
    }
}
