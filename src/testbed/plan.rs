//! What a run will do, decided in full before anything starts.
//!
//! Pure and deterministic: the same topology and seed give the same plan, byte
//! for byte, on every machine. Nothing later decides anything: runtimes, links
//! and scenario only carry out. Addresses are not here, for they depend on the
//! runtime; names, ports inside containers and orders are.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

mod build;
pub mod estimate;
pub mod graph;
mod limits;
mod links;
mod needs;
pub mod render;
pub(crate) mod seed;
mod shared;
mod steps;

pub use crate::sample::Entropy;
pub use build::{load, plan};
pub use estimate::Estimate;
pub use limits::{Limit, Refusal};
pub use links::{LINK_PORTS, LinkPlan, OneWay, RateScope, Rated, Shape, link_ports};
pub use needs::{Network, NetworkPlan, Right, RightsPlan, StartPlan};
pub use shared::Name;
pub use steps::{StepPlan, TransferDestination, TransferMode, TransferPlan};

/// A whole run. By default one of nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// From the topology; part of the run directory's name.
    pub name: String,
    /// The seed that everything random is derived from.
    pub seed: u64,
    /// In file order. No two share a name.
    pub peers: Vec<PeerPlan>,
    /// One per directed pair, in file order.
    pub links: Vec<LinkPlan>,
    /// What containers are put into, in the order in which they are made.
    pub networks: NetworkPlan,
    /// Peers that need more of the machine than a container has by itself.
    pub rights: Vec<RightsPlan>,
    /// What is started, stage by stage.
    pub start: Vec<StartPlan>,
    /// Files made before the first step.
    pub samples: Vec<SamplePlan>,
    /// Every cell of the matrix, in file order; one without a matrix.
    pub cells: Vec<CellPlan>,
    /// Which cell runs when: warm-up blocks first, then the repetitions.
    pub order: Vec<Turn>,
    /// The whole run ends after this, with exit code 5.
    pub deadline_ms: u64,
    /// What it takes of time, memory and disk, at the least.
    pub estimate: Estimate,
    /// Why it should not, or cannot, be run.
    pub limits: Vec<Limit>,
}

impl Plan {
    /// The overrides that run everything but the mount: no peer mounts, and what
    /// would be read through one is pushed.
    pub fn flags_without_mount(&self) -> String {
        let mut flags = "--set defaults.peer.mount=false".to_owned();
        let steps = self.cells.first().map_or(&[][..], |cell| &cell.steps);
        for (index, step) in steps.iter().enumerate() {
            for (part, inner) in step.parts().iter().enumerate() {
                let mounts = matches!(inner, StepPlan::Transfer(transfer) if transfer.mode == TransferMode::Mount);
                if mounts {
                    let within = match step {
                        StepPlan::Parallel { .. } => format!("{index}.parallel.{part}"),
                        StepPlan::Transfer(_) | StepPlan::Rekey { .. } => index.to_string(),
                    };
                    flags += &format!(" --set scenario.steps.{within}.transfer.mode=push");
                }
            }
        }
        flags
    }

    /// Which directions of the link at `index` have a rate in any cell. Those have
    /// one all along, if only an endless one, so that no cell has to add or remove
    /// what makes it.
    pub fn rated(&self, index: usize) -> Rated {
        let cells = self.cells.iter().map(|cell| cell.shapes[index]);
        let mut shapes = cells.chain([self.links[index].shape]);
        let up = shapes.clone().any(|shape| shape.up.rate_bits_per_s.is_some());
        let down = shapes.any(|shape| shape.down.rate_bits_per_s.is_some());
        Rated { up, down }
    }
}

/// One daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerPlan {
    /// Lower-case letters, digits and inner dashes; a host name.
    pub name: String,
    /// Whether the other peers' shares are mounted there.
    pub mount: bool,
    /// Ask the engine for `--privileged` instead of the least that FUSE needs.
    pub privileged: bool,
    /// A direction moves to its next epoch after this many bytes.
    pub rekey_bytes: Option<u64>,
    /// Further environment of the daemon.
    pub environment: BTreeMap<String, String>,
    /// What the peer may use of the machine.
    pub resources: Resources,
    /// What lies beneath its directories.
    pub volumes: Volumes,
}

/// What a peer may use of the machine, where the runtime can hold it to that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Thousandths of a processor; none: all of them.
    pub cpus_milli: Option<u32>,
    /// Memory, after which the kernel ends the peer; none: all there is.
    pub memory_bytes: Option<u64>,
}

/// What lies beneath a peer's directories.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volumes {
    /// Beneath what it serves.
    pub share: Volume,
    /// Beneath its identity, cache and downloads.
    pub state: Volume,
}

/// What lies beneath one directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Volume {
    /// Disk of the run's own, removed with it.
    #[default]
    Disk,
    /// Memory of the run's own, full at this size.
    Memory {
        /// Room for files.
        size_bytes: u64,
    },
    /// A directory of the machine, which stays.
    Directory {
        /// Absolute.
        path: String,
        /// Whether the peer may only read.
        read_only: bool,
    },
}

/// A seeded file in a peer's share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SamplePlan {
    /// Whose share.
    pub peer: String,
    /// Path within the share.
    pub path: String,
    /// Its size.
    pub size_bytes: u64,
    /// What its bytes are like.
    pub entropy: Entropy,
    /// Seed of its bytes, derived from the run's seed, the peer and the path.
    pub seed: u64,
}

/// One combination of the matrix's values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellPlan {
    /// Variable to value, as written in the file; empty without a matrix.
    pub values: BTreeMap<String, String>,
    /// Shape of every link in this cell, in the order of [`Plan::links`].
    #[serde(with = "shared::list")]
    pub shapes: Arc<[Shape]>,
    /// What is done, in order.
    pub steps: Vec<StepPlan>,
}

impl CellPlan {
    /// All steps in order, those within a parallel one each by itself.
    pub fn parts(&self) -> impl Iterator<Item = &StepPlan> {
        self.steps.iter().flat_map(StepPlan::parts)
    }
}

/// One turn of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// Index into [`Plan::cells`].
    pub cell: usize,
    /// 0-based repetition; every block holds each cell once.
    pub repetition: u32,
    /// Warm-up turns are carried out and checked, but not counted.
    pub warmup: bool,
}
