//! Numbers that the kernel holds, and what each stands for.

use std::collections::HashMap;
use std::sync::Arc;

use crate::transfer::{Entry, FileKind, Version};

/// FUSE's number for the root.
pub(super) const ROOT: u64 = 1;

/// What a number stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Node {
    /// The directory of peers.
    Root,
    /// A directory of a share; the empty path is the share itself.
    Directory { peer: Arc<str>, path: Arc<str> },
    /// One version of a file: another version is another node.
    File { peer: Arc<str>, path: Arc<str>, version: Version, mode: u32 },
}

impl Node {
    /// The node of a peer's entry at `path`.
    pub(super) fn new(peer: Arc<str>, path: Arc<str>, entry: &Entry) -> Self {
        match entry.kind {
            FileKind::Directory => Self::Directory { peer, path },
            FileKind::Regular => {
                Self::File { peer, path, version: entry.version, mode: entry.mode }
            }
        }
    }
}

/// The table. Its size is bounded by what the kernel holds: a node is there
/// exactly as long as it has lookups that were not forgotten. Numbers are never
/// used twice.
#[derive(Debug)]
pub(super) struct Inodes {
    by_number: HashMap<u64, Held>,
    by_node: HashMap<Node, u64>,
    next: u64,
}

#[derive(Debug)]
struct Held {
    node: Node,
    lookups: u64,
}

impl Inodes {
    /// Only the root, which the kernel never forgets.
    pub(super) fn new() -> Self {
        Self {
            by_number: HashMap::from([(ROOT, Held { node: Node::Root, lookups: 1 })]),
            by_node: HashMap::from([(Node::Root, ROOT)]),
            next: ROOT + 1,
        }
    }

    /// What `number` stands for.
    pub(super) fn node(&self, number: u64) -> Option<&Node> {
        self.by_number.get(&number).map(|held| &held.node)
    }

    /// The number of `node`, when the kernel holds it.
    pub(super) fn number(&self, node: &Node) -> Option<u64> {
        self.by_node.get(node).copied()
    }

    /// Numbers held, without the root.
    pub(super) fn held(&self) -> usize {
        self.by_number.len() - 1
    }

    /// One more lookup of `node`.
    pub(super) fn look_up(&mut self, node: Node) -> u64 {
        if let Some(&number) = self.by_node.get(&node) {
            if let Some(held) = self.by_number.get_mut(&number) {
                held.lookups += 1;
            }
            return number;
        }
        let number = self.next;
        self.next += 1;
        self.by_node.insert(node.clone(), number);
        self.by_number.insert(number, Held { node, lookups: 1 });
        number
    }

    /// `lookups` fewer of `number`; the last one removes it. Numbers that are not
    /// held are ignored: at unmount the kernel may forget in any order.
    pub(super) fn forget(&mut self, number: u64, lookups: u64) {
        if number == ROOT {
            return;
        }
        let Some(held) = self.by_number.get_mut(&number) else { return };
        held.lookups = held.lookups.saturating_sub(lookups);
        if held.lookups == 0
            && let Some(gone) = self.by_number.remove(&number)
        {
            self.by_node.remove(&gone.node);
        }
    }
}
