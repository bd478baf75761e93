//! What a run found: the content of `result.json`.
//!
//! Everything that a table shows is computed from this, and from nothing else,
//! so that a result can be shown again without its machines.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::layer_table::LayerTable;
use super::plan::TransferMode;

/// Raised when a reader of older results would misunderstand a newer one.
pub const SCHEMA: u32 = 1;

/// One run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunResult {
    /// See [`SCHEMA`].
    pub schema: u32,
    /// From the topology.
    pub name: String,
    /// Label of everything the run made.
    pub run_id: String,
    /// The seed of the plan.
    pub seed: u64,
    /// `process`, `docker` or `attach`.
    pub runtime: String,
    /// Program and host, so that figures are never read without them.
    pub host: HostFacts,
    /// The verdict.
    pub outcome: Outcome,
    /// Why, when the verdict is not `pass`.
    pub reasons: Vec<String>,
    /// What is worth knowing and does not change the verdict.
    pub warnings: Vec<String>,
    /// Every turn that was completed, in the order of the plan.
    pub turns: Vec<TurnResult>,
    /// One read through the mount with both peers' spans, as text, if there was one.
    pub one_read_trace: Option<String>,
    /// From the first container or process to the last removed.
    pub wall_ms: u64,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every step done, every assertion held.
    Pass,
    /// An assertion did not hold.
    Fail,
    /// The harness, the environment or a peer failed: there is no result.
    Error,
    /// A deadline passed.
    TimedOut,
    /// Ctrl-C.
    Interrupted,
}

/// What the figures were measured on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFacts {
    /// Version of this package.
    pub dropbed: String,
    /// Kernel name and release.
    pub kernel: String,
    /// Processors that peers, proxy and orchestrator share.
    pub cpus: usize,
    /// Optimised build, or one for debugging (whose times mean nothing).
    pub build: String,
    /// What the proxy says it is.
    pub proxy: String,
}

/// One turn of one cell.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TurnResult {
    /// Index into the plan's cells.
    pub cell: usize,
    /// The cell's values.
    pub values: BTreeMap<String, String>,
    /// 0-based.
    pub repetition: u32,
    /// Carried out and checked, not counted.
    pub warmup: bool,
    /// Every link as it was measured before the steps.
    pub links: Vec<LinkProbe>,
    /// In the order of the plan.
    pub steps: Vec<StepResult>,
}

/// What a link was asked to be, and what it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkProbe {
    /// `<dialler>:<listener>`.
    pub link: String,
    /// Round trip asked for.
    pub rtt_asked_us: u64,
    /// Median round trip of one byte through the session, proxy included.
    pub rtt_measured_us: u64,
    /// Every sample, in the order taken.
    pub samples_us: Vec<u64>,
}

/// What one step did.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum StepResult {
    /// A transfer.
    Transfer(Box<TransferResult>),
    /// A rekey by itself.
    Rekey {
        /// Name in tables.
        name: String,
        /// The link whose session changed keys.
        link: String,
        /// From the request to both directions having moved.
        wall_ns: u64,
        /// Epochs before.
        before: Epochs,
        /// Epochs after.
        after: Epochs,
    },
}

/// Epochs of both directions, as the dialling side sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epochs {
    /// Of the direction from dialler to listener.
    pub sent: u32,
    /// Of the direction that carries files.
    pub received: u32,
}

impl Epochs {
    /// Rekeys of both directions together.
    pub const fn sum(self) -> u64 {
        self.sent as u64 + self.received as u64
    }
}

/// One transfer, measured at the peer that reads.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TransferResult {
    /// Name in tables.
    pub name: String,
    /// How.
    pub mode: TransferMode,
    /// `<reader>:<owner>`.
    pub link: String,
    /// Payload.
    pub bytes: u64,
    /// Bytes per message, request or read(2).
    pub chunk_bytes: u32,
    /// Requests in flight; 0 where it does not apply.
    pub depth: u32,
    /// From just before the first request to the last byte at its destination.
    pub wall_ns: u64,
    /// To the first byte of the file.
    pub first_byte_ns: u64,
    /// Longest time between two successive messages or read(2) returns.
    pub gap_ns_max: u64,
    /// Longest pause of the byte stream at a change of keys; none without one.
    pub rekey_gap_ns_max: Option<u64>,
    /// Bytes that crossed the link towards the reader; none when the proxy does
    /// not count.
    pub link_bytes: Option<u64>,
    /// Epochs before.
    pub before: Epochs,
    /// Epochs after.
    pub after: Epochs,
    /// Whether BLAKE3 of what arrived is that of the source.
    pub digest_equal: bool,
    /// Round trip measured on the link before the step.
    pub rtt_measured_us: u64,
    /// The time per layer.
    pub layers: Option<LayerTable>,
    /// Its trace, in hexadecimal, to be found in `spans.ndjson`.
    pub trace_id: String,
}

impl TransferResult {
    /// Payload over wall time, in 10^6 bytes per second.
    pub fn megabytes_per_s(&self) -> f64 {
        if self.wall_ns == 0 {
            return 0.0;
        }
        self.bytes as f64 * 1e3 / self.wall_ns as f64
    }
}
