//! Ranged reads: answered as they complete, a bounded number at a time.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _};
use tonic::{Code, Status, Streaming};

use super::{Call, on_disk, too_large};
use crate::proto::drop as wire;
use crate::source::{SharePath, Source};
use crate::telemetry::layers::{Entered, Layer};
use crate::telemetry::propagate;
use crate::transfer::budget::Purse;
use crate::transfer::{Version, limits, spans};

/// What a stream of reads is served with.
pub(super) struct Serving {
    pub(super) source: Arc<Source>,
    pub(super) call: Call,
    pub(super) purse: Purse,
}

/// The answers to `requests`. The stream ends with the requests, or with their
/// first error.
pub(super) fn replies(
    serving: Serving,
    requests: Streaming<wire::ReadRequest>,
) -> impl Stream<Item = Result<wire::ReadReply, Status>> + Send {
    let serving = Arc::new(serving);
    let answers = requests
        .map(move |request| {
            let serving = Arc::clone(&serving);
            async move {
                let request = request?;
                let envelope = serving.call.account().enter(Layer::Grpc);
                Ok((reply(&serving, request).await, envelope))
            }
        })
        .buffer_unordered(limits::READ_IN_FLIGHT_MAX)
        .boxed();
    Replies { answers, sending: None }
}

/// Keeps a reply's envelope until tonic asks for the next one: then its bytes
/// are encoded and flow control has room again.
struct Replies {
    answers: BoxStream<'static, Result<(wire::ReadReply, Entered), Status>>,
    sending: Option<Entered>,
}

impl Stream for Replies {
    type Item = Result<wire::ReadReply, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.sending = None;
        Poll::Ready(ready!(self.answers.poll_next_unpin(cx)).map(|answer| {
            answer.map(|(reply, envelope)| {
                self.sending = Some(envelope);
                reply
            })
        }))
    }
}

/// One request's failure is its answer, not the end of the stream.
async fn reply(serving: &Serving, request: wire::ReadRequest) -> wire::ReadReply {
    let (id, offset_bytes) = (request.id, request.offset_bytes);
    match read(serving, request).await {
        Ok((version, data)) => {
            serving.call.add_bytes(data.len() as u64);
            wire::ReadReply {
                id,
                version: Some(version.into()),
                offset_bytes,
                data,
                code: Code::Ok as u32,
                message: String::new(),
            }
        }
        Err(status) => wire::ReadReply {
            id,
            version: None,
            offset_bytes,
            data: Bytes::new(),
            code: status.code() as u32,
            message: status.message().to_owned(),
        },
    }
}

async fn read(serving: &Serving, request: wire::ReadRequest) -> Result<(Version, Bytes), Status> {
    let wire::ReadRequest { offset_bytes, length_bytes, .. } = request;
    let length = u64::from(length_bytes);
    let path = SharePath::parse(&request.path)?;
    let span = spans::serve(serving.call.span(), path.as_str(), offset_bytes, length);
    propagate::set_parent(&span, Some(&request.traceparent));
    if length_bytes > limits::CHUNK_BYTES_MAX {
        return Err(too_large(length_bytes));
    }
    let held = serving.purse.take(length_bytes).await?;
    let (source, account) = (Arc::clone(&serving.source), serving.call.account().clone());
    on_disk(move || {
        let _disk = account.enter(Layer::Disk);
        let file = source.open_file(&path)?;
        let version = request.version.map_or_else(|| file.version(), Into::into);
        let read_span = spans::disk_read(&span, offset_bytes, length_bytes);
        let data = read_span.in_scope(|| file.read(&version, offset_bytes, length_bytes))?;
        Ok((version, held.with(data)))
    })
    .await
}
