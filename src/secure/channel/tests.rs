use proptest::prelude::*;

use super::pair::{ACCEPTOR, DIALLER, NO_LIMIT, Pair};
use super::*;
use crate::secure::fold::FoldError;
use crate::secure::rekey::{
    EMPTY_RUN_RECORDS_MAX, EpochsExhausted, FOLD_INTERVAL_MS_MIN, REKEY_BYTES_MIN,
};
use crate::secure::suite::{Suite, SuiteChoice};

mod folds;
mod tamper;
mod thief;

const SUITES: [SuiteChoice; 2] =
    [SuiteChoice::Only(Suite::ChaCha20Poly1305), SuiteChoice::Only(Suite::Aes256Gcm)];

fn pair(limits: RekeyLimits) -> Pair {
    Pair::new(SuiteChoice::Auto, limits, 1)
}

#[derive(Clone, Debug)]
enum Step {
    Write(usize, usize),
    Transmit(usize, usize),
    Deliver(usize, usize),
    Rekey(usize),
    Fold(usize),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let end = 0usize..2;
    prop_oneof![
        4 => (end.clone(), 1usize..3_000).prop_map(|(end, bytes)| Step::Write(end, bytes)),
        6 => (end.clone(), 1usize..4_000).prop_map(|(end, bytes)| Step::Transmit(end, bytes)),
        6 => (end.clone(), 1usize..4_000).prop_map(|(end, bytes)| Step::Deliver(end, bytes)),
        1 => end.clone().prop_map(Step::Rekey),
        1 => end.prop_map(Step::Fold),
        2 => (0u64..200).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// However the bytes are cut, whoever rekeys and folds when, and however the
    /// directions interleave.
    #[test]
    fn the_same_bytes_come_out(
        steps in prop::collection::vec(step(), 1..200),
        suite in prop::sample::select(SUITES.to_vec()),
        records in 1u64..6,
        fold_interval_ms in 50u64..300,
        seed: u64,
    ) {
        let limits = RekeyLimits { records, interval_ms: 70, fold_interval_ms, ..NO_LIMIT };
        let mut pair = Pair::new(suite, limits, seed);
        let mut sent = [Vec::new(), Vec::new()];
        for step in steps {
            match step {
                Step::Write(end, bytes) => {
                    let bytes = vec![sent[end].len().to_le_bytes()[0]; bytes];
                    let written = pair.write(end, &bytes);
                    sent[end].extend_from_slice(&bytes[..written]);
                }
                Step::Transmit(end, bytes) => drop(pair.transmit(end, bytes)),
                Step::Deliver(end, bytes) => drop(pair.deliver(end, bytes)),
                Step::Rekey(end) => pair.ends[end].channel.request_rekey(),
                Step::Fold(end) => pair.ends[end].channel.request_fold(),
                Step::Wait(ms) => pair.advance_ms(ms),
            }
            for end in &pair.ends {
                prop_assert_eq!(end.error, None);
            }
        }
        pair.drive();
        pair.advance_ms(FOLD_INTERVAL_MS_MIN);
        pair.drive();
        pair.epochs();
        let folds = pair.folds();
        prop_assert_eq!(folds[0], folds[1]);
        pair.close(DIALLER);
        pair.close(ACCEPTOR);
        for end in [DIALLER, ACCEPTOR] {
            prop_assert_eq!(&pair.ends[end].received, &sent[1 - end]);
            prop_assert!(pair.ends[end].ended && pair.ends[end].error.is_none());
        }
    }
}

#[test]
fn an_idle_session_rekeys_on_demand_in_both_directions() {
    let mut pair = pair(NO_LIMIT);
    for round in 1..4 {
        pair.ends[ACCEPTOR].channel.request_rekey();
        pair.drive();
        assert_eq!(pair.epochs(), [round, round]);
    }
}

#[test]
fn an_idle_session_stays_quiet_however_old_its_keys_are() {
    let mut pair = pair(RekeyLimits::default());
    pair.advance_ms(86_400_000);
    pair.drive();
    assert_eq!((pair.epochs(), pair.folds()), ([0, 0], [0, 0]));
    pair.send(DIALLER, b"x");
    assert_eq!(pair.folds(), [1, 1], "old keys are in use again");
    pair.advance_ms(86_400_000);
    pair.drive();
    assert_eq!(pair.folds(), [1, 1]);
}

#[test]
fn a_session_in_use_changes_keys_by_time_and_by_records() {
    let mut pair = pair(RekeyLimits { interval_ms: 10, ..NO_LIMIT });
    for (after_ms, epoch) in [(0, 0), (9, 0), (1, 1), (9, 1), (1, 2), (500, 3)] {
        pair.advance_ms(after_ms);
        pair.send(DIALLER, b"x");
        assert_eq!(pair.epochs(), [epoch, 0], "only the direction that is used");
    }
    let mut pair = self::pair(RekeyLimits { records: 3, ..NO_LIMIT });
    for record in 0..9 {
        pair.send(ACCEPTOR, b"x");
        assert_eq!(pair.epochs(), [0, record / 3]);
    }
}

#[test]
fn a_session_in_use_folds_by_time() {
    let mut pair = pair(RekeyLimits { fold_interval_ms: 100, ..NO_LIMIT });
    for (after_ms, folds) in [(99, 0), (1, 1), (99, 1), (1, 2)] {
        pair.advance_ms(after_ms);
        pair.send(DIALLER, b"x");
        assert_eq!(pair.folds(), [folds, folds]);
    }
}

#[test]
fn the_least_threshold_is_exact() {
    let mut pair = pair(RekeyLimits { bytes: REKEY_BYTES_MIN, ..NO_LIMIT });
    let bytes = vec![7; 16 * 64 * 1024 + 1];
    pair.send(DIALLER, &bytes);
    assert_eq!(pair.epochs(), [16, 0]);
    assert!(pair.ends[ACCEPTOR].received == bytes);
}

#[test]
fn a_record_is_not_cut_for_what_is_left_of_a_key() {
    let mut pair = pair(RekeyLimits { bytes: 100_000, ..NO_LIMIT });
    for _ in 0..3 {
        pair.send(DIALLER, &[7; 60_000]);
    }
    assert_eq!(pair.epochs(), [2, 0]);
    let updates = 2;
    assert_eq!(pair.ends[ACCEPTOR].channel.records_received(), 3 + updates);
}

#[test]
fn a_clock_that_jumps_harms_nothing() {
    let mut pair = pair(RekeyLimits { interval_ms: 10, fold_interval_ms: 50, ..NO_LIMIT });
    let jumps = [1_000_000, 0, u64::MAX, 5, u64::MAX - 1, u64::MAX / 2, 1];
    for now_ns in jumps {
        pair.now_ns = now_ns;
        pair.ends[DIALLER].channel.request_fold();
        pair.send(DIALLER, b"tick");
        pair.send(ACCEPTOR, b"tock");
    }
    assert_eq!(pair.ends[ACCEPTOR].received.len(), 4 * jumps.len());
    assert_eq!(pair.ends[DIALLER].error, None);
}

#[test]
fn the_last_epoch_ends_the_session_and_never_repeats_a_nonce() {
    let mut pair = pair(NO_LIMIT);
    pair.ends[DIALLER].channel.outgoing.skip_to_epoch(u32::MAX - 1);
    pair.ends[ACCEPTOR].channel.incoming.skip_to_epoch(u32::MAX - 1);
    pair.ends[DIALLER].channel.request_rekey();
    pair.drive();
    assert_eq!(pair.ends[DIALLER].channel.epochs().0, u32::MAX);
    pair.send(DIALLER, b"the last");
    assert_eq!(pair.ends[ACCEPTOR].received, b"the last");
    pair.ends[DIALLER].channel.request_rekey();
    let channel = &mut pair.ends[DIALLER].channel;
    let error = channel.prepare_output(0).unwrap_err();
    assert_eq!(error, RecordError::Epochs(EpochsExhausted));
    assert!(error.to_string().contains("connect again"));
    // So it stays: the stream is failed, and the daemon dials again.
    let error = channel.write(&[IoSlice::new(b"more")], 0).unwrap_err();
    assert_eq!(error, RecordError::Epochs(EpochsExhausted));
    let again = Pair::new(SuiteChoice::Auto, NO_LIMIT, 2);
    assert_eq!(again.epochs(), [0, 0]);
}

#[test]
fn a_flood_of_updates_is_cut_off_and_costs_one_answer() {
    let mut pair = pair(NO_LIMIT);
    let mut sealed = Sealed::default();
    // A peer that does not hold back: its sealer is used past its schedule.
    for _ in 0..=EMPTY_RUN_RECORDS_MAX {
        pair.ends[DIALLER].channel.outgoing.force_update(&mut sealed);
    }
    pair.ends[ACCEPTOR].wire.extend(&*sealed);
    pair.deliver(ACCEPTOR, usize::MAX);
    assert_eq!(pair.ends[ACCEPTOR].error, Some(RecordError::NothingButControl));

    // As many as are allowed are answered with one update, not one each.
    let mut pair = Pair::new(SuiteChoice::Auto, NO_LIMIT, 3);
    let mut sealed = Sealed::default();
    for _ in 0..EMPTY_RUN_RECORDS_MAX - 1 {
        pair.ends[DIALLER].channel.outgoing.force_update(&mut sealed);
    }
    pair.ends[ACCEPTOR].wire.extend(&*sealed);
    pair.deliver(ACCEPTOR, usize::MAX);
    assert_eq!(pair.ends[ACCEPTOR].error, None);
    pair.prepare(ACCEPTOR);
    let answers = pair.ends[ACCEPTOR].channel.records_sent();
    assert_eq!(answers, 1);
}

#[test]
fn what_is_sent_to_an_end_that_never_reads_is_one_record() {
    let mut pair = pair(NO_LIMIT);
    let block = vec![1; 4 << 20];
    let written = pair.write(DIALLER, &block);
    let waiting = pair.ends[DIALLER].channel.output().len();
    for _ in 0..100 {
        pair.ends[DIALLER].channel.request_rekey();
        pair.ends[DIALLER].channel.request_fold();
        pair.prepare(DIALLER);
        assert_eq!(pair.write(DIALLER, &block), 0);
    }
    assert_eq!(pair.ends[DIALLER].channel.output().len(), waiting);
    assert!(waiting < written + 100);
}
