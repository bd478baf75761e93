//! A daemon forgets its peers when it ends: they are made known to each other again,
//! as they were when their links were made.

use std::time::Duration;

use tokio::time::timeout;
use tonic::{Response, Status};

use crate::proto::control::{AddPeerRequest, StatusReply, StatusRequest};
use crate::testbed::live::LinkPlace;
use crate::testbed::parts::{Parts, VerbError};
use crate::testbed::runtime::control::{self, Client};

/// Longest wait for one answer of a daemon, each of which costs it microseconds: one
/// that is paused gives none.
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);

/// Whom to tell of whom, and where to dial; empty: it can only be dialled.
#[derive(Debug, PartialEq, Eq)]
struct Introduction<'a> {
    to: &'a str,
    of: &'a str,
    address: &'a str,
}

/// Tells `name` of those it has links with, and those of it: where its data was in
/// memory, it has another id now. Peers that do not answer are told in sentences.
pub(super) async fn again(parts: &Parts, name: &str) -> Result<Vec<String>, VerbError> {
    let (own, own_status) = ask(parts, name).await?;
    let mut warnings = Vec::new();
    let wanted = introductions(&parts.live().links, name);
    let mut others: Vec<&str> = wanted.iter().map(|told| other(told, name)).collect();
    others.sort_unstable();
    others.dedup();
    for peer in others {
        let (client, status) = match ask(parts, peer).await {
            Ok(answer) => answer,
            Err(error) => {
                warnings.push(format!("{peer} and {name} do not know each other: {error}"));
                continue;
            }
        };
        for told in wanted.iter().filter(|told| other(told, name) == peer) {
            let (to, of) = if told.to == name { (&own, &status) } else { (&client, &own_status) };
            add(to.clone(), of, told).await?;
        }
    }
    Ok(warnings)
}

fn other<'a>(told: &Introduction<'a>, name: &str) -> &'a str {
    if told.to == name { told.of } else { told.to }
}

/// All that concern `name`. An end that has no link back is told no address.
fn introductions<'a>(links: &'a [LinkPlace], name: &str) -> Vec<Introduction<'a>> {
    let mut told = Vec::new();
    for link in links {
        let (dialler, listener) = (link.plan.dialler.as_str(), link.plan.listener.as_str());
        if dialler != name && listener != name {
            continue;
        }
        told.push(Introduction { to: dialler, of: listener, address: &link.dial });
        let is_back =
            |back: &LinkPlace| back.plan.dialler == listener && back.plan.listener == dialler;
        if !links.iter().any(is_back) {
            told.push(Introduction { to: listener, of: dialler, address: "" });
        }
    }
    told
}

async fn ask(parts: &Parts, name: &str) -> Result<(Client, StatusReply), VerbError> {
    let failed = |error: &dyn std::fmt::Display| VerbError::failed(format!("{name}: {error}"));
    let connected = control::connect(&parts.endpoint(name)?.control).await;
    let mut client = connected.map_err(|error| failed(&error))?;
    let status = answer(name, client.status(StatusRequest {})).await?;
    Ok((client, status.map_err(|error| failed(&error))?))
}

/// A daemon's answer, or that it gives none.
async fn answer<T>(
    name: &str,
    asking: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<Result<T, Status>, VerbError> {
    let answer = timeout(ANSWER_DEADLINE, asking).await;
    let answer = answer
        .map_err(|_| VerbError::TimedOut(format!("{name} does not answer (is it paused?)")))?;
    Ok(answer.map(Response::into_inner))
}

async fn add(mut to: Client, of: &StatusReply, told: &Introduction<'_>) -> Result<(), VerbError> {
    let request = AddPeerRequest {
        name: of.name.clone(),
        id: of.id.clone(),
        address: told.address.to_owned(),
    };
    answer(told.to, to.add_peer(request)).await?.map(|_| ()).map_err(|error| {
        VerbError::failed(format!("telling {} of {}: {}", told.to, told.of, error.message()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::live::tests::live;

    #[test]
    fn both_ends_of_each_link_are_told() {
        let told = |to, of, address| Introduction { to, of, address };
        let links = live().links;
        let both = [told("a", "b", "127.0.0.1:21000"), told("b", "a", "127.0.0.1:21001")];
        assert_eq!(introductions(&links, "a"), both);
        assert_eq!(introductions(&links, "b"), both);
        let one_way = [told("a", "b", "127.0.0.1:21000"), told("b", "a", "")];
        assert_eq!(introductions(&links[..1], "b"), one_way);
        assert_eq!(introductions(&links, "c"), []);
    }
}
