//! The reading side: every call of `drop.proto`, each with a deadline.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::future::BoxFuture;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Duration, timeout};
use tonic::transport::Endpoint;
use tonic::{Request, Status};
use tracing::Instrument as _;

use super::convert::{listed_entry, stat_entry};
use super::limits::{self, Deadlines, LIST_ENTRIES_MAX};
use super::plain::Plain;
pub use super::push::Push;
use super::push::{Asker, Expected};
use super::reads::{Range, Reads};
use super::status::fetch_error;
use super::{Entry, FetchError, Remote, Version, spans};
use crate::proto::drop as wire;
use crate::proto::drop::drop_client::DropClient;
use crate::telemetry::layers::{Account, Layer};
use crate::telemetry::{clock, propagate};

mod burst;
mod lanes;

pub(super) use lanes::Connection;
use lanes::{Lane, stripes};

/// What to fetch by [`Client::push`].
#[derive(Clone, Debug, Default)]
pub struct PushRequest {
    /// Path within the peer's share.
    pub path: String,
    /// First byte.
    pub offset_bytes: u64,
    /// How many; none: to the end of the file.
    pub length_bytes: Option<u64>,
    /// The only version that will do; none: whatever is there.
    pub version: Option<Version>,
    /// Bytes per message; none: [`limits::PART_BYTES_DEFAULT`].
    pub part_bytes: Option<u32>,
    /// Connections that share the work, at most, as far as the session has them; needs
    /// `version`. 0 is 1.
    pub lanes_max: usize,
}

/// One session's client. Clones share the session.
#[derive(Clone, Debug)]
pub struct Client {
    calls: DropClient<Plain>,
    /// Under `calls`, for what is carried without it.
    channel: Plain,
    peer: Arc<str>,
    account: Account,
    deadlines: Deadlines,
    shared_reads: Arc<Mutex<Option<Reads>>>,
    lanes: Arc<Mutex<Vec<Lane>>>,
}

impl Client {
    /// Speaks HTTP/2 over `io`, a stream that is connected already. When it
    /// breaks, every call fails: a session is not redialled below gRPC.
    pub async fn over<IO>(
        io: IO,
        peer: &str,
        account: Account,
        deadlines: Deadlines,
    ) -> Result<Self, FetchError>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let channel = over(limits::endpoint(), io, peer, deadlines.unary_ms).await?;
        let calls = DropClient::new(channel.clone())
            .max_decoding_message_size(limits::SMALL_MESSAGE_BYTES_MAX)
            .max_encoding_message_size(limits::SMALL_MESSAGE_BYTES_MAX);
        let (shared_reads, lanes) = (Arc::default(), Arc::default());
        Ok(Self { calls, channel, peer: peer.into(), account, deadlines, shared_reads, lanes })
    }

    /// The name of the peer.
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// The account that fetches are charged to.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// What is at `path`; the empty path is the share itself.
    pub async fn stat(&self, path: &str) -> Result<Entry, FetchError> {
        let _fetch = self.account.enter(Layer::Fetch);
        let request = traced(wire::StatRequest { path: path.to_owned() });
        let mut calls = self.calls.clone();
        let reply = self.within_unary(path, calls.stat(request)).await?;
        let entry = reply.entry.ok_or_else(|| "it answered a stat without an entry".to_owned());
        entry.and_then(stat_entry).map_err(|reason| self.failed(path, reason))
    }

    /// The entries of a directory, in name order, at most [`LIST_ENTRIES_MAX`].
    pub async fn list(&self, path: &str) -> Result<Vec<Entry>, FetchError> {
        let _fetch = self.account.enter(Layer::Fetch);
        let request = traced(wire::ListRequest { path: path.to_owned() });
        let mut calls = self.calls.clone();
        let mut batches = self.within_unary(path, calls.list(request)).await?;
        let mut entries: Vec<Entry> = Vec::new();
        while let Some(batch) = {
            let _grpc = self.account.enter(Layer::Grpc);
            self.within(self.deadlines.stall_ms, path, batches.message()).await?
        } {
            if batch.entries.is_empty() {
                return Err(self.failed(path, "it sent an empty part of a listing".to_owned()));
            }
            for entry in batch.entries {
                let entry = listed_entry(entry).map_err(|reason| self.failed(path, reason))?;
                if entries.last().is_some_and(|last| last.name >= entry.name) {
                    return Err(self.failed(path, "its listing is not in name order".to_owned()));
                }
                entries.push(entry);
            }
            if entries.len() > LIST_ENTRIES_MAX {
                let reason = format!("it lists more than {LIST_ENTRIES_MAX} entries");
                return Err(self.failed(path, reason));
            }
        }
        Ok(entries)
    }

    /// Nanoseconds for one byte to the peer and back through the whole stack.
    pub async fn ping(&self) -> Result<u64, FetchError> {
        let payload = Bytes::from_static(b"p");
        let mut calls = self.calls.clone();
        let start_ns = clock::now_ns();
        let request = wire::PingRequest { payload: payload.clone() };
        let reply = self.within_unary("", calls.ping(request)).await?;
        let rtt_ns = clock::now_ns() - start_ns;
        if reply.payload != payload {
            return Err(self.failed("", "it answered a ping with other bytes".to_owned()));
        }
        Ok(rtt_ns)
    }

    /// Starts a push.
    pub async fn push(&self, request: PushRequest) -> Result<Push, FetchError> {
        let PushRequest { path, offset_bytes, length_bytes, version, part_bytes, lanes_max } =
            request;
        let span = spans::fetch(&self.peer, &path, offset_bytes, length_bytes.unwrap_or(0));
        let connections = self.connections(lanes_max);
        let expected = match version {
            Some(version) if connections.len() > 1 => {
                let rest_bytes = version.size_bytes.saturating_sub(offset_bytes);
                let bytes = length_bytes.map_or(rest_bytes, |length| length.min(rest_bytes));
                let part_bytes = part_bytes.unwrap_or(limits::PART_BYTES_DEFAULT);
                stripes(version, offset_bytes, offset_bytes + bytes, part_bytes, connections.len())
            }
            _ => vec![Expected::new(version, offset_bytes, length_bytes, part_bytes)],
        };
        let asker = Asker {
            connections: connections.into_iter().map(Some).collect(),
            lost: Vec::new(),
            peer: self.peer.to_string(),
            path,
            unary_ms: self.deadlines.unary_ms,
            stall_ms: self.deadlines.stall_ms,
            account: self.account.clone(),
            span,
        };
        Push::begin(asker, expected).await
    }

    /// A stream of ranged reads of its own.
    pub(super) fn open_reads(&self) -> Reads {
        Reads::open(self.channel.clone(), &self.peer, self.deadlines.stall_ms)
    }

    /// One ranged read over `reads`.
    pub(super) async fn read_over(&self, reads: Reads, range: Range) -> Result<Bytes, FetchError> {
        let length_bytes = u64::from(range.length_bytes);
        let span = spans::fetch(&self.peer, &range.path, range.offset_bytes, length_bytes);
        let _grpc = self.account.enter(Layer::Grpc);
        reads.read(range).instrument(span).await
    }

    /// The stream that all reads of the mount share.
    fn shared_reads(&self) -> Reads {
        let mut shared = self.shared_reads.lock().unwrap_or_else(PoisonError::into_inner);
        match &*shared {
            Some(reads) if !reads.is_closed() => reads.clone(),
            _ => shared.insert(self.open_reads()).clone(),
        }
    }

    /// Ends the stream that reads of the mount share; reads under way on it are
    /// answered. The next read opens a new one, so that what is read in between
    /// is a gRPC call of its own, with its own trace.
    pub fn end_shared_reads(&self) {
        *self.shared_reads.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    async fn within_unary<T>(
        &self,
        path: &str,
        call: impl Future<Output = Result<tonic::Response<T>, Status>>,
    ) -> Result<T, FetchError> {
        let _grpc = self.account.enter(Layer::Grpc);
        Ok(self.within(self.deadlines.unary_ms, path, call).await?.into_inner())
    }

    async fn within<T>(
        &self,
        deadline_ms: u64,
        path: &str,
        call: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, FetchError> {
        match timeout(Duration::from_millis(deadline_ms), call).await {
            Ok(answer) => answer.map_err(|status| fetch_error(&status, &self.peer, path)),
            Err(_elapsed) => Err(FetchError::TimedOut {
                peer: self.peer.to_string(),
                path: path.to_owned(),
                deadline_ms,
            }),
        }
    }

    fn failed(&self, path: &str, reason: String) -> FetchError {
        FetchError::Failed { peer: self.peer.to_string(), path: path.to_owned(), reason }
    }
}

/// A channel over `io`, which is connected already.
async fn over<IO>(
    endpoint: Endpoint,
    io: IO,
    peer: &str,
    deadline_ms: u64,
) -> Result<Plain, FetchError>
where
    IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut io = Some(TokioIo::new(io));
    let connector = tower::service_fn(move |_: http::Uri| {
        let io = io.take().ok_or_else(|| io::Error::other("the session is closed"));
        std::future::ready(io)
    });
    let unreachable = |reason: String| FetchError::Unreachable { peer: peer.to_owned(), reason };
    let deadline = Duration::from_millis(deadline_ms);
    timeout(deadline, endpoint.connect_with_connector(connector))
        .await
        .map_err(|_| unreachable("no HTTP/2 over the session".to_owned()))?
        .map(Plain)
        .map_err(|error| unreachable(format!("no HTTP/2 over the session: {error}")))
}

impl Remote for Client {
    fn list(&self, path: &str) -> BoxFuture<'static, Result<Vec<Entry>, FetchError>> {
        let (client, path) = (self.clone(), path.to_owned());
        Box::pin(async move { Self::list(&client, &path).await })
    }

    fn stat(&self, path: &str) -> BoxFuture<'static, Result<Entry, FetchError>> {
        let (client, path) = (self.clone(), path.to_owned());
        Box::pin(async move { Self::stat(&client, &path).await })
    }

    fn read(
        &self,
        path: &str,
        version: Version,
        offset_bytes: u64,
        length_bytes: u32,
    ) -> BoxFuture<'static, Result<Bytes, FetchError>> {
        let client = self.clone();
        let range = Range { path: path.to_owned(), version, offset_bytes, length_bytes };
        Box::pin(async move {
            let _fetch = client.account.enter(Layer::Fetch);
            client.read_over(client.shared_reads(), range).await
        })
    }

    fn account(&self) -> Account {
        self.account.clone()
    }
}

fn traced<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    propagate::attach(&mut request);
    request
}
