//! Removing for sure.

use std::time::Duration;

use super::super::api::Toxic;
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
        let hasty = self.hasty();
        let error = match hasty.remove_toxic(proxy, &toxic.name).await {
            Ok(()) => return Ok(Removal::Removed),
            Err(error) if error.status() == Some(404) => return Ok(Removal::Removed),
            Err(error) => error,
        };
        match hasty.update_toxic(proxy, &neutral(toxic)).await {
            Ok(_) => return Ok(Removal::Neutralised),
            // The removal was done, and only its answer did not come.
            Err(error) if error.status() == Some(404) => return Ok(Removal::Removed),
            Err(_) => {}
        }
        match hasty.delete(proxy).await {
            Ok(()) => Ok(Removal::ProxyDeleted),
            Err(error) if error.status() == Some(404) => Ok(Removal::Removed),
            Err(_) => Err(error),
        }
    }

    /// Deletes a proxy within a deadline; one that is not there counts as deleted.
    /// What else fails is as for [`Self::delete`].
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn delete_surely(&self, proxy: &str) -> Result<(), ClientError> {
        match self.hasty().delete(proxy).await {
            Err(error) if error.status() == Some(404) => Ok(()),
            result => result,
        }
    }

    pub(super) fn hasty(&self) -> Self {
        self.clone().with_deadline(self.deadline.min(REMOVE_DEADLINE))
    }
}

/// The same toxic without effect: toxicity 0 too, for types without such attributes.
fn neutral(toxic: &Toxic) -> Toxic {
    Toxic { effect: toxic.effect.neutral(), toxicity: 0.0, ..toxic.clone() }
}
