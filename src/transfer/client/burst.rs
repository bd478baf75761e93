//! Bursts to and from the peer.

use tokio::time::{Duration, timeout};
use tonic::Request;

use super::Client;
use crate::proto::drop as wire;
use crate::transfer::FetchError;
use crate::transfer::burst::{self, Arrivals, Arrived, WireCounter};
use crate::transfer::limits::BURST_DEADLINE_MS;
use crate::transfer::status::fetch_error;

impl Client {
    /// A burst of `bytes` from the peer, timed here with `counter` of this session.
    ///
    /// # Errors
    /// [`FetchError::Invalid`] for more than
    /// [`BURST_BYTES_MAX`](crate::transfer::limits::BURST_BYTES_MAX);
    /// [`FetchError::TimedOut`] after [`BURST_DEADLINE_MS`].
    pub async fn burst_down(
        &self,
        bytes: u64,
        counter: &WireCounter,
    ) -> Result<Arrived, FetchError> {
        let mut calls = self.calls.clone();
        let burst = async {
            let request = Request::new(wire::BurstRequest { bytes });
            let parts = calls.burst_down(request).await;
            let failed = |status| fetch_error(&status, &self.peer, "");
            let mut parts = parts.map_err(failed)?.into_inner();
            let mut arrivals = Arrivals::default();
            while let Some(part) = parts.message().await.map_err(failed)? {
                let taken = arrivals.take_now(&part, counter, bytes);
                taken.map_err(|reason| self.failed("", format!("it sent {reason}")))?;
            }
            Ok(arrivals.arrived())
        };
        self.whole(bytes, burst).await
    }

    /// A burst of `bytes` to the peer, timed there.
    ///
    /// # Errors
    /// As [`Self::burst_down`].
    pub async fn burst_up(&self, bytes: u64) -> Result<Arrived, FetchError> {
        let invalid = |reason| FetchError::Invalid {
            peer: self.peer.to_string(),
            path: String::new(),
            reason,
        };
        burst::check(bytes).map_err(invalid)?;
        let mut calls = self.calls.clone();
        let burst = async {
            let reply = calls.burst_up(Request::new(burst::parts(bytes))).await;
            let reply = reply.map_err(|status| fetch_error(&status, &self.peer, ""))?;
            Ok(reply.into_inner().into())
        };
        self.whole(bytes, burst).await
    }

    /// All of a burst within its deadline.
    async fn whole(
        &self,
        bytes: u64,
        burst: impl Future<Output = Result<Arrived, FetchError>>,
    ) -> Result<Arrived, FetchError> {
        let deadline = Duration::from_millis(BURST_DEADLINE_MS);
        let arrived = timeout(deadline, burst).await.map_err(|_| FetchError::TimedOut {
            peer: self.peer.to_string(),
            path: String::new(),
            deadline_ms: BURST_DEADLINE_MS,
        })??;
        if arrived.bytes != bytes {
            let reason = format!("{} of the {bytes} bytes of a burst arrived", arrived.bytes);
            return Err(self.failed("", reason));
        }
        Ok(arrived)
    }
}
