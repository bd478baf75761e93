//! Answers end when the daemon does.

use std::task::{Poll, ready};

use futures::stream::{BoxStream, poll_fn};
use futures::{Stream, StreamExt as _};
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// `answers`, or an error in place of the rest once `stop` is cancelled.
pub(super) fn until<T: Send + 'static>(
    answers: impl Stream<Item = Result<T, Status>> + Send + 'static,
    stop: &CancellationToken,
) -> BoxStream<'static, Result<T, Status>> {
    let mut left = Some(Box::pin(answers));
    let mut stopped = Box::pin(stop.clone().cancelled_owned());
    poll_fn(move |cx| {
        let Some(answers) = &mut left else { return Poll::Ready(None) };
        let answer = match stopped.as_mut().poll(cx) {
            Poll::Ready(()) => Some(Err(stops())),
            Poll::Pending => ready!(answers.as_mut().poll_next(cx)),
        };
        // After an end or an error nothing comes.
        if !matches!(answer, Some(Ok(_))) {
            left = None;
        }
        Poll::Ready(answer)
    })
    .boxed()
}

pub(super) fn stops() -> Status {
    Status::unavailable("this daemon stops")
}

#[cfg(test)]
mod tests;
