use proptest::prelude::*;

use super::*;
use crate::secure::rekey::SECRET_BYTES;

const SUITE: Suite = Suite::ChaCha20Poly1305;

impl Sealer {
    /// What somebody can do who has stolen all secrets of this direction.
    pub(in crate::secure) fn steal(&self) -> Opener {
        let mut direction = Direction::new(self.0.ratchet.stolen());
        direction.counter = self.0.counter;
        Opener { direction, empty_run: 0, folded: None, failed: None }
    }

    pub(in crate::secure) fn skip_to_epoch(&mut self, epoch: u32) {
        self.0 = Direction::new(self.0.ratchet.stolen().at_epoch(epoch));
    }
}

impl Opener {
    /// The next epoch as it would be without a fold.
    pub(in crate::secure) fn advanced_without_fold(&self) -> Self {
        let mut direction = Direction::new(self.direction.ratchet.stolen());
        direction.advance(None).unwrap();
        Self { direction, empty_run: 0, folded: None, failed: None }
    }

    pub(in crate::secure) fn skip_to_epoch(&mut self, epoch: u32) {
        self.direction = Direction::new(self.direction.ratchet.stolen().at_epoch(epoch));
    }

    /// Whether the current key is that of a record, which may be an old one.
    pub(in crate::secure) fn has_key_of(&self, record: &[u8]) -> bool {
        let header = parse_header(record).unwrap();
        let (text, tag) = record[HEADER_BYTES..].split_at(record.len() - HEADER_BYTES - TAG_BYTES);
        let tag = tag.try_into().unwrap();
        let (nonce, mut text) = (header.nonce(), text.to_vec());
        self.direction.cipher.open(nonce, &record[..HEADER_BYTES], &mut text, tag).is_ok()
    }
}

fn ends() -> (Sealer, Opener) {
    let secret = || Kept::new(Secret::new([7; SECRET_BYTES]));
    (Sealer::new(SUITE, secret()), Opener::new(SUITE, secret()))
}

fn data(sealer: &mut Sealer, bytes: &[u8]) -> Vec<u8> {
    let mut record = Sealed::default();
    let sealed = sealer.seal_data(&[IoSlice::new(bytes)], usize::MAX, &mut record).unwrap();
    assert_eq!(sealed, bytes.len());
    record.to_vec()
}

#[derive(Clone, Debug)]
enum Step {
    Data(Vec<Vec<u8>>),
    Update(bool, u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let bytes = prop::collection::vec(any::<u8>(), 0..600);
    let step = prop_oneof![
        4 => prop::collection::vec(bytes, 0..4).prop_map(Step::Data),
        1 => any::<(bool, u32)>().prop_map(|(asks, seen)| Step::Update(asks, seen)),
    ];
    prop::collection::vec(step, 0..30)
}

proptest! {
    #[test]
    fn what_is_sealed_is_opened(steps in steps()) {
        let (mut sealer, mut opener) = ends();
        for step in steps {
            let mut record = Sealed::default();
            match step {
                Step::Data(parts) => {
                    let slices: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
                    sealer.seal_data(&slices, usize::MAX, &mut record).unwrap();
                    let Ok(Opened::Data(range)) = opener.open(&mut record) else {
                        panic!("not data");
                    };
                    prop_assert_eq!(&record[range], parts.concat());
                }
                Step::Update(asks, seen_epoch) => {
                    let update = KeyUpdate { asks, folds: false, seen_epoch };
                    sealer.seal_key_update(update, None, &mut record).unwrap();
                    prop_assert_eq!(record.len(), KEY_UPDATE_WIRE_BYTES);
                    prop_assert_eq!(opener.open(&mut record), Ok(Opened::KeyUpdate(update)));
                }
            }
            prop_assert_eq!(sealer.epoch(), opener.epoch());
        }
    }
}

#[test]
fn every_bit_of_a_record_counts() {
    let (mut sealer, _) = ends();
    let record = data(&mut sealer, b"forty bytes of a file that matters a lot");
    for bit in 0..record.len() * 8 {
        let mut changed = record.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let untouched = changed.clone();
        let wiped = vec![0; record.len() - HEADER_BYTES - TAG_BYTES];
        let error = ends().1.open(&mut changed).unwrap_err();
        let expected = match bit / 8 {
            0..4 => matches!(error, RecordError::Length(_) | RecordError::Truncated),
            4..16 => matches!(
                error,
                RecordError::OutOfOrder { expected_epoch: 0, expected_counter: 0, .. }
            ),
            _ => error == RecordError::Forged { epoch: 0, counter: 0 },
        };
        assert!(expected, "bit {bit}: {error:?}");
        // Some ciphers look before they decrypt, and some wipe what they decrypted.
        let text = HEADER_BYTES..record.len() - TAG_BYTES;
        let is_kept = changed == untouched || changed[text] == wiped;
        assert!(is_kept, "bit {bit}: plaintext came out of a forged record");
    }
}

#[test]
fn a_length_that_is_changed_together_with_the_record_is_forged() {
    let (mut sealer, mut opener) = ends();
    let mut record = data(&mut sealer, b"abcdef");
    record.remove(20);
    record[3] -= 1;
    assert_eq!(opener.open(&mut record), Err(RecordError::Forged { epoch: 0, counter: 0 }));
}

#[test]
fn only_the_next_record_is_taken_and_an_error_is_for_good() {
    let (mut sealer, mut opener) = ends();
    let (mut first, mut second) = (data(&mut sealer, b"1"), data(&mut sealer, b"2"));
    opener.open(&mut first.clone()).unwrap();
    let error = opener.open(&mut first).unwrap_err();
    let expected = RecordError::OutOfOrder {
        expected_epoch: 0,
        expected_counter: 1,
        found_epoch: 0,
        found_counter: 0,
    };
    assert_eq!(error, expected);
    assert_eq!(opener.open(&mut second), Err(expected), "failed is failed");
}

#[test]
fn a_record_of_an_old_epoch_is_not_taken() {
    let (mut sealer, mut opener) = ends();
    let mut old = data(&mut sealer, b"old");
    let mut update = Sealed::default();
    sealer
        .seal_key_update(KeyUpdate { asks: false, folds: false, seen_epoch: 0 }, None, &mut update)
        .unwrap();
    opener.open(&mut old.clone()).unwrap();
    opener.open(&mut update).unwrap();
    let error = opener.open(&mut old).unwrap_err();
    assert!(matches!(error, RecordError::OutOfOrder { expected_epoch: 1, found_epoch: 0, .. }));
}

#[test]
fn a_record_under_the_wrong_epoch_s_key_is_forged() {
    // The header, and so nonce and associated data, are those that the receiver expects.
    let text = [ContentType::Data as u8, b'a'];
    let header = Header::new(0, 0, text.len());
    let under = |epoch| {
        let ratchet = ends().0.0.ratchet.stolen().at_epoch(epoch);
        let cipher = Cipher::new(SUITE, Provider::default(), &ratchet.key());
        let mut sealed = text;
        let tag = cipher.seal(header.nonce(), &header.to_bytes(), &mut sealed);
        [&header.to_bytes()[..], &sealed, &tag].concat()
    };
    assert_eq!(ends().1.open(&mut under(0)), Ok(Opened::Data(PAYLOAD_START..PAYLOAD_START + 1)));
    let forged = RecordError::Forged { epoch: 0, counter: 0 };
    assert_eq!(ends().1.open(&mut under(1)), Err(forged));
}

#[test]
fn close_is_the_end_at_both_ends() {
    let (mut sealer, mut opener) = ends();
    assert_eq!(opener.handle_end(), Err(RecordError::Truncated));
    let mut close = Sealed::default();
    sealer.seal_close(&mut close).unwrap();
    let mut more = Sealed::default();
    assert_eq!(sealer.seal_data(&[], 0, &mut more), Err(RecordError::AfterClose));
    assert!(more.is_empty());
    assert_eq!(opener.open(&mut close), Ok(Opened::Close));
    assert_eq!(opener.handle_end(), Ok(()));
    assert_eq!(opener.open(&mut close), Err(RecordError::AfterClose));
}

#[test]
fn large_writes_are_cut_to_records() {
    let (mut sealer, mut opener) = ends();
    let bytes = vec![5; RECORD_PAYLOAD_BYTES_MAX + 1];
    let mut record = Sealed::default();
    let sealed = sealer.seal_data(&[IoSlice::new(&bytes)], usize::MAX, &mut record).unwrap();
    assert_eq!(sealed, RECORD_PAYLOAD_BYTES_MAX);
    assert!(matches!(opener.open(&mut record), Ok(Opened::Data(range)) if range.len() == sealed));
}

/// Small parts are copied and large ones sealed from where they lie; nobody can tell.
#[test]
fn a_record_is_the_same_from_any_parts() {
    let plain: Vec<u8> = (0..100_000u32).map(|at| at.to_le_bytes()[0]).collect();
    for suite in Suite::ALL {
        let seal = |parts: &[&[u8]], bytes_max: usize, used_bytes: usize| {
            let secret = Kept::new(Secret::new([7; SECRET_BYTES]));
            let mut sealer = Sealer::new(suite, secret);
            let parts: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
            let mut record = Sealed::default();
            // What was there before does not show.
            record.room(used_bytes).fill(0xa5);
            record.clear();
            let bytes = sealer.seal_data(&parts, bytes_max, &mut record).unwrap();
            // The key is where it was after the record, too.
            sealer.seal_data(&[IoSlice::new(b"next")], usize::MAX, &mut record).unwrap();
            (bytes, record.to_vec())
        };
        for bytes_max in [1, 500, 1_023, 1_024, 1_025, 20_000, usize::MAX] {
            let small: Vec<&[u8]> = plain.chunks(100).collect();
            let wanted = seal(&small, bytes_max, 0);
            let (head, rest) = plain.split_at(9);
            let (middle, tail) = rest.split_at(50_000);
            for parts in
                [&[&plain[..]][..], &[head, rest], &[head, rest, &[]], &[head, middle, tail]]
            {
                for used_bytes in [0, 300, 2 * plain.len()] {
                    let sealed = seal(parts, bytes_max, used_bytes);
                    assert!(sealed == wanted, "{suite:?}, {bytes_max}, {used_bytes} bytes");
                }
            }
        }
    }
}

#[test]
fn a_key_is_used_up_at_both_ends() {
    for suite in Suite::ALL {
        let limits = suite.key_limits();
        let used = [(limits.records_hard - 1, 0), (0, limits.bytes_hard - 1)];
        for (records, bytes) in used {
            let secret = || Kept::new(Secret::new([7; SECRET_BYTES]));
            let (mut sealer, mut opener) =
                (Sealer::new(suite, secret()), Opener::new(suite, secret()));
            for direction in [&mut sealer.0, &mut opener.direction] {
                direction.counter = records;
                direction.bytes = bytes;
            }
            let mut last = data(&mut sealer, b"last");
            opener.open(&mut last).unwrap();
            let used_up = RecordError::KeyUsedUp { epoch: 0 };
            assert_eq!(sealer.seal_data(&[], 0, &mut Sealed::default()), Err(used_up));
            assert_eq!(opener.open(&mut last), Err(used_up));
        }
    }
}

#[test]
fn a_peer_that_sends_only_control_is_cut_off() {
    let (mut sealer, mut opener) = ends();
    let mut update = |opener: &mut Opener| {
        let mut record = Sealed::default();
        let update = KeyUpdate { asks: true, folds: false, seen_epoch: 0 };
        sealer.seal_key_update(update, None, &mut record).unwrap();
        opener.open(&mut record)
    };
    for _ in 0..EMPTY_RUN_RECORDS_MAX {
        update(&mut opener).unwrap();
    }
    assert_eq!(update(&mut opener), Err(RecordError::NothingButControl));
}

#[test]
fn authentic_nonsense_is_an_error() {
    let cases: [(u8, &[u8], RecordError); 7] = [
        (0, b"", RecordError::UnknownContent(0)),
        (6, b"", RecordError::UnknownContent(6)),
        (4, b"short", RecordError::Malformed { content: 4, bytes: 5 }),
        (5, b"", RecordError::Malformed { content: 5, bytes: 0 }),
        (2, &[4, 0, 0, 0, 0], RecordError::Malformed { content: 2, bytes: 5 }),
        (2, &[2, 0, 0, 0, 0], RecordError::Fold(FoldError::Unasked)),
        (3, b"x", RecordError::Malformed { content: 3, bytes: 1 }),
    ];
    for (content, payload, expected) in cases {
        let (_, mut opener) = ends();
        let plaintext = [&[content], payload].concat();
        assert_eq!(opener.interpret(&plaintext), Err(expected));
    }
}
