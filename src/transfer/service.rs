//! The serving side: what `drop.proto` says, from one share.

use std::sync::Arc;

use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::budget::{Budget, Purse};
use super::burst::{self, WireCounter};
use super::direct::Direct;
use super::{limits, spans};
use crate::proto::drop as wire;
use crate::proto::drop::drop_server::Drop as DropCalls;
use crate::source::{SharePath, Source, SourceError};
use crate::telemetry::layers::{Account, Layer};
use crate::telemetry::propagate;

mod call;
mod ending;
mod ranged;
mod timing;

use call::Call;
use ending::{stops, until};

/// Who is at the other end of a call.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The peer's name.
    pub peer: String,
    /// The account of its session.
    pub account: Account,
    /// What its session has received.
    pub received: WireCounter,
}

/// Finds the caller in what the connection put into a request's extensions.
pub type FindCaller = fn(&http::Extensions) -> Option<Caller>;

/// Serves one share to every session.
#[derive(Clone, Debug)]
pub struct Service {
    source: Arc<Source>,
    find_caller: FindCaller,
    budget: Budget,
    stop: CancellationToken,
}

impl Service {
    /// The gRPC service, with its message limits set. All answers end with UNAVAILABLE
    /// once `stop` is cancelled.
    pub fn server(
        source: Arc<Source>,
        find_caller: FindCaller,
        stop: CancellationToken,
    ) -> Direct<Self> {
        Direct::new(Self::new(source, find_caller, stop))
    }

    pub(super) fn new(
        source: Arc<Source>,
        find_caller: FindCaller,
        stop: CancellationToken,
    ) -> Self {
        Self { source, find_caller, budget: Budget::default(), stop }
    }

    fn caller<T>(&self, request: &Request<T>) -> Result<Caller, Status> {
        (self.find_caller)(request.extensions())
            .ok_or_else(|| Status::unauthenticated("the connection is no session"))
    }
}

#[tonic::async_trait]
impl DropCalls for Service {
    type ListStream = BoxStream<'static, Result<wire::ListReply, Status>>;
    type StreamFileStream = BoxStream<'static, Result<wire::FilePart, Status>>;
    type ReadStream = BoxStream<'static, Result<wire::ReadReply, Status>>;
    type BurstDownStream = BoxStream<'static, Result<wire::BurstPart, Status>>;

    async fn list(
        &self,
        request: Request<wire::ListRequest>,
    ) -> Result<Response<Self::ListStream>, Status> {
        let path = SharePath::parse(&request.get_ref().path)?;
        let purse = self.budget.of(&self.caller(&request)?.peer);
        let turn = tokio::select! {
            turn = purse.list() => turn?,
            () = self.stop.cancelled() => return Err(stops()),
        };
        let source = Arc::clone(&self.source);
        let (batches, turn) = on_disk(move || {
            let mut listing = source.list(&path)?;
            let mut batches = Vec::new();
            loop {
                let entries = listing.next_batch(limits::LIST_BATCH_ENTRIES_MAX);
                if entries.is_empty() {
                    return Ok((batches, turn));
                }
                let entries = entries.into_iter().map(Into::into).collect();
                batches.push(Ok(wire::ListReply { entries }));
            }
        })
        .await?;
        // The turn lasts until the last batch has gone.
        let batches = futures::stream::iter(batches).inspect(move |_| {
            let _held = &turn;
        });
        Ok(Response::new(until(batches, &self.stop)))
    }

    async fn stat(
        &self,
        request: Request<wire::StatRequest>,
    ) -> Result<Response<wire::StatReply>, Status> {
        let path = SharePath::parse(&request.get_ref().path)?;
        let source = Arc::clone(&self.source);
        let entry = on_disk(move || source.stat(&path)).await?;
        Ok(Response::new(wire::StatReply { entry: Some(entry.into()) }))
    }

    async fn stream_file(
        &self,
        request: Request<wire::StreamFileRequest>,
    ) -> Result<Response<Self::StreamFileStream>, Status> {
        let caller = self.caller(&request)?;
        let path = SharePath::parse(&request.get_ref().path)?;
        let span = spans::call(&caller.peer, path.as_str(), "push");
        propagate::set_parent(&span, propagate::extract(&request));
        let (call, purse) = (Call::new(caller.account, span), self.budget.of(&caller.peer));
        let parts = push(&self.source, call, purse, path, request.into_inner()).await?;
        Ok(Response::new(until(parts, &self.stop)))
    }

    async fn read(
        &self,
        request: Request<Streaming<wire::ReadRequest>>,
    ) -> Result<Response<Self::ReadStream>, Status> {
        let caller = self.caller(&request)?;
        let span = spans::call(&caller.peer, "", "request-response");
        propagate::set_parent(&span, propagate::extract(&request));
        let call = Call::new(caller.account, span);
        let serving = ranged::Serving {
            source: Arc::clone(&self.source),
            call,
            purse: self.budget.of(&caller.peer).of_stream(),
        };
        Ok(Response::new(until(ranged::replies(serving, request.into_inner()), &self.stop)))
    }

    async fn ping(
        &self,
        request: Request<wire::PingRequest>,
    ) -> Result<Response<wire::PingReply>, Status> {
        let payload = request.into_inner().payload;
        if payload.len() > limits::PING_BYTES_MAX {
            let reason = format!("a ping carries at most {} bytes", limits::PING_BYTES_MAX);
            return Err(Status::invalid_argument(reason));
        }
        Ok(Response::new(wire::PingReply { payload }))
    }

    async fn burst_down(
        &self,
        request: Request<wire::BurstRequest>,
    ) -> Result<Response<Self::BurstDownStream>, Status> {
        let bytes = request.into_inner().bytes;
        burst::check(bytes).map_err(Status::invalid_argument)?;
        Ok(Response::new(until(burst::parts(bytes).map(Ok), &self.stop)))
    }

    async fn burst_up(
        &self,
        request: Request<Streaming<wire::BurstPart>>,
    ) -> Result<Response<wire::BurstReply>, Status> {
        let caller = self.caller(&request)?;
        let arrived = tokio::select! {
            arrived = timing::time(request.into_inner(), &caller.received) => arrived?,
            () = self.stop.cancelled() => return Err(stops()),
        };
        Ok(Response::new(arrived.into()))
    }
}

/// The parts of a file. A few are read ahead, so that disk and network overlap;
/// flow control holds the stream, and with it the disk, back.
async fn push(
    source: &Arc<Source>,
    call: Call,
    purse: Purse,
    path: SharePath,
    request: wire::StreamFileRequest,
) -> Result<impl Stream<Item = Result<wire::FilePart, Status>> + Send + use<>, Status> {
    let part_bytes = match request.part_bytes {
        0 => limits::PART_BYTES_DEFAULT,
        asked if asked <= limits::CHUNK_BYTES_MAX => asked,
        asked => return Err(too_large(asked)),
    };
    let call = call.answering();
    let opening = Arc::clone(source);
    let file = on_disk(move || opening.open_file(&path)).await?;
    let version = request.version.map_or_else(|| file.version(), Into::into);
    if version != file.version() {
        return Err(SourceError::Changed.into());
    }
    let Some(rest_bytes) = version.size_bytes.checked_sub(request.offset_bytes) else {
        return Err(Status::invalid_argument("the offset lies behind the end of the file"));
    };
    let length_bytes = match request.length_bytes {
        0 => rest_bytes,
        asked => asked.min(rest_bytes),
    };
    let span = spans::serve(call.span(), &request.path, request.offset_bytes, length_bytes);
    let file = Arc::new(file);
    let end_bytes = request.offset_bytes + length_bytes;
    let step_bytes = match request.step_bytes {
        0 => u64::from(part_bytes),
        asked if asked >= u64::from(part_bytes) => asked,
        _ => return Err(Status::invalid_argument("a step is at least a part")),
    };
    let ranges = part_ranges(request.offset_bytes, end_bytes, part_bytes, step_bytes);
    Ok(ranges
        .map(move |(offset_bytes, length_bytes)| {
            let (file, account, purse) = (Arc::clone(&file), call.account().clone(), purse.clone());
            let span = span.clone();
            call.add_bytes(u64::from(length_bytes));
            async move {
                let held = purse.take(length_bytes).await?;
                let data = on_disk(move || {
                    let _disk = account.enter(Layer::Disk);
                    let read_span = spans::disk_read(&span, offset_bytes, length_bytes);
                    let read = || file.read(&version, offset_bytes, length_bytes);
                    read_span.in_scope(read).map(|data| held.with(data))
                })
                .await?;
                let first = offset_bytes == request.offset_bytes;
                Ok(wire::FilePart { version: first.then(|| version.into()), offset_bytes, data })
            }
        })
        .buffered(limits::READ_AHEAD_PARTS))
}

/// Offsets and lengths of the parts from `offset` to `end`, each a step after the one
/// before; an empty file or range still has one, for the version travels with it.
fn part_ranges(
    offset: u64,
    end: u64,
    part_bytes: u32,
    step_bytes: u64,
) -> impl Stream<Item = (u64, u32)> + Send {
    let mut next = Some(offset);
    futures::stream::iter(std::iter::from_fn(move || {
        let offset = next?;
        let length = u32::try_from(end - offset).map_or(part_bytes, |rest| rest.min(part_bytes));
        next = offset.checked_add(step_bytes).filter(|&following| following < end);
        Some((offset, length))
    }))
}

/// Runs `work` where it may block. A panic in it is our bug, and fails the call.
async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SourceError> + Send + 'static,
) -> Result<T, Status> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done?),
        Err(error) => Err(Status::internal(format!("the disk's thread failed: {error}"))),
    }
}

fn too_large(asked_bytes: u32) -> Status {
    let most = limits::CHUNK_BYTES_MAX;
    Status::invalid_argument(format!("{asked_bytes} bytes asked for at once, at most {most} are"))
}
