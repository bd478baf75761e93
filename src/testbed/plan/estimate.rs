//! What a run takes, at the least: a rough figure to decide by, not a promise.
//!
//! Links are taken to be what the file asks for, everything else to be as fast as
//! it was measured where ARCHITECTURE.md says; a slower machine takes longer.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{CellPlan, SamplePlan, Shape, StepPlan, TransferMode, TransferPlan, Turn};
use crate::testbed::topology::units::SizeBytes;

/// From nothing to a daemon that answers, as one process of several that start at
/// once: the 33 of thirty-two.yaml took 0.19 s.
const PROCESS_START_US: u64 = 6_000;

/// A process that is stopped: 64 with mounts took 0.11 s.
const PROCESS_END_US: u64 = 1_700;

/// A container with FUSE rights and its network, up to its proven link: from 32 to 64
/// of them took 9.6 s more.
const CONTAINER_START_US: u64 = 300_000;

/// A container that is stopped and removed with its network: from 32 to 64 of them
/// took 6.7 s more.
const CONTAINER_END_US: u64 = 210_000;

/// Making a link at the proxy and telling its two ends of each other: 62 took 59 ms.
const LINK_START_US: u64 = 1_000;

/// Pings of a probe: one that may dial, and the nine whose median counts.
const PROBE_PINGS: u64 = 10;

/// What a ping takes on a link without delay, all hops together.
const PING_US: u64 = 200;

/// The burst by which each direction with a rate is measured.
const RATE_PROBE_US: u64 = 800_000;

/// How fast test files are made and digested.
const SAMPLE_BYTES_PER_S: u64 = 256 << 20;

/// What the bundled proxy carries without toxics.
const LINK_BYTES_PER_S: u64 = 1_500_000_000;

/// The largest READ that the kernel sends: each costs a round trip.
const MOUNT_READ_BYTES: u64 = 1 << 20;

/// A daemon at rest; the proxy is taken to be one more.
const DAEMON_BYTES: u64 = 25 << 20;

/// The orchestrator, with the traces of a run.
const TESTBED_BYTES: u64 = 150 << 20;

/// What a session may have received before the application took it: the HTTP/2
/// window of a stream.
const WINDOW_BYTES: u64 = 64 << 20;

/// The proxy's buffers of a direction without delay.
const PROXY_FLOW_BYTES: u64 = 512 << 10;

/// With delay: 10 Gbit/s times the delay, within these bounds.
const PROXY_DELAYED_BYTES: [u64; 2] = [32 << 20, 256 << 20];

/// See [`PROXY_DELAYED_BYTES`].
const PROXY_BYTES_PER_US: u64 = 1_250;

/// A connection at rest at the proxy, of which each link has one.
const PROXY_CONNECTION_BYTES: u64 = 17 << 10;

/// Time, memory and disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// Until every link and file is there, as processes.
    pub start_processes_ms: u64,
    /// The same in containers.
    pub start_containers_ms: u64,
    /// One turn of each cell, in the plan's order: probing links, and the steps.
    pub cells_ms: Vec<u64>,
    /// All turns.
    pub turns_ms: u64,
    /// Removing everything, as processes.
    pub end_processes_ms: u64,
    /// The same in containers.
    pub end_containers_ms: u64,
    /// All processes together when they are busiest.
    pub memory_bytes: u64,
    /// Test files, and the largest that is written where it is read.
    pub disk_bytes: u64,
}

impl Estimate {
    /// The whole run as processes.
    pub const fn processes_ms(&self) -> u64 {
        self.start_processes_ms.saturating_add(self.turns_ms).saturating_add(self.end_processes_ms)
    }

    /// The whole run in containers.
    pub const fn containers_ms(&self) -> u64 {
        self.start_containers_ms
            .saturating_add(self.turns_ms)
            .saturating_add(self.end_containers_ms)
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "estimate: at least {} as processes, {} in containers; about {} of memory, {} of disk",
            seconds(self.processes_ms()),
            seconds(self.containers_ms()),
            rounded(self.memory_bytes),
            rounded(self.disk_bytes),
        )
    }
}

/// Tenths of a second, or whole seconds, minutes or hours, rounded up.
pub(super) fn seconds(ms: u64) -> String {
    match ms {
        0..10_000 => {
            let tenths = ms.div_ceil(100);
            format!("{}.{} s", tenths / 10, tenths % 10)
        }
        10_000..120_000 => format!("{} s", ms.div_ceil(1_000)),
        120_000..7_200_000 => format!("{} min", ms.div_ceil(60_000)),
        _ => format!("{} h", ms.div_ceil(3_600_000)),
    }
}

/// Whole MiB of more than one, and whole GiB of more than ten, rounded up.
pub(super) fn rounded(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    const TEN_GIB: u64 = 10 << 30;
    match bytes {
        0..MIB => SizeBytes(bytes).to_string(),
        MIB..TEN_GIB => format!("{}MiB", bytes.div_ceil(MIB)),
        _ => format!("{}GiB", bytes.div_ceil(1 << 30)),
    }
}

/// What an estimate is made from.
pub(super) struct Facts<'a> {
    pub(super) peers: usize,
    pub(super) links: usize,
    pub(super) cells: &'a [CellPlan],
    pub(super) order: &'a [Turn],
    pub(super) samples: &'a [SamplePlan],
    /// The place of the link on which one peer dials another.
    pub(super) index: &'a dyn Fn(&str, &str) -> Option<usize>,
}

/// See the constants above.
pub(super) fn estimate(facts: &Facts<'_>) -> Estimate {
    let (peers, links) = (facts.peers as u64, facts.links as u64);
    let samples_bytes =
        facts.samples.iter().map(|sample| sample.size_bytes).fold(0, u64::saturating_add);
    let shared_us = links * LINK_START_US + time_us(samples_bytes, SAMPLE_BYTES_PER_S);
    // The proxy is one more.
    let start_ms = |one_us: u64| ((peers + 1) * one_us).saturating_add(shared_us) / 1000;
    let cells_ms: Vec<u64> = facts.cells.iter().map(|cell| facts.cell_us(cell) / 1000).collect();
    let turns = facts.order.iter().map(|turn| cells_ms[turn.cell]);
    let busiest = facts.cells.iter().map(|cell| facts.busy_bytes(cell)).max().unwrap_or(0);
    Estimate {
        start_processes_ms: start_ms(PROCESS_START_US),
        start_containers_ms: start_ms(CONTAINER_START_US),
        turns_ms: turns.fold(0, u64::saturating_add),
        cells_ms,
        end_processes_ms: (peers + 1) * PROCESS_END_US / 1000,
        end_containers_ms: (peers + 1) * CONTAINER_END_US / 1000,
        memory_bytes: (TESTBED_BYTES + (peers + 1) * DAEMON_BYTES + links * PROXY_CONNECTION_BYTES)
            .saturating_add(busiest),
        disk_bytes: samples_bytes.saturating_add(facts.kept_bytes()),
    }
}

impl Facts<'_> {
    fn cell_us(&self, cell: &CellPlan) -> u64 {
        let probes = cell.shapes.iter().map(probe_us).fold(0, u64::saturating_add);
        let steps = cell.steps.iter().map(|step| {
            // At the same time: the longest counts.
            step.parts().iter().map(|part| self.step_us(cell, part)).max().unwrap_or(0)
        });
        steps.fold(probes, u64::saturating_add)
    }

    /// One step, and the probe of its link that follows all of them.
    fn step_us(&self, cell: &CellPlan, step: &StepPlan) -> u64 {
        let Some(shape) = self.shape(cell, step) else { return 0 };
        let again_us = PROBE_PINGS * (PING_US + shape.rtt_us());
        let own_us = match step {
            StepPlan::Transfer(transfer) => self.transfer_us(transfer, &shape),
            StepPlan::Rekey { .. } | StepPlan::Parallel { .. } => PING_US + shape.rtt_us(),
        };
        own_us.saturating_add(again_us)
    }

    /// Round trips one after the other, and the bytes at the link's rate.
    fn transfer_us(&self, transfer: &TransferPlan, shape: &Shape) -> u64 {
        let bytes = self.samples[transfer.sample].size_bytes;
        let turns = match transfer.mode {
            TransferMode::Push => 1,
            TransferMode::Mount => bytes.div_ceil(MOUNT_READ_BYTES),
            // What a daemon does by default is its own; one turn is the least.
            TransferMode::RequestResponse => transfer.chunk_bytes.map_or(1, |chunk| {
                let depth = transfer.depth.map_or(u64::MAX, u64::from);
                bytes.div_ceil(chunk.into()).div_ceil(depth)
            }),
        };
        let bytes_per_s = shape.down.rate_bits_per_s.map_or(LINK_BYTES_PER_S, |bits| bits / 8);
        let wire_us = time_us(bytes, bytes_per_s.clamp(1, LINK_BYTES_PER_S));
        turns.max(1).saturating_mul(PING_US + shape.rtt_us()).saturating_add(wire_us)
    }

    /// What the busiest step keeps in memory.
    fn busy_bytes(&self, cell: &CellPlan) -> u64 {
        let of_step = |step: &StepPlan| {
            let parts = step.parts().iter().map(|part| self.part_bytes(cell, part));
            parts.fold(0, u64::saturating_add)
        };
        cell.steps.iter().map(of_step).max().unwrap_or(0)
    }

    /// No transfer keeps more than its file, at each of the two places.
    fn part_bytes(&self, cell: &CellPlan, step: &StepPlan) -> u64 {
        let (StepPlan::Transfer(transfer), Some(shape)) = (step, self.shape(cell, step)) else {
            return 0;
        };
        let bytes = self.samples[transfer.sample].size_bytes;
        let [low, high] = PROXY_DELAYED_BYTES;
        let proxy = match shape.down.latency_us {
            0 => PROXY_FLOW_BYTES,
            latency_us => (latency_us * PROXY_BYTES_PER_US).clamp(low, high),
        };
        bytes.min(WINDOW_BYTES) + bytes.min(proxy)
    }

    /// What readers keep while a step is checked.
    fn kept_bytes(&self) -> u64 {
        let steps = self.cells.iter().flat_map(|cell| &cell.steps);
        let kept = |step: &StepPlan| {
            let files = step.parts().iter().filter_map(|part| match part {
                StepPlan::Transfer(transfer) if transfer.is_kept() => {
                    Some(self.samples[transfer.sample].size_bytes)
                }
                _ => None,
            });
            files.fold(0, u64::saturating_add)
        };
        steps.map(kept).max().unwrap_or(0)
    }

    fn shape(&self, cell: &CellPlan, step: &StepPlan) -> Option<Shape> {
        let (dialler, listener) = step.ends()?;
        Some(cell.shapes[(self.index)(dialler, listener)?])
    }
}

/// Pings, and a burst for each direction that has a rate.
fn probe_us(shape: &Shape) -> u64 {
    let rated = [shape.up, shape.down].iter().filter(|way| way.rate_bits_per_s.is_some()).count();
    PROBE_PINGS * (PING_US + shape.rtt_us()) + rated as u64 * RATE_PROBE_US
}

fn time_us(bytes: u64, bytes_per_s: u64) -> u64 {
    let us = u128::from(bytes) * 1_000_000 / u128::from(bytes_per_s);
    u64::try_from(us).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
