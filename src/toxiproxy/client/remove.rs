//! Removing a toxic for sure.

use std::time::Duration;

use super::super::api::{Effect, Latency, Toxic};
use super::{Client, ClientError};

/// Removal under load is known to hang in the stock server until its 25 s are
/// over; a healthy one takes some milliseconds.
const REMOVE_DEADLINE: Duration = Duration::from_secs(5);

/// What it took to get rid of a toxic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It is gone.
    Removed,
    /// It could not be removed and is neutral now.
    Neutralised,
    /// Neither worked: its whole proxy was deleted.
    ProxyDeleted,
}

impl Client {
    /// Removes a toxic within a deadline; failing that makes it neutral; failing
    /// that deletes its proxy. A toxic or proxy that is not there counts as removed.
    ///
    /// # Errors
    /// That of the removal, when nothing helped.
    pub async fn remove_toxic_surely(
        &self,
        proxy: &str,
        toxic: &Toxic,
    ) -> Result<Removal, ClientError> {
        let hasty = self.clone().with_deadline(self.deadline.min(REMOVE_DEADLINE));
        let error = match hasty.remove_toxic(proxy, &toxic.name).await {
            Ok(()) => return Ok(Removal::Removed),
            Err(error) if error.status() == Some(404) => return Ok(Removal::Removed),
            Err(error) => error,
        };
        if hasty.update_toxic(proxy, &neutral(toxic)).await.is_ok() {
            return Ok(Removal::Neutralised);
        }
        match hasty.delete(proxy).await {
            Ok(()) => Ok(Removal::ProxyDeleted),
            Err(_) => Err(error),
        }
    }
}

/// The same toxic without effect: toxicity 0 too, for types unknown here.
fn neutral(toxic: &Toxic) -> Toxic {
    let effect = match &toxic.effect {
        Effect::Latency(_) => Effect::Latency(Latency::default()),
        other => other.clone(),
    };
    Toxic { effect, toxicity: 0.0, ..toxic.clone() }
}
