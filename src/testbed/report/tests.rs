use std::collections::BTreeMap;

use super::*;
use crate::testbed::layer_table::{LayerTable, Part, Row};
use crate::testbed::plan::TransferMode;
use crate::testbed::result::{
    Direction, Epochs, HostFacts, LinkProbe, LinkTraffic, RateProbe, SCHEMA, StepResult,
    TransferResult, TurnResult, WayTraffic,
};

const MS: u64 = 1_000_000;

fn layers(wall_ns: u64) -> LayerTable {
    let row = |part: Part| {
        let total_ns = if part == Part::Unaccounted { wall_ns - 8 * MS } else { MS };
        Row {
            part,
            reader_ns: total_ns,
            server_ns: 0,
            total_ns,
            share: total_ns as f64 / wall_ns as f64,
        }
    };
    let rows = Part::ALL.into_iter().map(row).collect();
    LayerTable { wall_ns, turns: 1, rtt_ns: 50 * MS, rows, excess_ns: 0 }
}

fn transfer(name: &str, mode: TransferMode, rtt_us: u64, wall_ms: u64) -> TransferResult {
    let request_response = mode == TransferMode::RequestResponse;
    TransferResult {
        name: name.into(),
        mode,
        link: "bob:alice".into(),
        bytes: 16 << 20,
        chunk_bytes: 512 << 10,
        depth: u32::from(request_response),
        lanes: 1,
        wall_ns: wall_ms * MS,
        first_byte_ns: rtt_us * 1_000,
        gap_ns_max: 2 * MS,
        rekey_gap_ns_max: (!request_response).then_some(3 * MS),
        link_bytes: Some((16 << 20) + 50_000),
        traffic: None,
        before: Some(Epochs { sent: 0, received: 0 }),
        after: Some(Epochs { sent: 1, received: 2 }),
        digest_equal: true,
        rtt_measured_us: rtt_us,
        layers: Some(layers(wall_ms * MS)),
        trace_id: "1".repeat(32),
    }
}

fn turn(cell: usize, repetition: u32, rtt_us: u64, step: TransferResult) -> TurnResult {
    let mode = step.mode.name().to_owned();
    TurnResult {
        cell,
        values: BTreeMap::from([
            ("rtt".to_owned(), format!("{}ms", rtt_us / 1_000)),
            ("mode".to_owned(), mode),
        ]),
        repetition,
        warmup: false,
        links: vec![LinkProbe {
            link: "bob:alice".into(),
            rtt_asked_us: rtt_us,
            rtt_measured_us: rtt_us + 300,
            samples_us: vec![rtt_us + 300; 5],
            serialisation_us: 0,
            held_back_us: 0,
            rtt_tolerance_us: 1_000,
            rates: Vec::new(),
            rtt_after_us: None,
            changed: None,
            correction_us: 0,
            drifted: false,
        }],
        steps: vec![StepResult::Transfer(Box::new(step))],
        lacking: Vec::new(),
    }
}

fn run(turns: Vec<TurnResult>, outcome: Outcome, reasons: &[&str]) -> RunResult {
    RunResult {
        schema: SCHEMA,
        name: "two-peer".into(),
        run_id: "20260101-000000-two-peer-00000000".into(),
        seed: 7,
        runtime: "process".into(),
        host: HostFacts {
            dropbed: "0.1.0".into(),
            kernel: "Linux 6.0".into(),
            cpus: 2,
            build: "release".into(),
            proxy: "2.12.0-test".into(),
        },
        outcome,
        reasons: reasons.iter().map(|&reason| reason.into()).collect(),
        warnings: Vec::new(),
        turns,
        one_read_trace: None,
        wall_ms: 12_345,
    }
}

#[test]
fn one_turn_shows_steps_and_layers() {
    let mut turn = turn(0, 0, 50_000, transfer("push", TransferMode::Push, 50_300, 100));
    let other = transfer("rr", TransferMode::RequestResponse, 50_300, 1_700);
    turn.steps.push(StepResult::Transfer(Box::new(other)));
    turn.steps.push(StepResult::Rekey {
        name: "new keys".into(),
        link: "bob:alice".into(),
        wall_ns: 51 * MS,
        before: Epochs { sent: 1, received: 2 },
        after: Epochs { sent: 2, received: 3 },
    });
    insta::assert_snapshot!(render(&run(vec![turn], Outcome::Pass, &[])));
}

#[test]
fn a_sweep_shows_medians_and_round_trips() {
    let mut turns = Vec::new();
    for repetition in 0..6 {
        let jitter = u64::from(repetition);
        for (cell, mode, rtt_us, wall_ms) in [
            (0, TransferMode::Push, 0, 30),
            (1, TransferMode::RequestResponse, 0, 40),
            (2, TransferMode::Push, 50_000, 130),
            (3, TransferMode::RequestResponse, 50_000, 1_690),
        ] {
            let step = transfer("transfer", mode, rtt_us, wall_ms + jitter);
            turns.push(turn(cell, repetition, rtt_us, step));
        }
    }
    insta::assert_snapshot!(render(&run(turns, Outcome::Pass, &[])));
}

/// A link with a rate that held some bytes and did not stay as fast as it was.
fn drifting_turn(repetition: u32) -> TurnResult {
    let mut step = transfer("push", TransferMode::Push, 50_300, 100);
    let held = |queued_bytes_max| WayTraffic { queued_bytes_max, ..WayTraffic::default() };
    step.traffic = Some(LinkTraffic { up: held(90), down: held(3 << 20) });
    let mut turn = turn(0, repetition, 50_000, step);
    let probe = &mut turn.links[0];
    probe.serialisation_us = 240;
    probe.rates.push(RateProbe {
        direction: Direction::Down,
        asked_bits_per_s: 100_000_000,
        measured_bits_per_s: 99_712_345,
        burst_bytes: 10_000_000,
    });
    probe.rtt_after_us = Some(61_000);
    probe.drifted = !probe.is_right(61_000);
    turn
}

#[test]
fn one_turn_shows_rates_queues_and_drift() {
    let turn = drifting_turn(0);
    let warnings = turn.drifts();
    let mut result = run(vec![turn], Outcome::Pass, &[]);
    result.warnings = warnings;
    insta::assert_snapshot!(render(&result));
}

#[test]
fn a_sweep_marks_cells_that_drifted() {
    let mut steady = drifting_turn(1);
    steady.links[0].drifted = false;
    let text = render(&run(vec![drifting_turn(0), steady], Outcome::Pass, &[]));
    assert!(text.contains("50.30 ms \u{25cb}"), "{text}");
    assert!(text.contains("\u{25cb}: the link's RTT was another after the steps"), "{text}");
    assert!(text.contains("3 MiB towards the dialler"), "{text}");
}

#[test]
fn reasons_come_with_the_verdict() {
    let text = render(&run(Vec::new(), Outcome::Error, &["alice ended by itself: signal 9"]));
    assert!(text.starts_with("ERROR: alice ended by itself: signal 9\nERROR: two-peer in 12.3 s"));
}

#[test]
fn sizes_keep_their_digits() {
    for (count, text) in [
        (0, "0 B"),
        (1_023, "1023 B"),
        (512 << 10, "512 KiB"),
        (64 << 20, "64 MiB"),
        (15_000_000, "14.3 MiB"),
        (1 << 30, "1 GiB"),
    ] {
        assert_eq!(bytes(count), text);
    }
}
