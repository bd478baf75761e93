//! Fresh keys under traffic, without it, at once, and by those who should not.

use super::*;
use crate::secure::fold::{ANSWER_BYTES, OFFER_BYTES};

#[test]
fn a_fold_moves_both_directions_and_stops_nothing() {
    for from in [DIALLER, ACCEPTOR] {
        let mut pair = pair(NO_LIMIT);
        pair.ends[from].channel.request_fold();
        // Data goes out between offer, answer and updates, in both directions.
        for _ in 0..6 {
            for end in [DIALLER, ACCEPTOR] {
                assert_eq!(pair.write(end, b"data"), 4, "a fold holds up data");
                pair.transmit(end, usize::MAX);
            }
            pair.deliver(DIALLER, usize::MAX);
            pair.deliver(ACCEPTOR, usize::MAX);
        }
        pair.drive();
        assert_eq!((pair.folds(), pair.epochs()), ([1, 1], [1, 1]));
        assert_eq!(pair.ends[ACCEPTOR].received, b"data".repeat(6));
    }
}

#[test]
fn an_idle_session_folds_on_demand() {
    let mut pair = pair(NO_LIMIT);
    for round in 1..5 {
        pair.ends[DIALLER].channel.request_fold();
        pair.drive();
        assert_eq!(pair.folds(), [round, round]);
        pair.advance_ms(FOLD_INTERVAL_MS_MIN);
    }
}

#[test]
fn offers_that_cross_are_one_fold() {
    let mut pair = pair(NO_LIMIT);
    for end in [DIALLER, ACCEPTOR] {
        pair.ends[end].channel.request_fold();
        assert!(pair.transmit(end, usize::MAX) > 1000);
    }
    pair.drive();
    assert_eq!((pair.folds(), pair.epochs()), ([1, 1], [1, 1]));
    // And ratchets that cross it, from both ends.
    pair.advance_ms(FOLD_INTERVAL_MS_MIN);
    for end in [DIALLER, ACCEPTOR] {
        pair.ends[end].channel.request_fold();
        pair.ends[end].channel.request_rekey();
        pair.transmit(end, usize::MAX);
    }
    pair.drive();
    assert_eq!(pair.folds(), [2, 2]);
    pair.send(DIALLER, b"still here");
    pair.send(ACCEPTOR, b"so am I");
    assert_eq!(pair.ends[ACCEPTOR].received, b"still here");
}

#[test]
fn time_folds_under_traffic_at_both_ends() {
    let mut pair = pair(RekeyLimits { fold_interval_ms: 1_000, ..NO_LIMIT });
    for _ in 0..50 {
        pair.advance_ms(100);
        pair.send(DIALLER, b"there");
        pair.send(ACCEPTOR, b"back");
    }
    assert!((4..=5).contains(&pair.folds()[0]), "{:?}", pair.folds());
}

#[test]
fn a_fold_too_early_is_held_back_and_says_until_when() {
    let mut pair = pair(NO_LIMIT);
    pair.ends[DIALLER].channel.request_fold();
    pair.drive();
    pair.advance_ms(1);
    pair.ends[DIALLER].channel.request_fold();
    pair.drive();
    assert_eq!(pair.folds(), [1, 1]);
    pair.now_ns = pair.ends[DIALLER].channel.wake_at_ns().expect("it waits for a time");
    pair.drive();
    assert_eq!(pair.folds(), [2, 2]);
    assert_eq!(pair.ends[DIALLER].channel.wake_at_ns(), None);
}

#[test]
fn an_end_that_has_closed_is_not_waited_for() {
    for from in [DIALLER, ACCEPTOR] {
        let mut pair = pair(NO_LIMIT);
        pair.close(from);
        let other = 1 - from;
        pair.ends[other].channel.request_fold();
        pair.ends[other].channel.request_rekey();
        pair.send(other, b"goes on");
        assert_eq!(pair.ends[from].received, b"goes on");
        assert_eq!(pair.folds(), [0, 0]);
        pair.close(other);
        assert!(pair.ends[from].ended && pair.ends[from].error.is_none());
    }
}

#[test]
fn an_offer_on_its_way_to_an_end_that_closes_harms_nothing() {
    for from in [DIALLER, ACCEPTOR] {
        let mut pair = pair(NO_LIMIT);
        let other = 1 - from;
        pair.ends[other].channel.request_fold();
        pair.transmit(other, usize::MAX);
        pair.ends[from].channel.close().unwrap();
        pair.drive();
        pair.send(other, b"goes on");
        assert_eq!(pair.ends[from].received, b"goes on");
        assert_eq!(pair.folds(), [0, 0]);
    }
}

#[test]
fn whoever_offers_and_closes_still_hears_the_other() {
    for from in [DIALLER, ACCEPTOR] {
        let mut pair = pair(NO_LIMIT);
        pair.ends[from].channel.request_fold();
        pair.prepare(from);
        pair.ends[from].channel.close().unwrap();
        pair.send(1 - from, b"goes on");
        assert_eq!(pair.ends[from].error, None);
        assert_eq!(pair.ends[from].received, b"goes on");
        // Only the direction that is left has moved.
        let mut epochs = [1, 1];
        epochs[from] = 0;
        assert_eq!(pair.epochs(), epochs);
    }
}

#[test]
fn whoever_answers_and_closes_leaves_the_other_direction_folded() {
    let mut pair = pair(NO_LIMIT);
    pair.ends[DIALLER].channel.request_fold();
    pair.transmit(DIALLER, usize::MAX);
    pair.deliver(ACCEPTOR, usize::MAX);
    pair.transmit(ACCEPTOR, usize::MAX);
    pair.ends[ACCEPTOR].channel.close().unwrap();
    pair.drive();
    pair.send(DIALLER, b"mixed");
    assert_eq!(pair.ends[ACCEPTOR].received, b"mixed");
    assert_eq!(pair.epochs(), [1, 1]);
}

/// What the other end makes of what `from` says.
fn told(from: usize, say: impl Fn(&mut Pair, &mut Sealed)) -> Option<RecordError> {
    let mut pair = pair(NO_LIMIT);
    let mut sealed = Sealed::default();
    say(&mut pair, &mut sealed);
    pair.ends[1 - from].wire.extend(&*sealed);
    pair.deliver(1 - from, usize::MAX);
    pair.ends[1 - from].error
}

#[test]
fn a_peer_that_folds_out_of_turn_is_cut_off() {
    let fold = |error| Some(RecordError::Fold(error));
    let twice = |pair: &mut Pair, sealed: &mut Sealed| {
        pair.ends[DIALLER].channel.force_offer(sealed);
        pair.ends[DIALLER].channel.force_offer(sealed);
    };
    assert_eq!(told(DIALLER, twice), fold(FoldError::OutOfTurn));
    let crossed_twice = |pair: &mut Pair, sealed: &mut Sealed| {
        pair.ends[DIALLER].channel.request_fold();
        pair.prepare(DIALLER);
        pair.ends[ACCEPTOR].channel.force_offer(sealed);
        pair.ends[ACCEPTOR].channel.force_offer(sealed);
    };
    assert_eq!(told(ACCEPTOR, crossed_twice), fold(FoldError::OutOfTurn));
    let unasked = |pair: &mut Pair, sealed: &mut Sealed| {
        let sealer = pair.ends[DIALLER].channel.outgoing.sealer();
        sealer.seal_answer(&[9; ANSWER_BYTES], sealed).unwrap();
    };
    assert_eq!(told(DIALLER, unasked), fold(FoldError::Unasked));
    let no_key = |pair: &mut Pair, sealed: &mut Sealed| {
        let sealer = pair.ends[DIALLER].channel.outgoing.sealer();
        sealer.seal_offer(&[0xff; OFFER_BYTES], sealed).unwrap();
    };
    assert_eq!(told(DIALLER, no_key), fold(FoldError::BadKey));
    let small_order = |pair: &mut Pair, sealed: &mut Sealed| {
        let mut offer = *pair.ends[DIALLER].channel.folds.offer().unwrap();
        offer[..32].fill(0);
        pair.ends[DIALLER].channel.outgoing.sealer().seal_offer(&offer, sealed).unwrap();
    };
    assert_eq!(told(DIALLER, small_order), fold(FoldError::BadKey));
}

#[test]
fn a_peer_that_folds_too_often_is_cut_off() {
    let mut pair = pair(NO_LIMIT);
    pair.ends[DIALLER].channel.request_fold();
    pair.drive();
    pair.advance_ms(FOLD_INTERVAL_MS_MIN / 2 - 1);
    let mut sealed = Sealed::default();
    pair.ends[DIALLER].channel.force_offer(&mut sealed);
    pair.ends[ACCEPTOR].wire.extend(&*sealed);
    pair.deliver(ACCEPTOR, usize::MAX);
    assert_eq!(pair.ends[ACCEPTOR].error, Some(RecordError::Fold(FoldError::TooSoon)));
}

#[test]
fn a_stall_of_the_network_never_makes_an_honest_offer_too_soon() {
    // Everything waits for a second after each step of a fold, then comes at once.
    let mut pair = pair(NO_LIMIT);
    for _ in 0..20 {
        for end in [DIALLER, ACCEPTOR] {
            pair.ends[end].channel.request_fold();
        }
        for _ in 0..5 {
            pair.transmit(DIALLER, usize::MAX);
            pair.advance_ms(1_000);
            pair.transmit(ACCEPTOR, usize::MAX);
            pair.deliver(ACCEPTOR, usize::MAX);
            pair.deliver(DIALLER, usize::MAX);
        }
    }
    assert_eq!((pair.ends[0].error, pair.ends[1].error), (None, None));
    assert!(pair.folds()[0] > 10);
}
