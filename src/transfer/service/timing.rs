//! Bursts, at the serving side.

use tokio::time::{Duration, timeout};
use tonic::{Status, Streaming};

use crate::proto::drop as wire;
use crate::transfer::burst::{Arrivals, Arrived, WireCounter};
use crate::transfer::limits::{BURST_BYTES_MAX, BURST_DEADLINE_MS};

/// Times a burst of the caller.
pub(super) async fn time(
    mut parts: Streaming<wire::BurstPart>,
    counter: &WireCounter,
) -> Result<Arrived, Status> {
    let burst = async {
        let mut arrivals = Arrivals::default();
        while let Some(part) = parts.message().await? {
            let taken = arrivals.take_now(&part, counter, BURST_BYTES_MAX);
            taken.map_err(|reason| Status::invalid_argument(format!("refused: {reason}")))?;
        }
        Ok(arrivals.arrived())
    };
    timeout(Duration::from_millis(BURST_DEADLINE_MS), burst).await.map_err(|_| {
        Status::deadline_exceeded(format!("the burst did not end within {BURST_DEADLINE_MS} ms"))
    })?
}
