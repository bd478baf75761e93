//! Somebody takes all secrets of a moment: what it can read, and what not.

use super::*;
use crate::secure::frame::{HEADER_BYTES, Header};
use crate::secure::record::{Opened, Opener};

/// The records of an end, as somebody on the way sees them; they arrive.
fn tap(pair: &mut Pair, from: usize) -> Vec<Vec<u8>> {
    pair.prepare(from);
    let mut rest = pair.ends[from].channel.output().to_vec();
    let mut records = Vec::new();
    while let Some(header) = rest.first_chunk::<HEADER_BYTES>() {
        let later = rest.split_off(Header::parse(header).unwrap().wire_bytes());
        records.push(std::mem::replace(&mut rest, later));
    }
    pair.transmit(from, usize::MAX);
    pair.deliver(1 - from, usize::MAX);
    records
}

fn say(pair: &mut Pair, from: usize, text: &[u8]) -> Vec<Vec<u8>> {
    assert_eq!(pair.write(from, text), text.len());
    tap(pair, from)
}

/// Reads on with stolen secrets, as far as they go.
fn read(thief: &mut Opener, records: &[Vec<u8>]) -> Result<Vec<u8>, RecordError> {
    let mut plain = Vec::new();
    for record in records {
        let mut record = record.clone();
        if let Opened::Data(range) = thief.open(&mut record)? {
            plain.extend_from_slice(&record[range]);
        }
    }
    Ok(plain)
}

#[test]
fn a_ratchet_protects_what_was_and_a_fold_what_comes() {
    for suite in SUITES {
        for from in [DIALLER, ACCEPTOR] {
            let mut pair = Pair::new(suite, NO_LIMIT, 4);
            let early = pair.ends[from].channel.outgoing.sealer().steal();
            let before = say(&mut pair, from, b"before the ratchet");
            pair.ends[from].channel.request_rekey();
            pair.drive();
            let mut thief = pair.ends[from].channel.outgoing.sealer().steal();

            // Back: the secrets of the epoch before are gone.
            assert!(early.has_key_of(&before[0]), "an earlier thief reads it");
            assert!(!thief.has_key_of(&before[0]));

            // Forth: a ratchet alone does not help, the thief ratchets too.
            let now = say(&mut pair, from, b"now");
            assert_eq!(read(&mut thief, &now).unwrap(), b"now");
            pair.ends[from].channel.request_rekey();
            let update = tap(&mut pair, from);
            let after = say(&mut pair, from, b"after a ratchet");
            assert_eq!(read(&mut thief, &update).unwrap(), b"");
            assert_eq!(read(&mut thief, &after).unwrap(), b"after a ratchet");
            pair.transmit(1 - from, usize::MAX);
            pair.deliver(from, usize::MAX);

            for offers in [DIALLER, ACCEPTOR] {
                heals(&mut pair, from, offers);
            }
        }
    }
}

/// A fold shuts a thief out that has taken everything just before it.
fn heals(pair: &mut Pair, from: usize, offers: usize) {
    pair.advance_ms(FOLD_INTERVAL_MS_MIN);
    let mut thief = pair.ends[from].channel.outgoing.sealer().steal();
    let before = pair.folds();
    pair.ends[offers].channel.request_fold();
    let mut seen = Vec::new();
    while pair.folds() != before.map(|folds| folds + 1) {
        for end in [DIALLER, ACCEPTOR] {
            let records = tap(pair, end);
            if end == from {
                seen.extend(records);
            }
        }
    }
    // The thief reads the offer or the answer; the secret is not in it.
    let mut last = seen.pop().expect("the update that folds");
    read(&mut thief, &seen).unwrap();
    let mut guess = thief.advanced_without_fold();
    let error = thief.open(&mut last).unwrap_err();
    assert_eq!(error, RecordError::Fold(FoldError::Unasked), "it knows that it is shut out");
    let healed = say(pair, from, b"after the fold");
    assert_eq!(guess.epoch(), pair.ends[from].channel.epochs().0, "the right place");
    let error = guess.open(&mut healed[0].clone()).unwrap_err();
    assert!(matches!(error, RecordError::Forged { .. }), "{error}");
}
