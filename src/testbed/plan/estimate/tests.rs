use super::super::build::plan;
use super::*;
use crate::testbed::plan::Plan;
use crate::testbed::topology::Topology;

fn of(link: &str, steps: &str, run: &str) -> Estimate {
    let text = format!(
        "version: 1\nname: x\nvars: {{ rtt: 0ms }}\npeers: {{ a: {{}}, b: {{}}, c: {{}} }}\n\
         links: [{{ star: {{ hub: a, {link} }} }}]\n\
         dataset: [{{ peer: a, path: f, size: 16MiB }}]\n\
         scenario: {{ steps: [{steps}] }}\n{run}"
    );
    let topology = Topology::parse("x.yaml", &text, &[]).unwrap_or_else(|found| panic!("{found}"));
    let plan: Plan = plan(&topology).unwrap_or_else(|found| panic!("{found}"));
    plan.estimate
}

fn transfer(to: &str, how: &str) -> String {
    format!("{{ transfer: {{ name: t-{to}, from: a, to: {to}, path: f, {how} }} }}")
}

const PUSH: &str = "mode: push";

#[test]
fn a_round_trip_of_each_turn_is_counted() {
    let at = |rtt: &str, how: &str| of(&format!("rtt: {rtt}"), &transfer("b", how), "").turns_ms;
    // Four links, and one of them again: 50 pings. Then 1, 32, 8 and 16 turns.
    for (how, turns) in [
        (PUSH, 1),
        ("mode: request-response, chunk: 512KiB, depth: 1", 32),
        ("mode: request-response, chunk: 512KiB, depth: 4", 8),
        ("mode: mount", 16),
    ] {
        assert_eq!(at("100ms", how) - at("0ms", how), (50 + turns) * 100, "{how}");
    }
}

#[test]
fn a_rate_is_counted_with_its_proof() {
    let bare = of("rtt: 0ms", &transfer("b", PUSH), "").turns_ms;
    let rated = of("rate: 8Mbit/s", &transfer("b", PUSH), "").turns_ms;
    // 16 MiB at 1 MB/s, and eight bursts.
    let wanted = 16_777 + 8 * 800;
    assert!((rated - bare).abs_diff(wanted) < 20, "{bare} {rated}");
}

#[test]
fn what_is_done_at_once_counts_once() {
    let both = [transfer("b", PUSH), transfer("c", PUSH)].join(", ");
    let serial = of("rate: 8Mbit/s", &both, "").turns_ms;
    let parallel = of("rate: 8Mbit/s", &format!("{{ parallel: [{both}] }}"), "");
    assert!((serial - parallel.turns_ms).abs_diff(16_777) < 20);
    let single = of("rate: 8Mbit/s", &transfer("b", PUSH), "");
    assert_eq!(parallel.memory_bytes - single.memory_bytes, (16 << 20) + PROXY_FLOW_BYTES);
}

#[test]
fn cells_and_repetitions_add_up() {
    let run = "matrix: { rtt: [10ms, 20ms] }\nrun: { repetitions: 3, warmup: 1 }\n";
    let estimate = of("rtt: \"${rtt}\"", &transfer("b", PUSH), run);
    assert_eq!(estimate.cells_ms.len(), 2);
    assert_eq!(estimate.turns_ms, 4 * (estimate.cells_ms[0] + estimate.cells_ms[1]));
    assert!(estimate.cells_ms[0] < estimate.cells_ms[1]);
}

#[test]
fn disk_holds_the_files_and_what_is_kept() {
    let hashed = of("rtt: 0ms", &transfer("b", PUSH), "");
    assert_eq!(hashed.disk_bytes, 16 << 20);
    let kept = of("rtt: 0ms", &transfer("b", "mode: push, to_file: true"), "");
    assert_eq!(kept.disk_bytes, 32 << 20);
}

#[test]
fn figures_for_people() {
    let times: Vec<String> = [0, 1, 9_950, 10_000, 120_000, 7_200_000].map(seconds).into();
    assert_eq!(times, ["0.0 s", "0.1 s", "10.0 s", "10 s", "2 min", "2 h"]);
    let sizes: Vec<String> = [0, 1024, (1 << 20) + 1, 10 << 30].map(rounded).into();
    assert_eq!(sizes, ["0B", "1KiB", "2MiB", "10GiB"]);
}
