//! What a listener does when accept fails.

use std::io;
use std::time::Duration;

use crate::telemetry::complaints::Complaints;

/// After accept fails for want of descriptors or memory: retrying at once would
/// only spin, and nothing tells when there are some again.
const PAUSE: Duration = Duration::from_millis(100);

/// Says that accept failed, and waits before the next attempt. A connection that died in
/// the queue is no reason to; want of descriptors, buffers or memory is, which strangers
/// can bring about.
pub(crate) async fn pause_after(error: &io::Error, complaints: &Complaints) {
    if is_want(error) {
        complaints.warn(format_args!(
            "cannot accept connections for now, trying again: {error}; if it says too many open \
             files, raise the limit (ulimit -n)"
        ));
        // No event tells that descriptors or memory are free again.
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether the system lacks something, which is worth a word.
fn is_want(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    !matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

#[cfg(test)]
mod tests;
