//! Where the wall time of one transfer went, in parts that add up. Pure.
//!
//! The reader's own account is exclusive (`telemetry::layers`), so its times
//! stand as they are. Only its TCP wait is explained further, in this order:
//!
//! 1. Link delay: turns x RTT, where a turn is a request that could not be sent
//!    before the answer to an earlier one ([`Pattern`]).
//! 2. The server's own work: exclusive times of its `transfer.call` spans. What
//!    exceeds the rest of the wait overlapped with the reader's own work, or with
//!    the way; all parts are scaled down alike.
//! 3. What is left stays TCP wait: bandwidth, the proxy, the kernel, scheduling.
//!
//! A trace without a `transfer.call` (reads over a call of longer life) is charged
//! from its spans: the
//! union of `disk.read` is the server's disk, what `transfer.serve` covers beyond
//! that is its fetch, both only while the reader's span was open.

use serde::{Deserialize, Serialize};

pub use self::part::Part;
use self::side::SideTimes;
use super::collect::SpanRecord;
use crate::telemetry::layers::Layer;
use crate::telemetry::names::span;

mod intervals;
mod part;
mod side;

/// A pull asks for size and version before it asks for bytes.
const STAT_TURNS: u64 = 1;

/// How requests follow each other, and so how often the link's delay is waited
/// for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// The stat, one request, then flow control only: two turns.
    Push,
    /// The stat, then `chunks` requests, `depth` in flight: a turn for every `depth`.
    RequestResponse {
        /// Requests in all.
        chunks: u64,
        /// In flight at a time; 0 counts as 1.
        depth: u64,
    },
    /// Whatever the mount asked for. The turns are the most `transfer.fetch` spans
    /// of the reader of which no two overlap: each of these waited for the one
    /// before to end, so there were at least as many round trips.
    Mount,
}

/// What was measured about the step, beside its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepFacts {
    /// How requests follow each other.
    pub pattern: Pattern,
    /// Measured through the link, never the configured one.
    pub rtt_ns: u64,
    /// From the first request to the last byte.
    pub wall_ns: u64,
}

/// One row.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What.
    pub part: Part,
    /// At the reader; waits and the unaccounted rest are its own.
    pub reader_ns: u64,
    /// At the server, as far as the reader waited for it.
    pub server_ns: u64,
    /// Both.
    pub total_ns: u64,
    /// Of the wall time, 0 to 1.
    pub share: f64,
}

/// The table of one step.
///
/// The rows add up to `wall_ns + excess_ns`, exactly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerTable {
    /// From the first request to the last byte.
    pub wall_ns: u64,
    /// Round trips that depended on one another.
    pub turns: u64,
    /// Measured.
    pub rtt_ns: u64,
    /// One row for each [`Part`], in order.
    pub rows: Vec<Row>,
    /// By how much the reader's account exceeds the wall time. Two readings of the
    /// clock at slightly different moments make this some microseconds; more means
    /// that account and wall time are not of the same step, and must be shown.
    pub excess_ns: u64,
}

impl LayerTable {
    /// The table from the spans of one trace.
    ///
    /// # Errors
    /// The trace has no reader's span (or several), or the span lacks its times.
    pub fn of(spans: &[SpanRecord], facts: &StepFacts) -> Result<Self, LayerTableError> {
        let reader = reader_of(spans)?;
        let own = SideTimes::of(reader).ok_or_else(|| LayerTableError::NoTimes {
            span: reader.name.clone(),
            instance: reader.service_instance.clone(),
        })?;
        let server = server_times(spans, reader);
        let turns = turns(spans, reader, facts.pattern);
        Ok(Self::split(&own, &server, turns, facts.rtt_ns, facts.wall_ns))
    }

    /// The row of one part.
    pub fn row(&self, part: Part) -> &Row {
        // `split` makes one row for each part, in the order of `Part::ALL`.
        &self.rows[part as usize]
    }

    fn split(own: &SideTimes, server: &SideTimes, turns: u64, rtt_ns: u64, wall_ns: u64) -> Self {
        let wait_ns = own.of_layer(Layer::TcpWait);
        let link_ns = wait_ns.min(turns.saturating_mul(rtt_ns));
        let worked = server.scaled_to(wait_ns - link_ns);
        let parts: Vec<(Part, u64, u64)> = Part::ALL
            .into_iter()
            .map(|part| match (part, part.layer()) {
                (Part::TcpWait, _) => (part, wait_ns - link_ns - worked.total_ns(), 0),
                (Part::LinkDelay, _) => (part, link_ns, 0),
                (_, Some(layer)) => (part, own.of_layer(layer), worked.of_layer(layer)),
                (_, None) => (part, 0, 0),
            })
            .collect();
        let account_ns = parts.iter().map(|(_, reader_ns, server_ns)| reader_ns + server_ns).sum();
        let unaccounted_ns = wall_ns.saturating_sub(account_ns);
        let row = |(part, reader_ns, server_ns)| {
            let reader_ns = if part == Part::Unaccounted { unaccounted_ns } else { reader_ns };
            let total_ns = reader_ns + server_ns;
            Row { part, reader_ns, server_ns, total_ns, share: share(total_ns, wall_ns) }
        };
        Self {
            wall_ns,
            turns,
            rtt_ns,
            rows: parts.into_iter().map(row).collect(),
            excess_ns: account_ns.saturating_sub(wall_ns),
        }
    }
}

/// Why a trace has no table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayerTableError {
    /// The daemon's span did not arrive.
    #[error(
        "none of the {spans} spans is a transfer.pull or mount.read: the reader's telemetry \
         did not arrive; is it flushed?"
    )]
    NoReader {
        /// Spans in the trace.
        spans: usize,
    },
    /// More than one transfer shares a trace.
    #[error(
        "{readers} spans are a transfer.pull or mount.read; each step needs a trace of its own"
    )]
    ManyReaders {
        /// How many.
        readers: usize,
    },
    /// The span is there without its times.
    #[error("{span} of {instance} carries no layer times (dropbed.layer.*_ns)")]
    NoTimes {
        /// Name of the span.
        span: String,
        /// Whose.
        instance: String,
    },
}

fn reader_of(spans: &[SpanRecord]) -> Result<&SpanRecord, LayerTableError> {
    let is_reader =
        |record: &&SpanRecord| [span::TRANSFER_PULL, span::MOUNT_READ].contains(&&*record.name);
    let mut readers = spans.iter().filter(is_reader);
    let Some(reader) = readers.next() else {
        return Err(LayerTableError::NoReader { spans: spans.len() });
    };
    match readers.count() {
        0 => Ok(reader),
        others => Err(LayerTableError::ManyReaders { readers: others + 1 }),
    }
}

/// What the server worked. Its waits explain nothing: the reader waits too.
fn server_times(spans: &[SpanRecord], reader: &SpanRecord) -> SideTimes {
    let at_server = || spans.iter().filter(|s| s.service_instance != reader.service_instance);
    let mut times = SideTimes::default();
    let mut any = false;
    for call in at_server().filter(|s| s.name == span::TRANSFER_CALL).filter_map(SideTimes::of) {
        any = true;
        for layer in Part::ALL.into_iter().filter_map(Part::layer).filter(|&l| l != Layer::Fuse) {
            times.add(layer, call.of_layer(layer));
        }
    }
    if any {
        return times;
    }
    let covered_ns = |names: &[&str]| {
        let matching = at_server().filter(|s| names.contains(&&*s.name));
        intervals::union_ns(
            matching.map(|s| (s.start_ns.max(reader.start_ns), s.end_ns.min(reader.end_ns))),
        )
    };
    let disk_ns = covered_ns(&[span::DISK_READ]);
    times.add(Layer::Disk, disk_ns);
    times.add(Layer::Fetch, covered_ns(&[span::DISK_READ, span::TRANSFER_SERVE]) - disk_ns);
    times
}

fn turns(spans: &[SpanRecord], reader: &SpanRecord, pattern: Pattern) -> u64 {
    match pattern {
        Pattern::Push => STAT_TURNS + 1,
        Pattern::RequestResponse { chunks, depth } => STAT_TURNS + chunks.div_ceil(depth.max(1)),
        Pattern::Mount => {
            let fetches = spans.iter().filter(|s| {
                s.name == span::TRANSFER_FETCH && s.service_instance == reader.service_instance
            });
            intervals::disjoint_count(fetches.map(|s| (s.start_ns, s.end_ns)))
        }
    }
}

fn share(part_ns: u64, wall_ns: u64) -> f64 {
    if wall_ns == 0 { 0.0 } else { part_ns as f64 / wall_ns as f64 }
}

#[cfg(test)]
mod tests;
