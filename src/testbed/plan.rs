//! What a run will do, decided in full before anything starts.
//!
//! Pure and deterministic: the same topology and seed give the same plan, byte
//! for byte, on every machine. Nothing later decides anything: runtimes, links
//! and scenario only carry out. Addresses are not here, for they depend on the
//! runtime; names, ports inside containers and orders are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

mod build;
pub mod render;
mod seed;

pub use build::{load, plan};

/// A whole run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// From the topology; part of the run directory's name.
    pub name: String,
    /// The seed that everything random is derived from.
    pub seed: u64,
    /// In file order. No two share a name.
    pub peers: Vec<PeerPlan>,
    /// One per directed pair, in file order.
    pub links: Vec<LinkPlan>,
    /// Files made before the first step.
    pub samples: Vec<SamplePlan>,
    /// Every cell of the matrix, in file order; one without a matrix.
    pub cells: Vec<CellPlan>,
    /// Which cell runs when: warm-up blocks first, then the repetitions.
    pub order: Vec<Turn>,
    /// The whole run ends after this, with exit code 5.
    pub deadline_ms: u64,
}

impl Plan {
    /// The overrides that run everything but the mount: no peer mounts, and what
    /// would be read through one is pushed.
    pub fn flags_without_mount(&self) -> String {
        let mut flags = "--set defaults.peer.mount=false".to_owned();
        let steps = self.cells.first().map_or(&[][..], |cell| &cell.steps);
        for (index, step) in steps.iter().enumerate() {
            if matches!(step, StepPlan::Transfer(transfer) if transfer.mode == TransferMode::Mount)
            {
                flags += &format!(" --set scenario.steps.{index}.transfer.mode=push");
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

/// Which directions of a link ever have a rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rated {
    /// From dialler to listener.
    pub up: bool,
    /// From listener to dialler.
    pub down: bool,
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
}

/// The way from one peer that dials to one that listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkPlan {
    /// `<dialler>:<listener>`, also the proxy's name.
    pub name: String,
    /// Who dials, and so who reads.
    pub dialler: String,
    /// Who listens, and so who serves.
    pub listener: String,
    /// The proxy's listening port where addresses are its own (containers).
    pub port: u16,
    /// The shape when the run starts; a cell may replace it.
    pub shape: Shape,
}

/// What a link does to bytes, for each direction of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// From dialler to listener.
    pub up: OneWay,
    /// From listener to dialler.
    pub down: OneWay,
}

impl Shape {
    /// The round trip that both delays make, without jitter.
    pub const fn rtt_us(&self) -> u64 {
        self.up.latency_us + self.down.latency_us
    }
}

/// What happens to bytes in one direction of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OneWay {
    /// Added to every byte's way. Microseconds, so that half of an odd RTT is exact.
    pub latency_us: u64,
    /// Uniform deviation of the delay to both sides; at most `latency_us`.
    pub jitter_us: u64,
    /// Whole bytes per second, so a multiple of 8; none: as fast as the machine.
    pub rate_bits_per_s: Option<u64>,
    /// Who shares the rate.
    pub rate_scope: RateScope,
}

/// Who shares the rate of one direction of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RateScope {
    /// All bytes from the one peer to the other, whoever dialled, as on a real link.
    #[default]
    Link,
    /// Nobody: each connection has the rate to itself.
    Connection,
}

impl RateScope {
    /// The name in files and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Connection => "connection",
        }
    }
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
    /// Seed of its bytes, derived from the run's seed, the peer and the path.
    pub seed: u64,
}

/// One combination of the matrix's values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellPlan {
    /// Variable to value, as written in the file; empty without a matrix.
    pub values: BTreeMap<String, String>,
    /// Shape of every link in this cell, in the order of [`Plan::links`].
    pub shapes: Vec<Shape>,
    /// What is done, in order.
    pub steps: Vec<StepPlan>,
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

/// One step of a scenario.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum StepPlan {
    /// One peer reads a file of another.
    Transfer(TransferPlan),
    /// A change of keys outside a transfer.
    Rekey {
        /// Name in tables.
        name: String,
        /// Who asks for it.
        dialler: String,
        /// The other end of the session.
        listener: String,
    },
}

/// One transfer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferPlan {
    /// Name in tables.
    pub name: String,
    /// Whose file.
    pub from: String,
    /// Who reads it.
    pub to: String,
    /// Index into [`Plan::samples`].
    pub sample: usize,
    /// How.
    pub mode: TransferMode,
    /// Bytes per message, request or read(2); none: the daemon's default.
    pub chunk_bytes: Option<u32>,
    /// Requests in flight; only for request-response; none: the daemon's default.
    pub depth: Option<u32>,
    /// Where the bytes go. Reads through the mount are always hashed.
    pub destination: TransferDestination,
    /// Rekey when this many thousandths of the bytes have arrived, each once,
    /// rising.
    pub rekey_at_permille: Vec<u32>,
    /// No answer for this long fails the step.
    pub deadline_ms: u64,
    /// The step fails when the epochs (sent plus received, at the reader) moved
    /// less than this.
    pub rekeys_min: u32,
}

/// How bytes are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransferMode {
    /// One stream, paced by flow control alone.
    Push,
    /// Ranged requests, `depth` in flight.
    RequestResponse,
    /// read(2) through the FUSE mount, by a process of its own.
    Mount,
}

impl TransferMode {
    /// The name in files and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::RequestResponse => "request-response",
            Self::Mount => "mount",
        }
    }
}

/// Where pulled bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransferDestination {
    /// A file at the reader, digested from disk afterwards.
    File,
    /// Hashed as they arrive, and dropped.
    Hash,
}
