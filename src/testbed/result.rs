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
    /// From the first container or process to the last removed, without the time
    /// for which the run was held.
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
    /// Every link as it was measured before the steps, and those that they used
    /// once more after them.
    pub links: Vec<LinkProbe>,
    /// In the order of the plan.
    pub steps: Vec<StepResult>,
    /// What could not be had or proved because a peer lacks the call for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lacking: Vec<String>,
}

impl TurnResult {
    /// The probe of a link; none for a name that is no link's.
    pub fn link(&self, name: &str) -> Option<&LinkProbe> {
        self.links.iter().find(|probe| probe.link == name)
    }

    /// What a reader of this turn's figures has to know.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = self.drifts();
        warnings.extend(self.lacking.iter().cloned());
        warnings
    }

    /// A warning for each link that did not stay what it was.
    pub fn drifts(&self) -> Vec<String> {
        let values: String =
            self.values.iter().map(|(name, value)| format!("{name}={value} ")).collect();
        let kind = if self.warmup { "warm-up" } else { "repetition" };
        let drifted = self.links.iter().filter(|probe| probe.drifted).map(|probe| {
            let ms = |us: u64| us as f64 / 1e3;
            format!(
                "link {} drifted in {values}{kind} {}: an RTT of {} ms before the steps, {} ms \
                 after them, asked for {} ms (tolerance {} ms): figures over it are doubtful",
                probe.link,
                self.repetition + 1,
                ms(probe.rtt_measured_us),
                ms(probe.rtt_after_us.unwrap_or_default()),
                ms(probe.rtt_expected_us()),
                ms(probe.rtt_tolerance_us),
            )
        });
        let changed = self.links.iter().filter_map(|probe| {
            let what = probe.changed.as_ref()?;
            Some(format!(
                "link {} was changed during {values}{kind} {}: {what}: figures over it are doubtful",
                probe.link,
                self.repetition + 1,
            ))
        });
        drifted.chain(changed).collect()
    }
}

/// What a link was asked to be, and what it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkProbe {
    /// `<dialler>:<listener>`.
    pub link: String,
    /// Round trip asked for.
    pub rtt_asked_us: u64,
    /// What a ping's own bytes take at the rates asked for, both ways together: a
    /// right link measures this much more than was asked.
    #[serde(default)]
    pub serialisation_us: u64,
    /// What jitter adds to a ping, both ways together, for its bytes travel in
    /// pieces and in order: the middle of what is possible.
    #[serde(default)]
    pub held_back_us: u64,
    /// Median round trip of one byte through the session, proxy included.
    pub rtt_measured_us: u64,
    /// How far the measured may be from what is right; more with jitter.
    #[serde(default)]
    pub rtt_tolerance_us: u64,
    /// Every sample, in the order taken.
    pub samples_us: Vec<u64>,
    /// What the toxics are set below what was asked, both ways together, for the
    /// path adds it by itself.
    #[serde(default)]
    pub correction_us: i64,
    /// Every direction that was asked to have a rate.
    #[serde(default)]
    pub rates: Vec<RateProbe>,
    /// Median round trip after the turn's steps; none when no step used the link.
    #[serde(default)]
    pub rtt_after_us: Option<u64>,
    /// That was beyond the tolerance: the link did not stay what it was.
    #[serde(default)]
    pub drifted: bool,
    /// What the proxy had otherwise than it was told, after the turn's steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<String>,
}

impl LinkProbe {
    /// The median round trip of a link that is what was asked for.
    pub const fn rtt_expected_us(&self) -> u64 {
        self.rtt_asked_us + self.serialisation_us + self.held_back_us
    }

    /// Whether a median of `rtt_us` is that of a right link.
    pub const fn is_right(&self, rtt_us: u64) -> bool {
        rtt_us.abs_diff(self.rtt_expected_us()) <= self.rtt_tolerance_us
    }
}

/// The rate of one direction, as asked and as measured at its receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateProbe {
    /// Which direction.
    pub direction: Direction,
    /// On the wire, as asked.
    pub asked_bits_per_s: u64,
    /// On the wire, framing included.
    pub measured_bits_per_s: u64,
    /// Payload of the burst.
    pub burst_bytes: u64,
}

/// A rate with four digits that matter.
pub(crate) fn rate_text(bits_per_s: u64) -> String {
    const UNITS: [(u64, &str); 3] =
        [(1_000_000_000, "Gbit/s"), (1_000_000, "Mbit/s"), (1_000, "kbit/s")];
    let Some((unit, name)) = UNITS.into_iter().find(|(unit, _)| bits_per_s >= *unit) else {
        return format!("{bits_per_s} bit/s");
    };
    match bits_per_s as f64 / unit as f64 {
        value if value >= 100.0 => format!("{value:.1} {name}"),
        value if value >= 10.0 => format!("{value:.2} {name}"),
        value => format!("{value:.3} {name}"),
    }
}

/// Where bytes go on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From dialler to listener.
    Up,
    /// From listener to dialler.
    Down,
}

impl Direction {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Up, Self::Down];
}

/// What the proxy counted of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkTraffic {
    /// From dialler to listener.
    pub up: WayTraffic,
    /// From listener to dialler.
    pub down: WayTraffic,
}

/// What the proxy counted of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WayTraffic {
    /// That left the link during the step.
    pub bytes: u64,
    /// When the link's first byte ever left it, microseconds since 1970.
    pub first_unix_us: Option<u64>,
    /// When the step's last byte left the link, microseconds since 1970.
    pub last_unix_us: Option<u64>,
    /// Most that was ever under way in one connection, up to the step's end, probes
    /// included.
    pub queued_bytes_max: u64,
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
    /// Connections that shared the bytes.
    #[serde(default = "one_lane")]
    pub lanes: u32,
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
    /// What the proxy counted, both ways; none when it does not count.
    #[serde(default)]
    pub traffic: Option<LinkTraffic>,
    /// Epochs before; none from a peer that counts none.
    pub before: Option<Epochs>,
    /// Epochs after, likewise.
    pub after: Option<Epochs>,
    /// Whether BLAKE3 of what arrived is that of the source.
    pub digest_equal: bool,
    /// Round trip measured on the link before the step.
    pub rtt_measured_us: u64,
    /// The time per layer; none when a peer has no telemetry.
    pub layers: Option<LayerTable>,
    /// Its trace, in hexadecimal, to be found in `spans.ndjson`.
    pub trace_id: String,
}

/// What results had that do not tell.
const fn one_lane() -> u32 {
    1
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

#[cfg(test)]
mod tests;
