//! What has to be done so that what stands becomes what a plan says. Pure.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use crate::testbed::plan::{LinkPlan, Plan, Rated};

/// One thing of a topology, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What it is.
    pub kind: Kind,
    /// A peer's name, `<dialler>:<listener>`, or `<peer>/<path>`.
    pub name: String,
    /// What becomes of it.
    pub action: Action,
    /// Why, where that is not plain; else empty.
    pub why: String,
}

/// What a topology consists of, beside its proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A daemon with its data.
    Peer,
    /// A proxy listener and its toxics.
    Link,
    /// A seeded file.
    File,
}

/// What becomes of a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is not there yet.
    Create,
    /// It is there, as the plan says.
    Keep,
    /// It is there otherwise, or has ended: removed and made anew.
    Replace,
    /// The plan no longer has it.
    Remove,
}

/// What stands.
#[derive(Debug)]
pub(crate) struct Stands<'a> {
    /// What it was made from.
    pub(crate) plan: &'a Plan,
    /// Peers that run.
    pub(crate) running: HashSet<&'a str>,
    /// Peers that were started, whether they run or not, in order.
    pub(crate) started: Vec<&'a str>,
    /// Links that were made, in order.
    pub(crate) links: Vec<&'a str>,
    /// Links whose proxies are not as they were made, by name: what is otherwise.
    pub(crate) drifted: HashMap<String, String>,
    /// Whether peers would be started from another executable or image now.
    pub(crate) is_other_executable: bool,
}

/// Peers, links and files, each in the new plan's order, then what it lacks.
pub(crate) fn changes(stands: &Stands<'_>, new: &Plan) -> Vec<Change> {
    let peers = peers(stands, new);
    let kept: HashSet<&str> = peers
        .iter()
        .filter(|change| change.action == Action::Keep)
        .map(|change| change.name.as_str())
        .collect();
    let links = links(stands, new, &kept);
    let files = files(stands, new, &kept);
    let mut changes = peers.clone();
    changes.extend(links);
    changes.extend(files);
    changes
}

/// Everything of a plan of which nothing stands.
pub(crate) fn all_new(new: &Plan) -> Vec<Change> {
    let empty = Plan { peers: Vec::new(), links: Vec::new(), samples: Vec::new(), ..new.clone() };
    let (running, started, links) = (HashSet::new(), Vec::new(), Vec::new());
    let drifted = HashMap::new();
    let stands =
        Stands { plan: &empty, running, started, links, drifted, is_other_executable: false };
    changes(&stands, new)
}

fn peers(stands: &Stands<'_>, new: &Plan) -> Vec<Change> {
    let old: HashMap<&str, _> =
        stands.plan.peers.iter().map(|peer| (peer.name.as_str(), peer)).collect();
    let started: HashSet<&str> = stands.started.iter().copied().collect();
    let made = new.peers.iter().map(|peer| {
        let name = peer.name.as_str();
        let (action, why) = if !started.contains(name) {
            (Action::Create, "")
        } else if !stands.running.contains(name) {
            (Action::Replace, "it has ended")
        } else if old.get(name).is_none_or(|old| *old != peer) {
            (Action::Replace, "its settings changed")
        } else if stands.is_other_executable {
            (Action::Replace, "its executable or image changed")
        } else {
            (Action::Keep, "")
        };
        change(Kind::Peer, name.to_owned(), action, why)
    });
    let wanted: HashSet<&str> = new.peers.iter().map(|peer| peer.name.as_str()).collect();
    let unwanted = stands.started.iter().filter(|name| !wanted.contains(**name));
    let removed = unwanted.map(|name| change(Kind::Peer, (*name).to_owned(), Action::Remove, ""));
    made.chain(removed).collect()
}

fn links(stands: &Stands<'_>, new: &Plan, kept: &HashSet<&str>) -> Vec<Change> {
    let old = by_name(stands.plan);
    let standing: HashSet<&str> = stands.links.iter().copied().collect();
    let made = by_order(new).map(|(link, rated)| {
        let name = link.name.as_str();
        let drifted = stands.drifted.get(name);
        let (action, why) = match old.get(name).filter(|_| standing.contains(name)) {
            None => (Action::Create, ""),
            Some(_) if !kept.contains(link.dialler.as_str()) => {
                (Action::Replace, "its dialler is new")
            }
            Some(_) if !kept.contains(link.listener.as_str()) => {
                (Action::Replace, "its listener is new")
            }
            Some((old, old_rated)) if old.shape != link.shape || *old_rated != rated => {
                (Action::Replace, "its shape changed")
            }
            Some(_) => drifted.map_or((Action::Keep, ""), |why| (Action::Replace, why.as_str())),
        };
        change(Kind::Link, name.to_owned(), action, why)
    });
    let wanted: HashSet<&str> = new.links.iter().map(|link| link.name.as_str()).collect();
    let unwanted = stands.links.iter().filter(|name| !wanted.contains(**name));
    let removed = unwanted.map(|name| change(Kind::Link, (*name).to_owned(), Action::Remove, ""));
    made.chain(removed).collect()
}

/// Files that the new plan lacks stay where they are: nobody reads them.
fn files(stands: &Stands<'_>, new: &Plan, kept: &HashSet<&str>) -> Vec<Change> {
    let old: HashMap<_, _> = stands
        .plan
        .samples
        .iter()
        .map(|file| ((file.peer.as_str(), file.path.as_str()), file))
        .collect();
    let made = new.samples.iter().map(|file| {
        let known = old.get(&(file.peer.as_str(), file.path.as_str()));
        let (action, why) = match known.filter(|_| kept.contains(file.peer.as_str())) {
            None => (Action::Create, ""),
            Some(known) if *known != file => (Action::Replace, "its size or seed changed"),
            Some(_) => (Action::Keep, ""),
        };
        change(Kind::File, format!("{}/{}", file.peer, file.path), action, why)
    });
    made.collect()
}

fn by_order(plan: &Plan) -> impl Iterator<Item = (&LinkPlan, Rated)> {
    plan.links.iter().enumerate().map(|(index, link)| (link, plan.rated(index)))
}

fn by_name(plan: &Plan) -> HashMap<&str, (&LinkPlan, Rated)> {
    by_order(plan).map(|(link, rated)| (link.name.as_str(), (link, rated))).collect()
}

fn change(kind: Kind, name: String, action: Action, why: &str) -> Change {
    Change { kind, name, action, why: why.to_owned() }
}

#[cfg(test)]
mod tests;
