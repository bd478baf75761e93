//! Waiting for the lock of a topology, which `up` and `down` take as well.

use std::path::Path;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::VerbError;
use crate::testbed::up::lock::{Lock, LockError};

/// A verb that restarts a peer holds it for seconds; `up` may for longer.
const DEADLINE: Duration = Duration::from_secs(60);

/// Pause between two attempts: the kernel tells nobody of a lock that is free but
/// those who block a thread for it.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// Takes the lock of the topology of this run directory. Cancel-safe.
pub(super) async fn take(directory: &Path, name: &str) -> Result<Lock, VerbError> {
    let out = directory.parent().unwrap_or_else(|| Path::new("."));
    let mut holder = String::new();
    let taking = async {
        loop {
            match Lock::take(out, name) {
                Ok(lock) => return Ok(lock),
                Err(held @ LockError::Held { .. }) => holder = held.to_string(),
                Err(error) => return Err(VerbError::failed(error.to_string())),
            }
            sleep(TRY_AGAIN_AFTER).await;
        }
    };
    let taken = timeout(DEADLINE, taking).await;
    taken.unwrap_or(Err(VerbError::TimedOut(holder)))
}
