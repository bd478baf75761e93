//! What a peer of less than the whole contract has no call for.
//!
//! Only what no assertion depends on may be lacking: it is told with the result.
//! The rest ends the run, as [`ScenarioError::Lacks`].

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use super::ScenarioError;

/// Sentences for the result, each once.
#[derive(Debug, Default)]
pub(super) struct Lacking(Mutex<BTreeSet<String>>);

impl Lacking {
    /// The answer, or `None` and a sentence when the peer has no such call.
    ///
    /// # Errors
    /// Whatever else the call failed with.
    pub(super) fn allow<T>(
        &self,
        answer: Result<T, ScenarioError>,
        consequence: &str,
    ) -> Result<Option<T>, ScenarioError> {
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(ScenarioError::Lacks { peer, reason, .. }) => {
                self.note(&peer, &reason, consequence);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Something that `peer` lacks: in its words, and what follows from it.
    pub(super) fn note(&self, peer: &str, reason: &str, consequence: &str) {
        let sentence = format!("peer {peer}: {reason}: {consequence}");
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(sentence);
    }

    /// What has been noted since the last time.
    pub(super) fn take(&self) -> Vec<String> {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *noted).into_iter().collect()
    }
}

#[cfg(test)]
mod tests;
