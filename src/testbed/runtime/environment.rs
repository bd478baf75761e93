//! The daemon's environment, the same for every runtime but for its addresses.

use std::collections::BTreeMap;

use super::owner::{OWNER_VARIABLE, Owner};
use super::{RunContext, RuntimeError};
use crate::testbed::contract::env;
use crate::testbed::plan::PeerPlan;

/// Which run a daemon belongs to; on its spans, and how `gc` finds it.
pub const RUN_ID_VARIABLE: &str = "DROPBED_RUN_ID";

/// Absolute path of the run's directory, beside the owner of a process: how `gc`
/// learns that a topology was kept up on purpose.
pub const DIRECTORY_VARIABLE: &str = "DROPBED_DIRECTORY";

/// Log filter of daemons and proxy.
pub const LOG_VARIABLE: &str = "DROPBED_LOG";

/// Asks a child to end when `dropbed` does, however that ends.
pub const DIE_WITH_PARENT_VARIABLE: &str = "DROPD_DIE_WITH_PARENT";

/// Where one runtime puts one daemon.
#[derive(Clone, Debug)]
pub(super) struct Placement {
    pub(super) listen: String,
    pub(super) control: String,
    pub(super) token_file: Option<String>,
    pub(super) state: String,
    pub(super) share: String,
    pub(super) mount: String,
    pub(super) otlp_endpoint: Option<String>,
}

/// The whole environment of a peer.
///
/// # Errors
/// A plan that sets a variable which the testbed itself needs.
pub(super) fn of_peer(
    peer: &PeerPlan,
    context: &RunContext,
    place: Placement,
) -> Result<BTreeMap<String, String>, RuntimeError> {
    let mut ours = BTreeMap::from([
        (env::NAME, peer.name.clone()),
        (env::LISTEN, place.listen),
        (env::CONTROL, place.control),
        (env::STATE, place.state),
        (env::SHARE, place.share),
        (RUN_ID_VARIABLE, context.run_id.clone()),
        (LOG_VARIABLE, context.log_filter.clone()),
    ]);
    if peer.mount {
        ours.insert(env::MOUNT, place.mount);
    }
    if let Some(endpoint) = place.otlp_endpoint {
        ours.insert(env::OTLP_ENDPOINT, endpoint);
    }
    if let Some(token_file) = place.token_file {
        ours.insert(env::CONTROL_TOKEN_FILE, token_file);
    }
    if let Some(bytes) = peer.rekey_bytes {
        ours.insert(env::REKEY_BYTES, bytes.to_string());
    }
    let mut environment = peer.environment.clone();
    for (name, value) in ours {
        if environment.insert(name.to_owned(), value).is_some() {
            return Err(RuntimeError::Failed(format!(
                "peer {}: the topology sets {name}, which the testbed itself sets",
                peer.name
            )));
        }
    }
    Ok(environment)
}

/// What makes a process on this machine findable and, unless it is to outlive its
/// parent, mortal.
pub(super) fn of_child(owner: &Owner, context: &RunContext) -> BTreeMap<String, String> {
    let mut environment = BTreeMap::from([
        (OWNER_VARIABLE.to_owned(), owner.to_string()),
        (RUN_ID_VARIABLE.to_owned(), context.run_id.clone()),
        (DIRECTORY_VARIABLE.to_owned(), context.directory.display().to_string()),
    ]);
    if !context.outlives {
        environment.insert(DIE_WITH_PARENT_VARIABLE.to_owned(), "1".to_owned());
    }
    // Nothing else of ours leaks into a daemon: runs must not depend on a shell.
    for name in ["PATH", "HOME", "RUST_BACKTRACE"] {
        if let Ok(value) = std::env::var(name) {
            environment.insert(name.to_owned(), value);
        }
    }
    environment
}

#[cfg(test)]
mod tests;
