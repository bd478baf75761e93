//! What the links were, as far as tables have no room for it.

use std::collections::BTreeMap;

use super::{bytes, millis};
use crate::testbed::result::{
    Direction, LinkProbe, LinkTraffic, RateProbe, RunResult, StepResult, rate_text,
};

/// Stands behind a figure that was measured over a link that drifted.
pub(super) const DRIFTED: &str = " \u{25cb}";

/// Lines for each link of the counted turn: what was asked, what was measured.
pub(super) fn probes(result: &RunResult) -> String {
    let turn = result.turns.iter().find(|turn| !turn.warmup);
    let lines: Vec<String> =
        turn.into_iter().flat_map(|turn| &turn.links).flat_map(probe).collect();
    lines.join("\n")
}

fn probe(probe: &LinkProbe) -> Vec<String> {
    let mut rtt = format!(
        "link {}: RTT asked {}, measured {} (median of {})",
        probe.link,
        millis(probe.rtt_asked_us * 1_000),
        millis(probe.rtt_measured_us * 1_000),
        probe.samples_us.len()
    );
    if probe.serialisation_us > 0 {
        let passing = millis(probe.serialisation_us * 1_000);
        rtt += &format!(", of which {passing} for a ping's bytes at the rates");
    }
    if probe.held_back_us > 0 {
        let held_back = millis(probe.held_back_us * 1_000);
        rtt += &format!(", {held_back} +- {held_back} for jitter and order");
    }
    if let Some(after_us) = probe.rtt_after_us {
        let mark = if probe.drifted { DRIFTED } else { "" };
        rtt += &format!(", after the steps {}{mark}", millis(after_us * 1_000));
    }
    let mut lines = vec![rtt];
    lines
        .extend(probe.rates.iter().map(|rate| format!("link {}: {}", probe.link, rate_line(rate))));
    lines
}

fn rate_line(rate: &RateProbe) -> String {
    let way = match rate.direction {
        Direction::Up => "towards the listener",
        Direction::Down => "towards the dialler",
    };
    format!(
        "rate {way} asked {}, measured {} (burst of {})",
        rate_text(rate.asked_bits_per_s),
        rate_text(rate.measured_bits_per_s),
        bytes(rate.burst_bytes)
    )
}

/// What is worth a line below the tables: what the mark means, if it was used, and
/// how much the links held at most.
pub(super) fn notes(result: &RunResult) -> String {
    let mut lines = Vec::new();
    if result.turns.iter().flat_map(|turn| &turn.links).any(|probe| probe.drifted) {
        lines.push(format!(
            "{}: the link's RTT was another after the steps; see the warnings",
            DRIFTED.trim()
        ));
    }
    lines.extend(queues(result).into_iter().map(|(link, [up, down])| {
        format!(
            "link {link}: at most {} under way towards the listener, {} towards the dialler",
            bytes(up),
            bytes(down)
        )
    }));
    lines.join("\n")
}

/// The most that each link ever held, where that is anything.
fn queues(result: &RunResult) -> BTreeMap<&str, [u64; 2]> {
    let mut queues: BTreeMap<&str, [u64; 2]> = BTreeMap::new();
    for step in result.turns.iter().flat_map(|turn| &turn.steps) {
        let StepResult::Transfer(transfer) = step else { continue };
        let Some(LinkTraffic { up, down }) = transfer.traffic else { continue };
        let held = queues.entry(&transfer.link).or_default();
        held[0] = held[0].max(up.queued_bytes_max);
        held[1] = held[1].max(down.queued_bytes_max);
    }
    queues.retain(|_, held| *held != [0, 0]);
    queues
}
