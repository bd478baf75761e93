//! The events of a transfer: progress as it comes, then the result.

use futures::StreamExt as _;
use tokio::sync::{mpsc, watch};
use tokio::time::{Duration, sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::Events;
use crate::proto::control as wire;
use crate::proto::control::transfer_event::Event;

/// Progress is told at least this often, moved or not.
pub(super) const PROGRESS_INTERVAL_MS: u64 = 100;

/// Pause after each event, so that a fast transfer is not slowed by telling: 64
/// MiB at 1 GB/s still make a dozen.
const PROGRESS_PAUSE_MS: u64 = 5;

/// Events that a slow listener has not taken yet.
const EVENTS_QUEUE: usize = 4;

/// Bytes so far and in total; the last value is what is told.
pub(super) type Progress = watch::Sender<(u64, u64)>;

/// Runs `transfer` and tells about it. When the caller drops the stream, or `stop` is
/// cancelled, the transfer is dropped.
pub(super) fn events<F>(transfer: impl FnOnce(Progress) -> F, stop: CancellationToken) -> Events
where
    F: Future<Output = Result<wire::TransferDone, Status>> + Send + 'static,
{
    let (progress, seen) = watch::channel((0, 0));
    let transfer = transfer(progress);
    let (events, stream) = mpsc::channel(EVENTS_QUEUE);
    tokio::spawn(async move {
        let told = async {
            tokio::select! {
                done = transfer => done,
                () = tell(seen, &events) => std::future::pending().await,
            }
        };
        let done = tokio::select! {
            done = told => done,
            () = stop.cancelled() => Err(Status::unavailable("the daemon stops")),
            () = events.closed() => return,
        };
        let event = done.map(|done| wire::TransferEvent { event: Some(Event::Done(done)) });
        // A caller that left meanwhile does not want it.
        let _ = events.send(event).await;
    });
    ReceiverStream::new(stream).boxed()
}

/// Tells until the transfer, and with it the sender, is gone.
async fn tell(
    mut seen: watch::Receiver<(u64, u64)>,
    events: &mpsc::Sender<Result<wire::TransferEvent, Status>>,
) {
    loop {
        let changed = timeout(Duration::from_millis(PROGRESS_INTERVAL_MS), seen.changed()).await;
        if matches!(changed, Ok(Err(_))) {
            return;
        }
        let (bytes, bytes_total) = *seen.borrow_and_update();
        let progress = wire::TransferProgress { bytes, bytes_total };
        let event = wire::TransferEvent { event: Some(Event::Progress(progress)) };
        if events.send(Ok(event)).await.is_err() {
            return;
        }
        sleep(Duration::from_millis(PROGRESS_PAUSE_MS)).await;
    }
}
