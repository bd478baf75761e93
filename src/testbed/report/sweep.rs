//! One row per cell and transfer step of a run with several turns.

use std::collections::BTreeMap;

use super::links::DRIFTED;
use super::{bytes, millis, styled};
use crate::testbed::result::{RunResult, StepResult, TransferResult};
use crate::testbed::stats::Summary;

/// All counted repetitions of one step of one cell.
struct Group<'a> {
    values: &'a BTreeMap<String, String>,
    samples: Vec<&'a TransferResult>,
    /// In one repetition at least the link was another after the steps.
    drifted: bool,
}

impl Group<'_> {
    fn wall_ns(&self) -> Summary {
        self.summary_of(|sample| sample.wall_ns as f64)
    }

    fn median_of(&self, value: impl Fn(&TransferResult) -> f64) -> f64 {
        self.summary_of(value).median
    }

    fn summary_of(&self, value: impl Fn(&TransferResult) -> f64) -> Summary {
        let values: Vec<f64> = self.samples.iter().map(|sample| value(sample)).collect();
        Summary::of(&values).expect("a group has a sample, and no sample is NaN")
    }

    fn rtt_us(&self) -> f64 {
        self.median_of(|sample| sample.rtt_measured_us as f64)
    }

    /// Whether `other` is the same transfer over another RTT.
    fn differs_only_in_rtt(&self, other: &Self) -> bool {
        let (mine, theirs) = (self.samples[0], other.samples[0]);
        let differing =
            self.values.iter().filter(|&(key, value)| other.values.get(key) != Some(value));
        differing.count() <= 1
            && mine.link == theirs.link
            && mine.name == theirs.name
            && mine.mode == theirs.mode
            && mine.bytes == theirs.bytes
            && mine.chunk_bytes == theirs.chunk_bytes
            && mine.depth == theirs.depth
            && mine.lanes == theirs.lanes
    }
}

/// The table of a sweep, in the order of the plan's cells.
pub(super) fn table(result: &RunResult) -> String {
    let groups = groups(result);
    let Some(first) = groups.first() else { return String::new() };
    let mut header: Vec<String> = first.values.keys().cloned().collect();
    let left = header.len() + 1;
    header.extend(
        [
            "step",
            "RTT",
            "n",
            "wall, median",
            "95 % of median",
            "MB/s",
            "first byte",
            "chunks",
            "RTTs in wall",
        ]
        .map(String::from),
    );
    let rows = groups.iter().map(|group| row(group, &groups)).collect();
    let table = styled(header, rows, left);
    let n = first.samples.len();
    let interval = if first.wall_ns().interval.is_some() {
        "95 % of median: interval of the median by order statistics".to_owned()
    } else {
        format!("no 95 % interval of the median is possible from {n} repetitions (6 are needed)")
    };
    format!(
        "{table}\nRTT: measured through the link before the step. RTTs in wall: wall time beyond that \
         of the same\ntransfer over the shortest RTT, in units of the RTT difference. {interval}."
    )
}

fn row(group: &Group<'_>, all: &[Group<'_>]) -> Vec<String> {
    let wall = group.wall_ns();
    let sample = group.samples[0];
    let mut row: Vec<String> = group.values.values().cloned().collect();
    row.push(sample.name.clone());
    let mark = if group.drifted { DRIFTED } else { "" };
    row.push(millis(whole(group.rtt_us() * 1e3)) + mark);
    row.push(group.samples.len().to_string());
    row.push(millis(whole(wall.median)));
    row.push(wall.interval.map_or_else(String::new, |interval| {
        format!("{} .. {}", millis(whole(interval.low)), millis(whole(interval.high)))
    }));
    row.push(format!("{:.1}", sample.bytes as f64 * 1e3 / wall.median.max(1.0)));
    row.push(millis(whole(group.median_of(|sample| sample.first_byte_ns as f64))));
    let chunks = sample.bytes.div_ceil(u64::from(sample.chunk_bytes.max(1)));
    row.push(format!("{chunks} of {}", bytes(sample.chunk_bytes.into())));
    row.push(exposed_round_trips(group, all).map_or_else(String::new, |n| format!("{n:.1}")));
    row
}

/// How many round trips stand in the wall time: its growth over the RTT's.
fn exposed_round_trips(group: &Group<'_>, all: &[Group<'_>]) -> Option<f64> {
    let base = all
        .iter()
        .filter(|other| group.differs_only_in_rtt(other))
        .min_by(|a, b| a.rtt_us().total_cmp(&b.rtt_us()))?;
    let rtt_growth_ns = (group.rtt_us() - base.rtt_us()) * 1e3;
    // Less than the probe can tell apart is no difference to divide by.
    const RTT_GROWTH_NS_MIN: f64 = 1e6;
    (rtt_growth_ns >= RTT_GROWTH_NS_MIN)
        .then(|| (group.wall_ns().median - base.wall_ns().median) / rtt_growth_ns)
}

/// Whole nanoseconds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a median of u64s is not negative and within their range"
)]
const fn whole(ns: f64) -> u64 {
    ns as u64
}

fn groups(result: &RunResult) -> Vec<Group<'_>> {
    let mut groups: BTreeMap<(usize, usize), Group<'_>> = BTreeMap::new();
    for turn in result.turns.iter().filter(|turn| !turn.warmup) {
        for (index, step) in turn.steps.iter().enumerate() {
            if let StepResult::Transfer(transfer) = step {
                let group = groups.entry((turn.cell, index)).or_insert_with(|| Group {
                    values: &turn.values,
                    samples: Vec::new(),
                    drifted: false,
                });
                group.samples.push(transfer);
                group.drifted |= turn.link(&transfer.link).is_some_and(|probe| probe.drifted);
            }
        }
    }
    groups.into_values().collect()
}
