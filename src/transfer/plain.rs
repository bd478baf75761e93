//! Answers of a peer without what tonic trusts it in.
//!
//! tonic decodes `grpc-status-details-bin` of whatever comes and panics when it is no
//! base64. No call of ours has such details, so they are taken off.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;
use tonic::transport::{Channel, Error};
use tower::Service;

const DETAILS: &str = "grpc-status-details-bin";

/// A channel whose answers have none, neither in the head nor in the trailers.
#[derive(Clone, Debug)]
pub(super) struct Plain(pub(super) Channel);

impl Service<http::Request<Body>> for Plain {
    type Response = http::Response<Body>;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Self::Response, Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let answered = self.0.call(request);
        async move {
            let mut response = answered.await?;
            without_details(response.headers_mut());
            Ok(response.map(|body| Body::new(Answer(body))))
        }
        .boxed()
    }
}

fn without_details(headers: &mut HeaderMap) {
    headers.remove(DETAILS);
}

/// A body whose trailers have no details.
struct Answer(Body);

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut frame = ready!(Pin::new(&mut self.0).poll_frame(cx));
        if let Some(Ok(frame)) = &mut frame {
            frame.trailers_mut().map(without_details);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}
