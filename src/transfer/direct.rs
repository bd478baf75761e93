//! gRPC for the calls that carry file bytes, without copying them.
//!
//! tonic writes each message into one buffer and puts each arriving one together in
//! another. Here a message goes out as two pieces, its head and the very `Bytes` of
//! the file, and what arrives is decoded where it lies: its data is a slice of the
//! HTTP/2 frame. On the wire it is plain gRPC; a stock client and server read it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut as _, Bytes, BytesMut};
use futures::future::BoxFuture;
use futures::{FutureExt as _, Stream, StreamExt as _};
use http::{HeaderMap, HeaderValue, header};
use http_body::{Body as _, Frame};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};
use tonic::body::Body;
use tonic::codec::{Codec as _, EncodeBody, Streaming};
use tonic::server::NamedService;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;
use tower::{Service, ServiceExt as _};

use super::limits::{MESSAGE_BYTES_MAX, REQUEST_BYTES_MAX, SMALL_MESSAGE_BYTES_MAX};
use super::plain::Plain;
use crate::proto::drop as wire;
use crate::proto::drop::drop_server::{Drop as Calls, DropServer};

/// Paths of the calls that are carried here.
pub(super) const STREAM_FILE: &str = "/dropbed.drop.v1.Drop/StreamFile";
pub(super) const READ: &str = "/dropbed.drop.v1.Drop/Read";

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// Before each message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;

/// Less data than this goes out with its head: a frame of its own costs more than
/// copying it does.
const COPIED_BYTES_MAX: usize = 4096;

/// A message with a field of file bytes.
pub trait Carrier: Message + Default + 'static {
    /// The number of that field.
    const DATA_TAG: u32;

    /// Takes the bytes out.
    fn take_data(&mut self) -> Bytes;
}

impl Carrier for wire::FilePart {
    const DATA_TAG: u32 = 3;

    fn take_data(&mut self) -> Bytes {
        std::mem::take(&mut self.data)
    }
}

impl Carrier for wire::ReadReply {
    const DATA_TAG: u32 = 4;

    fn take_data(&mut self) -> Bytes {
        std::mem::take(&mut self.data)
    }
}

/// Serves all calls, those that carry file bytes without copying them.
#[derive(Debug)]
pub struct Direct<T> {
    calls: Arc<T>,
    rest: DropServer<T>,
}

impl<T: Calls> Direct<T> {
    /// A service with its message limits set.
    pub fn new(calls: T) -> Self {
        let calls = Arc::new(calls);
        let rest = DropServer::from_arc(Arc::clone(&calls))
            .max_decoding_message_size(SMALL_MESSAGE_BYTES_MAX)
            .max_encoding_message_size(SMALL_MESSAGE_BYTES_MAX);
        Self { calls, rest }
    }
}

impl<T> Clone for Direct<T> {
    fn clone(&self) -> Self {
        Self { calls: Arc::clone(&self.calls), rest: self.rest.clone() }
    }
}

impl<T: Calls> NamedService for Direct<T> {
    const NAME: &'static str = <DropServer<T> as NamedService>::NAME;
}

impl<T: Calls> Service<http::Request<Body>> for Direct<T> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let calls = Arc::clone(&self.calls);
        match request.uri().path() {
            STREAM_FILE => async move { Ok(respond(stream_file(&*calls, request).await)) }.boxed(),
            READ => async move { Ok(respond(calls.read(requests(request)).await)) }.boxed(),
            _ => self.rest.call(request),
        }
    }
}

async fn stream_file<T: Calls>(
    calls: &T,
    request: http::Request<Body>,
) -> Result<tonic::Response<T::StreamFileStream>, Status> {
    let (metadata, extensions, mut messages) = requests(request).into_parts();
    let message = messages.message().await?;
    let message = message.ok_or_else(|| Status::invalid_argument("the call has no request"))?;
    calls.stream_file(Request::from_parts(metadata, extensions, message)).await
}

/// What the other end asks, as tonic decodes it.
fn requests<M: Message + Default + 'static>(request: http::Request<Body>) -> Request<Streaming<M>> {
    Request::from_http(request).map(|body| {
        let decoder = ProstCodec::<M, M>::default().decoder();
        Streaming::new_request(decoder, body, None, Some(REQUEST_BYTES_MAX))
    })
}

fn respond<M, S>(answer: Result<tonic::Response<S>, Status>) -> http::Response<Body>
where
    M: Carrier,
    S: Stream<Item = Result<M, Status>> + Send + 'static,
{
    let messages = match answer {
        Ok(answer) => answer.into_inner(),
        Err(status) => return status.into_http(),
    };
    let mut response = http::Response::new(Body::new(Outgoing {
        messages: Box::pin(messages),
        data: None,
        ended: false,
    }));
    response.headers_mut().insert(header::CONTENT_TYPE, GRPC);
    response
}

/// Messages as frames of a body: a head, then the data as it is.
struct Outgoing<S> {
    messages: Pin<Box<S>>,
    data: Option<Bytes>,
    ended: bool,
}

impl<M, S> http_body::Body for Outgoing<S>
where
    M: Carrier,
    S: Stream<Item = Result<M, Status>>,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Some(data) = self.data.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        let status = match ready!(self.messages.poll_next_unpin(cx)) {
            Some(Ok(message)) => {
                let (head, data) = split(message);
                self.data = data;
                return Poll::Ready(Some(Ok(Frame::data(head))));
            }
            Some(Err(status)) => status,
            None => Status::new(Code::Ok, ""),
        };
        self.ended = true;
        let mut trailers = HeaderMap::new();
        status.add_header(&mut trailers)?;
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }
}

/// A message up to its data, and the data unless it is so short that it is there too.
fn split<M: Carrier>(mut message: M) -> (Bytes, Option<Bytes>) {
    let data = message.take_data();
    let field_bytes = match data.len() {
        0 => 0,
        length => key_len(M::DATA_TAG) + encoded_len_varint(length as u64),
    };
    let head_bytes = message.encoded_len() + field_bytes;
    let copied = data.len() <= COPIED_BYTES_MAX;
    let room = PREFIX_BYTES + head_bytes + if copied { data.len() } else { 0 };
    let mut head = BytesMut::with_capacity(room);
    head.put_u8(0);
    let length = u32::try_from(head_bytes + data.len());
    head.put_u32(length.expect("no call carries more than CHUNK_BYTES_MAX"));
    message.encode_raw(&mut head);
    if !data.is_empty() {
        encode_key(M::DATA_TAG, WireType::LengthDelimited, &mut head);
        encode_varint(data.len() as u64, &mut head);
    }
    if copied {
        head.put_slice(&data);
    }
    (head.freeze(), (!copied).then_some(data))
}

/// Makes a call, and waits for the head of its answer.
pub(super) async fn call<Q, M>(
    channel: Plain,
    path: &'static str,
    request: Request<impl Stream<Item = Q> + Send + 'static>,
) -> Result<Messages<M>, Status>
where
    Q: Message + Default + 'static,
    M: Message + Default,
{
    let (metadata, extensions, messages) = request.into_parts();
    let encoder = ProstCodec::<Q, Q>::default().encoder();
    let body = EncodeBody::new_client(encoder, messages.map(Ok), None, Some(MESSAGE_BYTES_MAX));
    let mut request = http::Request::new(Body::new(body));
    *request.method_mut() = http::Method::POST;
    *request.version_mut() = http::Version::HTTP_2;
    *request.uri_mut() = http::Uri::from_static(path);
    *request.headers_mut() = metadata.into_headers();
    *request.extensions_mut() = extensions;
    request.headers_mut().insert(header::TE, HeaderValue::from_static("trailers"));
    request.headers_mut().insert(header::CONTENT_TYPE, GRPC);
    let response = channel.oneshot(request).await.map_err(|e| Status::from_error(Box::new(e)))?;
    let (head, body) = response.into_parts();
    match Status::from_header_map(&head.headers) {
        Some(status) if status.code() != Code::Ok => return Err(status),
        _ => {}
    }
    if head.status != http::StatusCode::OK {
        return Err(Status::unavailable(format!("it answered with HTTP {}", head.status)));
    }
    Ok(Messages::over(body))
}

/// The messages of an answer.
pub(super) struct Messages<M> {
    body: Body,
    arrived: Rope,
    /// Of the message that comes, when its prefix is here.
    length: Option<usize>,
    _message: PhantomData<fn() -> M>,
}

impl<M: Message + Default> Messages<M> {
    fn over(body: Body) -> Self {
        Self { body, arrived: Rope::default(), length: None, _message: PhantomData }
    }

    /// The next one; `None` when the other end says that it was the last.
    /// Cancel-safe.
    pub(super) async fn message(&mut self) -> Result<Option<M>, Status> {
        loop {
            if let Some(message) = self.decode()? {
                return Ok(Some(message));
            }
            let frame = std::future::poll_fn(|cx| Pin::new(&mut self.body).poll_frame(cx)).await;
            let frame = frame.transpose()?.map(Frame::into_data);
            match frame {
                Some(Ok(data)) => self.arrived.push(data),
                Some(Err(other)) => return self.end(other.trailers_ref()).map(|()| None),
                None => return self.end(None).map(|()| None),
            }
        }
    }

    /// A message that is here whole.
    fn decode(&mut self) -> Result<Option<M>, Status> {
        if self.length.is_none() && self.arrived.remaining() >= PREFIX_BYTES {
            if self.arrived.get_u8() != 0 {
                return Err(Status::unimplemented("it compresses, and was not asked to"));
            }
            let length = usize::try_from(self.arrived.get_u32()).unwrap_or(usize::MAX);
            if length > MESSAGE_BYTES_MAX {
                let reason = format!(
                    "it sends a message of {length} bytes, at most are {MESSAGE_BYTES_MAX}"
                );
                return Err(Status::out_of_range(reason));
            }
            self.length = Some(length);
        }
        let Some(length) = self.length.filter(|&length| self.arrived.remaining() >= length) else {
            return Ok(None);
        };
        self.length = None;
        let message = M::decode((&mut self.arrived).take(length))
            .map_err(|error| Status::internal(format!("it sends what is no message: {error}")))?;
        Ok(Some(message))
    }

    /// The body is over: whether that is as it should be.
    fn end(&self, trailers: Option<&HeaderMap>) -> Result<(), Status> {
        match trailers.and_then(Status::from_header_map) {
            Some(status) if status.code() != Code::Ok => Err(status),
            _ if self.length.is_some() || self.arrived.has_remaining() => {
                Err(Status::internal("it ended within a message"))
            }
            Some(_) => Ok(()),
            None => Err(Status::internal("it ended without a status")),
        }
    }
}

impl<M> std::fmt::Debug for Messages<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Messages").field("length", &self.length).finish_non_exhaustive()
    }
}

/// Pieces in order. Bytes that lie in one piece are taken without a copy.
#[derive(Default)]
struct Rope {
    pieces: VecDeque<Bytes>,
    /// Behind them, small pieces put together: a frame of a byte would be kept in forty
    /// times its size.
    tail: BytesMut,
    bytes: usize,
}

impl Rope {
    fn push(&mut self, piece: Bytes) {
        if piece.is_empty() {
            return;
        }
        let waits = self.bytes > 0;
        self.bytes += piece.len();
        if waits && piece.len() <= COPIED_BYTES_MAX {
            self.tail.extend_from_slice(&piece);
            return;
        }
        if !self.tail.is_empty() {
            self.pieces.push_back(self.tail.split().freeze());
        }
        self.pieces.push_back(piece);
    }
}

impl Buf for Rope {
    fn remaining(&self) -> usize {
        self.bytes
    }

    fn chunk(&self) -> &[u8] {
        self.pieces.front().map_or(&self.tail, |piece| piece)
    }

    fn advance(&mut self, mut count: usize) {
        assert!(count <= self.bytes, "Buf: at most what remains");
        self.bytes -= count;
        while let Some(piece) = self.pieces.front_mut().filter(|_| count > 0) {
            let taken = count.min(piece.len());
            piece.advance(taken);
            count -= taken;
            if piece.is_empty() {
                self.pieces.pop_front();
            }
        }
        self.tail.advance(count);
    }

    fn copy_to_bytes(&mut self, length: usize) -> Bytes {
        assert!(length <= self.bytes, "Buf: at most what remains");
        if let Some(piece) = self.pieces.front_mut().filter(|piece| piece.len() >= length) {
            let taken = piece.split_to(length);
            if piece.is_empty() {
                self.pieces.pop_front();
            }
            self.bytes -= length;
            return taken;
        }
        if self.pieces.is_empty() {
            self.bytes -= length;
            return self.tail.split_to(length).freeze();
        }
        let mut copied = BytesMut::with_capacity(length);
        copied.put(self.take(length));
        copied.freeze()
    }
}

#[cfg(test)]
mod tests;
