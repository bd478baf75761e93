//! What a listener does when accept fails.

use std::io;
use std::time::Duration;

/// After accept fails for want of descriptors or memory: retrying at once would
/// only spin, and nothing tells when there are some again.
const PAUSE: Duration = Duration::from_millis(100);

/// Waits before the next attempt. A connection that died in the queue is no reason to;
/// want of descriptors, buffers or memory is.
pub(crate) async fn pause_after(error: &io::Error) {
    if is_want(error) {
        // No event tells that descriptors or memory are free again.
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether the system lacks something, which is worth a word.
pub(super) fn is_want(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    !matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

#[cfg(test)]
mod tests;
