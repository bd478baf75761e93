//! The peers whose shares are mounted.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use super::NAME_BYTES_MAX;
use crate::transfer::Remote;

/// The set of peers, shared by the mount that shows it and the daemon that
/// changes it. Clones are the same set.
#[derive(Clone, Default)]
pub struct Shares(Arc<RwLock<BTreeMap<String, Arc<dyn Remote>>>>);

/// A name that cannot be a directory below the mount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name:?} cannot name a peer's directory: 1 to {max} bytes without \"/\" and NUL, not \".\" or \"..\"",
    max = NAME_BYTES_MAX
)]
pub struct InvalidName {
    /// What was refused.
    pub name: String,
}

impl Shares {
    /// No peers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Shows `remote` as `/<name>`, in place of what had the name before. Files
    /// that are open stay with the remote they were opened at.
    pub fn insert(&self, name: &str, remote: Arc<dyn Remote>) -> Result<(), InvalidName> {
        if !is_name(name) {
            return Err(InvalidName { name: name.to_owned() });
        }
        let mut shares = self.0.write().unwrap_or_else(PoisonError::into_inner);
        shares.insert(name.to_owned(), remote);
        Ok(())
    }

    /// Hides `/<name>`; returns whether it was there.
    pub fn remove(&self, name: &str) -> bool {
        let mut shares = self.0.write().unwrap_or_else(PoisonError::into_inner);
        shares.remove(name).is_some()
    }

    /// The share shown as `/<name>`.
    pub fn remote(&self, name: &str) -> Option<Arc<dyn Remote>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// All names, sorted.
    pub fn names(&self) -> Vec<String> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }
}

impl fmt::Debug for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shares").field(&self.names()).finish()
    }
}

/// Whether the kernel can have `name` as one component of a path.
pub(super) fn is_name(name: &str) -> bool {
    let special = name.is_empty() || name == "." || name == "..";
    !special && name.len() <= NAME_BYTES_MAX && !name.contains(['/', '\0'])
}
