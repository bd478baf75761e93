use super::*;
use crate::secure::suite::{KeyLimits, Suite};

const LIMITS: RekeyLimits =
    RekeyLimits { bytes: 100_000, records: 3, interval_ms: 10, fold_interval_ms: 100 };
const KEY: KeyLimits = Suite::Aes256Gcm.key_limits();
const MS: u64 = 1_000_000;

fn hex(secret: &Secret) -> String {
    secret.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn keys_follow_the_documented_derivation() {
    // Computed with Python's hmac: HKDF-Expand(00 01 .. 1f, label || suite || epoch).
    let secret = Zeroizing::new(std::array::from_fn(|i| u8::try_from(i).unwrap()));
    let secret = Kept::new(secret);
    let mut ratchet = Ratchet::new(Suite::Aes256Gcm, secret);
    let first = "054d35db57b4c3b7341a9260f78bea63b750601295fe133f4a83ace2da3a06f1";
    let second = "e58be5e0177491cf28017b674f42a55b2fda5764e8a1736448f077125aab8236";
    let folded = "783332f375cf8f1d2b554ec3fcd1080db52129cdb546704ad6726f2b7460cc34";
    assert_eq!(hex(&ratchet.key()), first);
    ratchet.advance(None).unwrap();
    assert_eq!((ratchet.epoch(), hex(&ratchet.key()).as_str()), (1, second));
    ratchet.advance(Some(&Secret::new([5; SECRET_BYTES]))).unwrap();
    assert_eq!(hex(&ratchet.key()), folded);
}

#[test]
fn a_schedule_never_asks_more_of_a_key_than_its_suite_allows() {
    let most = RekeyLimits { bytes: u64::MAX, records: u64::MAX, ..LIMITS };
    assert_eq!(Schedule::new(most, KEY, 0).record_bytes_max(), KEY.bytes_soft);
}

#[test]
fn the_last_epoch_is_the_last() {
    let mut ratchet = Ratchet::new(Suite::Aes256Gcm, Kept::default()).at_epoch(u32::MAX);
    let key = ratchet.key();
    assert_eq!(ratchet.advance(None), Err(EpochsExhausted));
    assert_eq!((ratchet.epoch(), ratchet.key()), (u32::MAX, key));
}

#[test]
fn each_limit_alone_makes_an_update_due() {
    let mut schedule = Schedule::new(LIMITS, KEY, 0);
    assert!(!schedule.is_due(100_000, 0), "a key seals all that it may");
    schedule.data_sealed(99_999);
    assert!(!schedule.is_due(1, 0));
    assert!(schedule.is_due(2, 0), "bytes");
    schedule.data_sealed(1);
    assert!(schedule.is_due(1, 0), "a key that is used up");

    schedule.update_sealed(5 * MS);
    for _ in 0..3 {
        assert!(!schedule.is_due(1, 5 * MS));
        schedule.data_sealed(1);
    }
    assert!(schedule.is_due(1, 5 * MS), "records");

    schedule.update_sealed(5 * MS);
    assert!(!schedule.is_due(1, 100 * MS), "an unused key may grow old");
    schedule.data_sealed(1);
    assert!(!schedule.is_due(1, 15 * MS - 1));
    assert!(schedule.is_due(1, 15 * MS), "time");
    assert_eq!(schedule.urgent(), None, "a limit waits for data");
}

#[test]
fn limits_have_a_minimum() {
    RekeyLimits::default().check().unwrap();
    let low = RekeyLimits { bytes: REKEY_BYTES_MIN - 1, ..RekeyLimits::default() };
    let error = low.check().unwrap_err();
    assert_eq!(error.to_string(), "rekey_bytes is 65535, the least is 65536; raise it");
    RekeyLimits { records: 0, ..RekeyLimits::default() }.check().unwrap_err();
    RekeyLimits { interval_ms: 0, ..RekeyLimits::default() }.check().unwrap_err();
    let zero = RekeyLimits { bytes: 0, records: 0, interval_ms: 0, fold_interval_ms: 0 };
    assert_eq!(Schedule::new(zero, KEY, 0).record_bytes_max(), REKEY_BYTES_MIN);
}

/// Two schedules with the updates between them, in order.
struct Pair {
    ends: [Schedule; 2],
    sent: [u32; 2],
    received: [u32; 2],
    /// Updates on their way from this end.
    wire: [Vec<KeyUpdate>; 2],
}

impl Pair {
    fn new() -> Self {
        Self {
            ends: [Schedule::new(LIMITS, KEY, 0), Schedule::new(LIMITS, KEY, 0)],
            sent: [0; 2],
            received: [0; 2],
            wire: [Vec::new(), Vec::new()],
        }
    }

    fn send(&mut self, end: usize) {
        if let Some(asks) = self.ends[end].urgent() {
            self.wire[end].push(KeyUpdate { asks, folds: false, seen_epoch: self.received[end] });
            self.ends[end].update_sealed(0);
            self.sent[end] += 1;
        }
    }

    fn receive(&mut self, end: usize) {
        for update in std::mem::take(&mut self.wire[1 - end]) {
            self.received[end] += 1;
            self.ends[end].handle_update(update, self.sent[end]).unwrap();
        }
    }

    /// Until nothing moves; an endless exchange fails.
    fn settle(&mut self) {
        for _ in 0..4 {
            for end in 0..2 {
                self.send(end);
                self.receive(1 - end);
            }
        }
        assert!(
            self.wire.iter().all(Vec::is_empty) && self.ends.iter().all(|s| s.urgent().is_none())
        );
        assert_eq!(self.sent[0], self.received[1]);
        assert_eq!(self.sent[1], self.received[0]);
    }
}

#[test]
fn a_request_moves_both_directions_once() {
    let mut pair = Pair::new();
    pair.ends[0].request();
    pair.settle();
    assert_eq!(pair.sent, [1, 1]);
}

#[test]
fn requests_that_cross_move_both_directions_once() {
    let mut pair = Pair::new();
    pair.ends[0].request();
    pair.ends[1].request();
    pair.send(0);
    pair.send(1);
    pair.receive(0);
    pair.receive(1);
    pair.settle();
    assert_eq!(pair.sent, [1, 1]);
}

#[test]
fn a_request_made_while_an_answer_is_owed_is_answered_again() {
    let mut pair = Pair::new();
    pair.ends[1].request();
    pair.send(1);
    pair.receive(0);
    // End 0 owes an answer, has seen epoch 1, and now wants to get beyond it.
    pair.ends[0].request();
    pair.settle();
    assert!(pair.received[0] > 1, "the wish was taken for the answer");
}

#[test]
fn an_update_from_the_future_is_an_error() {
    let mut schedule = Schedule::new(LIMITS, KEY, 0);
    let update = KeyUpdate { asks: true, folds: false, seen_epoch: 4 };
    assert_eq!(schedule.handle_update(update, 3), Err(FutureEpoch { seen: 4, sent: 3 }));
    assert_eq!(schedule.urgent(), None);
}

#[test]
fn an_honest_sender_never_sends_too_many_updates_in_a_row() {
    let mut schedule = Schedule::new(LIMITS, KEY, 0);
    let mut updates = 0;
    loop {
        schedule.request();
        if schedule.urgent().is_none() {
            break;
        }
        schedule.update_sealed(0);
        updates += 1;
        assert!(updates < EMPTY_RUN_RECORDS_MAX);
    }
    schedule.data_sealed(1);
    assert_eq!(schedule.urgent(), Some(true), "held back, not forgotten");
}
