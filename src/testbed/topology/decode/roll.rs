//! Who takes part, by name and by number.

use std::collections::HashMap;

use super::super::diagnostic::Diagnostic;
use super::super::tree::Node;
use super::fields::{self, Fields};
use super::items;
use super::peers::peer_reference;
use crate::testbed::plan::PeerPlan;

/// Names to places in the list of peers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Roll {
    index: HashMap<String, u32>,
}

impl Roll {
    /// Of the peers of a topology, which are fewer than `u32` counts.
    pub(super) fn of(peers: &[PeerPlan]) -> Self {
        Self { index: (0..).zip(peers).map(|(index, peer)| (peer.name.clone(), index)).collect() }
    }

    /// The peer of that name.
    pub(crate) fn find(&self, name: &str) -> Option<u32> {
        self.index.get(name).copied()
    }

    /// The peer that `node` names, or a diagnostic.
    pub(super) fn reference(
        &self,
        node: &Node,
        what: &str,
        peers: &[PeerPlan],
        found: &mut Vec<Diagnostic>,
    ) -> Option<u32> {
        let name = fields::text(node, what, &mut Vec::new());
        match name.and_then(|name| self.find(name)) {
            Some(index) => Some(index),
            None => self.find(&peer_reference(node, what, peers, found)?),
        }
    }

    /// The peers that the list under `peers` names, in its order: each by its name,
    /// or several by the name before their numbers. Without the key: all.
    pub(super) fn members(
        &self,
        fields: &Fields<'_>,
        peers: &[PeerPlan],
        found: &mut Vec<Diagnostic>,
    ) -> Vec<u32> {
        let Some(node) = fields.find("peers") else { return (0..).zip(peers).map(first).collect() };
        let mut members = Vec::new();
        let mut places = vec![None; peers.len()];
        for item in items(node, "`peers`", found) {
            let Some(name) = fields::text(item, "`peers`", found) else { continue };
            let mut named = match self.find(name) {
                Some(peer) => vec![peer],
                None => self.group(name),
            };
            if named.is_empty() {
                // Says which peers there are; none is found.
                named.extend(self.reference(item, "`peers`", peers, found));
            }
            for peer in named {
                let place = &mut places[peer as usize];
                if let Some(first) = *place {
                    let message = format!("`peers` has `{}` twice", peers[peer as usize].name);
                    let twice = Diagnostic::new(item.span, message).hint("name each once");
                    found.push(twice.related(first, "first given here"));
                    break;
                }
                *place = Some(item.span);
                members.push(peer);
            }
        }
        members
    }

    /// The peers `name-0`, `name-1` and so on, up to the first that is not there.
    fn group(&self, name: &str) -> Vec<u32> {
        (0..self.index.len()).map_while(|number| self.find(&format!("{name}-{number}"))).collect()
    }
}

fn first<T>((index, _): (u32, T)) -> u32 {
    index
}
