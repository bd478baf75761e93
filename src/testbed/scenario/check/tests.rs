use super::*;
use crate::testbed::plan::{TransferDestination, TransferMode};
use crate::testbed::result::Epochs;

fn plan(rekeys_min: u32) -> TransferPlan {
    TransferPlan {
        name: "push".into(),
        from: "alice".into(),
        to: "bob".into(),
        sample: 0,
        mode: TransferMode::Push,
        chunk_bytes: None,
        depth: None,
        lanes: None,
        destination: TransferDestination::Hash,
        rekey_at_permille: Vec::new(),
        deadline_ms: 1_000,
        rekeys_min,
    }
}

const GOOD_BYTES: u64 = 100_000_000;

fn good() -> TransferResult {
    TransferResult {
        name: "push".into(),
        mode: TransferMode::Push,
        link: "bob:alice".into(),
        bytes: GOOD_BYTES,
        chunk_bytes: 0,
        depth: 0,
        lanes: 1,
        wall_ns: 1_000_000_000,
        first_byte_ns: 1,
        gap_ns_max: 1,
        rekey_gap_ns_max: Some(99_000_000),
        link_bytes: Some(100_500_000),
        traffic: None,
        before: Some(Epochs { sent: 1, received: 1 }),
        after: Some(Epochs { sent: 2, received: 2 }),
        digest_equal: true,
        rtt_measured_us: 50_000,
        layers: None,
        trace_id: String::new(),
    }
}

#[test]
fn a_good_transfer_has_no_failures() {
    assert_eq!(transfer(&plan(2), GOOD_BYTES, &good()), Vec::<String>::new());
}

#[test]
fn every_assertion_can_fail() {
    type Spoil = fn(&mut TransferResult);
    let cases: [(&str, Spoil); 6] = [
        ("differs from the source", |r| r.digest_equal = false),
        ("of a file of 100000000", |r| r.bytes = 99_999_999),
        ("went round the proxy", |r| r.link_bytes = Some(99_999_999)),
        ("sent more than once", |r| r.link_bytes = Some(102_000_000)),
        ("at least 2 rekeys", |r| r.after = Some(Epochs { sent: 1, received: 2 })),
        ("paused for 100.1 ms", |r| r.rekey_gap_ns_max = Some(100_100_000)),
    ];
    for (expected, spoil) in cases {
        let mut result = good();
        spoil(&mut result);
        let failures = transfer(&plan(2), GOOD_BYTES, &result);
        assert_eq!(failures.len(), 1, "{expected}: {failures:?}");
        assert!(failures[0].contains(expected), "{expected}: {failures:?}");
    }
}

#[test]
fn a_small_file_may_cost_a_session() {
    let mut result = good();
    result.bytes = 1_000;
    result.link_bytes = Some(20_000);
    assert_eq!(transfer(&plan(0), 1_000, &result), Vec::<String>::new());
}

#[test]
fn a_rekey_must_move_both_directions() {
    let step = |sent, received| StepResult::Rekey {
        name: "rekey".into(),
        link: "bob:alice".into(),
        wall_ns: 1,
        before: Epochs { sent: 3, received: 3 },
        after: Epochs { sent, received },
    };
    assert!(rekey(&step(4, 4)).is_empty());
    assert_eq!(rekey(&step(4, 3)).len(), 1);
    assert_eq!(rekey(&step(3, 4)).len(), 1);
}

#[test]
fn a_push_over_other_lanes_than_asked_for_is_no_result() {
    let asked = TransferPlan { lanes: Some(4), ..plan(0) };
    let had = |lanes| transfer(&asked, GOOD_BYTES, &TransferResult { lanes, ..good() });
    assert_eq!(had(4), Vec::<String>::new());
    assert_eq!(had(3), ["push: 4 lanes were to share the transfer, it had 3"]);
    let any = transfer(&plan(0), GOOD_BYTES, &TransferResult { lanes: 3, ..good() });
    assert_eq!(any, Vec::<String>::new());
}
