//! A peer whose errors have details that are no base64, which tonic panics at.

use std::pin::Pin;
use std::task::{Context, Poll};

use http::{HeaderMap, HeaderValue, header};
use http_body::Frame;
use tonic::Status;

use super::*;
use crate::transfer::direct::Direct;

/// Where it tells how a call ends. It answers all calls the same.
#[derive(Clone, Copy, Debug)]
enum Garbled {
    /// In the head of an answer without a body.
    Head,
    /// In trailers, after a head that is fine.
    Trailers,
}

impl NamedService for Garbled {
    const NAME: &'static str = <Direct<Service> as NamedService>::NAME;
}

impl tower::Service<http::Request<Body>> for Garbled {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Request<Body>) -> Self::Future {
        let mut end = HeaderMap::new();
        Status::data_loss("disk on fire").add_header(&mut end).unwrap();
        end.insert("grpc-status-details-bin", HeaderValue::from_static("no base64!"));
        let mut response = match self {
            Self::Head => {
                let mut response = http::Response::new(Body::empty());
                *response.headers_mut() = end;
                response
            }
            Self::Trailers => http::Response::new(Body::new(Trailers(Some(end)))),
        };
        let grpc = HeaderValue::from_static("application/grpc");
        response.headers_mut().insert(header::CONTENT_TYPE, grpc);
        std::future::ready(Ok(response))
    }
}

/// A body of trailers alone.
struct Trailers(Option<HeaderMap>);

impl http_body::Body for Trailers {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }
}

#[tokio::test]
async fn details_that_are_no_base64_leave_the_error_that_they_came_with() {
    for place in [Garbled::Head, Garbled::Trailers] {
        let client = connect(place, Deadlines::default()).await;
        let request = client::PushRequest { path: "f".to_owned(), ..Default::default() };
        let pushed = match client.push(request).await {
            Ok(mut push) => push.next().await.unwrap_err(),
            Err(error) => error,
        };
        let read = Remote::read(&client, "f", VERSION, 0, 1).await.unwrap_err();
        let (stat, list) =
            (client.stat("f").await.unwrap_err(), client.list("").await.unwrap_err());
        for error in [pushed, read, stat, list] {
            assert!(
                matches!(&error, FetchError::Failed { reason, .. } if reason.contains("fire")),
                "{place:?}: {error}"
            );
        }
    }
}
