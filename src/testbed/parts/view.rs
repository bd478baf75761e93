//! What a topology is made of, as it is now.

use std::path::PathBuf;
use std::time::Duration;

use futures::future::join_all;
use serde::Serialize;
use tokio::time::timeout;

use super::restart::is_mounted;
use super::{Part, PartState, Parts, VerbError};
use crate::proto::control::{StatusReply, StatusRequest};
use crate::testbed::live::LinkPlace;
use crate::testbed::runtime::part::{PROXY, Place};
use crate::testbed::runtime::{ControlAddress, control};

pub(crate) mod overview;
pub(crate) mod table;

/// A daemon that does not answer within this is shown as silent.
const STATUS_DEADLINE: Duration = Duration::from_secs(2);

/// One part with all its addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct PartView {
    pub(crate) name: String,
    /// `process`, `container` or `elsewhere`.
    pub(crate) kind: &'static str,
    #[serde(flatten)]
    pub(crate) state: PartState,
    /// The engine's name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) container: Option<String>,
    /// Its own directory, of a process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) home: Option<PathBuf>,
    /// Of its control service, or the proxy's API, from here; never the token.
    pub(crate) control: Option<String>,
    /// Whether the control service answers; none for the proxy.
    pub(crate) answers: Option<bool>,
    /// Where peers dial it, as the proxy sees it.
    pub(crate) upstream: Option<String>,
    /// Where it mounts the shares of the others, as it sees it.
    pub(crate) mount: Option<String>,
    /// Whether that is a mount point.
    pub(crate) mounted: Option<bool>,
}

/// A link as each of three sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct LinkSeen {
    pub(crate) name: String,
    pub(crate) dialler: String,
    pub(crate) listener: String,
    /// What the dialler dials.
    pub(crate) peer: String,
    /// Where the proxy listens, and what it dials.
    pub(crate) proxy: ProxySeen,
    /// Where it can be reached from this machine, if it can.
    pub(crate) host: Option<String>,
}

/// The proxy's own addresses of a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ProxySeen {
    pub(crate) listen: String,
    pub(crate) upstream: String,
}

/// Parts in the order that is asked, by default the proxy's and then the plan's.
pub(crate) async fn inspect(parts: &Parts, names: &[String]) -> Result<Vec<PartView>, VerbError> {
    let all: Vec<String> = parts.live().parts.iter().map(|part| part.name.clone()).collect();
    let names = if names.is_empty() { &all } else { names };
    let parts_named = parts.named(names).await?;
    join_all(parts_named.iter().map(|part| whole(parts, part))).await.into_iter().collect()
}

async fn whole(parts: &Parts, part: &Part) -> Result<PartView, VerbError> {
    let live = parts.live();
    let endpoint = live.peers.iter().find(|peer| peer.name == part.name());
    let place = live.parts.iter().find(|place| place.name == part.name());
    let status = match endpoint {
        Some(endpoint) => status(&endpoint.control).await,
        None => None,
    };
    let state = part.state().await?;
    let mount = status.as_ref().map(|status| status.mount_dir.clone());
    let mount = mount.filter(|mount| !mount.is_empty());
    let told = status.as_ref().map(|status| status.mounted);
    let mounted = match part {
        Part::Process(process) => process.mount()?.map(|mount| is_mounted(&mount)).transpose()?,
        Part::Container(container) => container.mounted(state.pid, &live.run_id).or(told),
        Part::Elsewhere(_) => told,
    };
    let (kind, container, home) = match place.map(|place| &place.place) {
        Some(Place::Process { home, .. }) => ("process", None, Some(home.clone())),
        Some(Place::Container { container, .. }) => ("container", Some(container.clone()), None),
        Some(Place::Elsewhere) | None => ("elsewhere", None, None),
    };
    let of_proxy = || (part.name() == PROXY).then(|| live.proxy_api.clone());
    Ok(PartView {
        name: part.name().to_owned(),
        kind,
        state,
        container,
        home,
        control: endpoint.map(|endpoint| shown(&endpoint.control)).or_else(of_proxy),
        answers: endpoint.map(|_| status.is_some()),
        upstream: endpoint.map(|endpoint| endpoint.upstream.clone()),
        mount,
        mounted,
    })
}

async fn status(address: &ControlAddress) -> Option<StatusReply> {
    let asking = async {
        let mut client = control::connect(address).await.ok()?;
        Some(client.status(StatusRequest {}).await.ok()?.into_inner())
    };
    timeout(STATUS_DEADLINE, asking).await.ok().flatten()
}

/// Without the token.
fn shown(address: &ControlAddress) -> String {
    match address {
        ControlAddress::Unix(path) => path.display().to_string(),
        ControlAddress::Tcp { address, .. } => address.clone(),
    }
}

/// The links of these peers, or the one that is named `a:b` or `a->b`; all without.
pub(crate) fn links(
    parts: &Parts,
    peers: &[String],
    link: Option<&str>,
) -> Result<Vec<LinkSeen>, VerbError> {
    let all = &parts.live().links;
    let of_peers = |link: &&LinkPlace| {
        let ends = [&link.plan.dialler, &link.plan.listener];
        peers.is_empty() || ends.iter().any(|end| peers.iter().any(|peer| *peer == **end))
    };
    let Some(asked) = link else { return Ok(all.iter().filter(of_peers).map(seen).collect()) };
    let name = asked.replace("->", ":");
    let Some(found) = all.iter().find(|link| *link.plan.name == *name) else {
        let names: Vec<&str> = all.iter().map(|link| link.plan.name.as_str()).collect();
        return Err(VerbError::input(
            format!("there is no link `{asked}` in {}", parts.live().name),
            crate::testbed::topology::suggest::hint(&name, &names),
        ));
    };
    Ok(vec![seen(found)])
}

fn seen(link: &LinkPlace) -> LinkSeen {
    LinkSeen {
        name: link.plan.name.to_string(),
        dialler: link.plan.dialler.to_string(),
        listener: link.plan.listener.to_string(),
        peer: link.dial.clone(),
        proxy: ProxySeen { listen: link.listen.clone(), upstream: link.upstream.clone() },
        host: link.host.clone(),
    }
}

#[cfg(test)]
mod tests;
