//! Peers that stay forget those that they no longer have a link with.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::timeout;
use tonic::Code;

use super::UpError;
use crate::proto::control::RemovePeerRequest;
use crate::testbed::plan::Plan;
use crate::testbed::runtime::{PeerEndpoint, control};

/// The daemon cuts some sessions, within 2 s at most; one that takes longer is stuck.
const CALL_DEADLINE: Duration = Duration::from_secs(20);

/// Who of `kept` was introduced to whom by the old plan and is not by the new one, in
/// the old plan's order, each once. Pure.
pub(super) fn pairs(old: &Plan, new: &Plan, kept: &HashSet<String>) -> Vec<(String, String)> {
    let known: HashSet<(&str, &str)> = introduced(new).collect();
    let mut told = HashSet::new();
    introduced(old)
        .filter(|pair| kept.contains(pair.0) && !known.contains(pair) && told.insert(*pair))
        .map(|(keeper, gone)| (keeper.to_owned(), gone.to_owned()))
        .collect()
}

/// Both ends of each link know each other.
fn introduced(plan: &Plan) -> impl Iterator<Item = (&str, &str)> {
    plan.links.iter().flat_map(|link| {
        let (dialler, listener) = (link.dialler.as_str(), link.listener.as_str());
        [(dialler, listener), (listener, dialler)]
    })
}

/// Tells each of `pairs`' first to forget the second. What a peer has no call for is a
/// warning: it lists a peer that it cannot reach.
pub(super) async fn tell(
    pairs: &[(String, String)],
    peers: &[PeerEndpoint],
    warnings: &mut Vec<String>,
) -> Result<(), UpError> {
    for (keeper, gone) in pairs {
        let Some(endpoint) = peers.iter().find(|peer| peer.name == *keeper) else { continue };
        let failed = |reason: String| {
            UpError::harness(format!(
                "{keeper}: forgetting the peer {gone}: {reason}\n  hint: `dropbed up` again; \
                 `dropbed logs {keeper}` shows what it says"
            ))
        };
        let connected = control::connect(&endpoint.control).await;
        let mut control = connected.map_err(|error| failed(error.to_string()))?;
        let request = RemovePeerRequest { name: gone.clone() };
        match timeout(CALL_DEADLINE, control.remove_peer(request)).await {
            Ok(Ok(_)) => {}
            Ok(Err(status)) => match status.code() {
                // It was restarted, or an `up` that was interrupted told it.
                Code::NotFound => {}
                Code::Unimplemented => {
                    let says = status.message();
                    warnings.push(format!(
                        "peer {keeper}: it cannot forget a peer ({says}): it still knows {gone}, \
                         with which it no longer has a link"
                    ));
                }
                _ => return Err(failed(status.message().to_owned())),
            },
            Err(_) => return Err(failed(format!("no answer within {CALL_DEADLINE:?}"))),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
