//! What is done, step by step.

use serde::{Deserialize, Serialize};

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
    /// Steps at the same time, each over a link of its own.
    Parallel {
        /// Transfers and rekeys, in file order; at least two.
        steps: Vec<Self>,
    },
}

impl StepPlan {
    /// What is done: the step itself, or those that it does at the same time.
    pub fn parts(&self) -> &[Self] {
        match self {
            Self::Parallel { steps } => steps,
            Self::Transfer(_) | Self::Rekey { .. } => std::slice::from_ref(self),
        }
    }

    /// Who dials and who listens on the link that it needs; none of a step that
    /// needs several.
    pub fn ends(&self) -> Option<(&str, &str)> {
        match self {
            Self::Transfer(transfer) => Some((&transfer.to, &transfer.from)),
            Self::Rekey { dialler, listener, .. } => Some((dialler, listener)),
            Self::Parallel { .. } => None,
        }
    }
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
    /// Index into [`Plan::samples`](super::Plan::samples).
    pub sample: usize,
    /// How.
    pub mode: TransferMode,
    /// Bytes per message, request or read(2); none: the daemon's default.
    pub chunk_bytes: Option<u32>,
    /// Requests in flight; only for request-response; none: the daemon's default.
    pub depth: Option<u32>,
    /// Connections that share the bytes; only for push; none: the daemon's default.
    pub lanes: Option<u32>,
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

impl TransferPlan {
    /// Whether the bytes are written at the reader.
    pub fn is_kept(&self) -> bool {
        self.mode != TransferMode::Mount && self.destination == TransferDestination::File
    }
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
