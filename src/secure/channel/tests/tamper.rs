//! Somebody on the way who works on whole records: every type, every field.

use super::*;
use crate::secure::frame::{HEADER_BYTES, Header};

/// What is done to the records of the dialling end.
#[derive(Clone, Copy, Debug)]
enum Mischief {
    None,
    Flip {
        record: usize,
        byte: usize,
        mask: u8,
    },
    Drop(usize),
    Repeat(usize),
    Swap(usize),
    /// Back to its sender as well.
    Reflect(usize),
    /// The same record of another session.
    Splice(usize),
    /// A record of epoch 0, under the header that is expected.
    Relabel(usize),
    /// All bytes up to here, counted from the beginning.
    Cut(usize),
}

/// What the dialling end sends below, in order.
const RECORDS: [&str; 11] = [
    "data",
    "update",
    "data",
    "answer",
    "update that folds",
    "data",
    "offer",
    "update that folds",
    "data",
    "empty data",
    "close",
];
const DATA: [&[u8]; 4] = [b"first", b"later", b"third", b"final"];

/// What the accepting end has seen and how it ended, and the records as they were.
struct Outcome {
    received: Vec<u8>,
    end: Result<(), RecordError>,
    /// What came out at the dialling end, and why it hears nothing more.
    echo: Vec<u8>,
    deaf: Option<RecordError>,
    records: Vec<Vec<u8>>,
}

struct Way<'a> {
    pair: Pair,
    mischief: Mischief,
    other: &'a [Vec<u8>],
    records: Vec<Vec<u8>>,
    held: Vec<u8>,
    bytes: usize,
}

impl Way<'_> {
    /// Carries whole records, the dialling end's through the mischief.
    fn drive(&mut self) {
        loop {
            let mut moved = 0;
            self.pair.prepare(DIALLER);
            while !self.pair.ends[DIALLER].channel.output().is_empty() {
                let output = self.pair.ends[DIALLER].channel.output();
                let header = Header::parse(output.first_chunk::<HEADER_BYTES>().unwrap()).unwrap();
                let record = output[..header.wire_bytes()].to_vec();
                self.pair.ends[DIALLER].channel.handle_sent(record.len());
                moved += record.len();
                self.pass(record);
            }
            moved += self.pair.deliver(ACCEPTOR, usize::MAX);
            moved += self.pair.transmit(ACCEPTOR, usize::MAX);
            moved += self.pair.deliver(DIALLER, usize::MAX);
            if moved == 0 {
                return;
            }
        }
    }

    fn say(&mut self, text: &[u8]) {
        self.pair.write(DIALLER, text);
        self.drive();
    }

    fn pass(&mut self, record: Vec<u8>) {
        let at = self.records.len();
        self.records.push(record.clone());
        let mut out = match self.mischief {
            Mischief::Flip { record: target, byte, mask } if target == at => {
                let mut changed = record;
                changed[byte] ^= mask;
                changed
            }
            Mischief::Drop(target) if target == at => Vec::new(),
            Mischief::Repeat(target) if target == at => [record.clone(), record].concat(),
            Mischief::Swap(target) if target == at => {
                self.held = record;
                return;
            }
            Mischief::Reflect(target) if target == at => {
                self.pair.ends[DIALLER].wire.extend(&record);
                record
            }
            Mischief::Splice(target) if target == at => self.other[at].clone(),
            Mischief::Relabel(target) if target == at => {
                [&record[..HEADER_BYTES], &self.records[0][HEADER_BYTES..]].concat()
            }
            _ => record,
        };
        out.append(&mut self.held);
        if let Mischief::Cut(bytes) = self.mischief {
            out.truncate(bytes.saturating_sub(self.bytes));
        }
        self.bytes += out.len();
        self.pair.ends[ACCEPTOR].wire.extend(&out);
    }
}

/// One session in which the dialling end sends every type of record.
fn session(suite: SuiteChoice, seed: u64, mischief: Mischief, other: &[Vec<u8>]) -> Outcome {
    let pair = Pair::new(suite, NO_LIMIT, seed);
    let (records, held) = (Vec::new(), Vec::new());
    let mut way = Way { pair, mischief, other, records, held, bytes: 0 };
    way.say(DATA[0]);
    way.pair.ends[DIALLER].channel.request_rekey();
    way.drive();
    way.say(DATA[1]);
    way.pair.ends[ACCEPTOR].channel.request_fold();
    way.drive();
    way.say(DATA[2]);
    way.pair.advance_ms(1_000);
    way.pair.ends[DIALLER].channel.request_fold();
    way.drive();
    way.say(DATA[3]);
    way.say(b"");
    // An end that has failed cannot close; the wire just ends.
    let _ = way.pair.ends[DIALLER].channel.close();
    way.drive();
    let end = way.pair.ends[ACCEPTOR].hang_up();
    let received = std::mem::take(&mut way.pair.ends[ACCEPTOR].received);
    let deaf = way.pair.ends[DIALLER].error;
    let echo = std::mem::take(&mut way.pair.ends[DIALLER].received);
    Outcome { received, end, echo, deaf, records: way.records }
}

fn untouched(suite: SuiteChoice) -> Vec<Vec<u8>> {
    let outcome = session(suite, 5, Mischief::None, &[]);
    outcome.end.unwrap();
    assert_eq!(outcome.received, DATA.concat());
    assert_eq!(outcome.records.len(), RECORDS.len());
    outcome.records
}

/// What may come out when all records before this one are intact.
fn data_before(record: usize) -> Vec<u8> {
    let count = RECORDS[..record].iter().filter(|name| **name == "data").count();
    DATA[..count].concat()
}

/// It is noticed, and nothing came out but what came before.
fn caught(suite: SuiteChoice, mischief: Mischief, intact: usize, other: &[Vec<u8>]) -> RecordError {
    let outcome = session(suite, 5, mischief, other);
    let Err(error) = outcome.end else { panic!("nobody noticed {mischief:?}") };
    assert_eq!(outcome.received, data_before(intact), "{mischief:?}");
    error
}

#[test]
fn every_flipped_byte_of_every_record_is_caught() {
    for suite in SUITES {
        for (record, bytes) in untouched(suite).iter().enumerate() {
            let length = bytes.len();
            for byte in 0..length {
                // Every byte of header, tag and the edges of the text; the long
                // middle of offers and answers by steps.
                let edge = byte < HEADER_BYTES + 8 || byte + 20 > length;
                if !edge && !byte.is_multiple_of(53) {
                    continue;
                }
                let mask = if byte.is_multiple_of(2) { 0x01 } else { 0x80 };
                let error = caught(suite, Mischief::Flip { record, byte, mask }, record, &[]);
                let expected = match byte {
                    // A longer length swallows what follows, or waits for it.
                    0..4 => matches!(
                        error,
                        RecordError::Length(_)
                            | RecordError::Forged { .. }
                            | RecordError::Truncated
                    ),
                    4..16 => matches!(error, RecordError::OutOfOrder { .. }),
                    _ => matches!(error, RecordError::Forged { .. }),
                };
                assert!(expected, "{} byte {byte}: {error:?}", RECORDS[record]);
            }
        }
    }
}

#[test]
fn dropped_repeated_and_swapped_records_are_caught() {
    let lost = |error| matches!(error, RecordError::OutOfOrder { .. } | RecordError::Truncated);
    for suite in SUITES {
        for record in 0..RECORDS.len() {
            let error = caught(suite, Mischief::Drop(record), record, &[]);
            assert!(lost(error), "{error:?}");
            let error = caught(suite, Mischief::Swap(record), record, &[]);
            assert!(lost(error), "{error:?}");
            let error = caught(suite, Mischief::Repeat(record), record + 1, &[]);
            let last = record + 1 == RECORDS.len();
            assert!(lost(error) || (last && error == RecordError::AfterClose), "{error:?}");
        }
    }
}

#[test]
fn records_of_another_session_or_epoch_are_caught() {
    for suite in SUITES {
        let other = session(suite, 6, Mischief::None, &[]).records;
        for record in 0..RECORDS.len() {
            let error = caught(suite, Mischief::Splice(record), record, &other);
            assert!(matches!(error, RecordError::Forged { .. }), "{error:?}");
        }
        for record in [2, 5, 8] {
            let error = caught(suite, Mischief::Relabel(record), record, &[]);
            assert!(matches!(error, RecordError::Forged { .. }), "{error:?}");
        }
    }
}

#[test]
fn a_stream_that_is_cut_at_any_byte_is_caught() {
    for suite in SUITES {
        let mut ends = Vec::new();
        for record in untouched(suite) {
            ends.push(ends.last().unwrap_or(&0) + record.len());
        }
        let total = ends[ends.len() - 1];
        // Each border between two records, and every byte of the last four.
        let tail = ends[ends.len() - 5];
        for cut in ends.iter().copied().filter(|end| *end < total).chain(tail..total) {
            let outcome = session(suite, 5, Mischief::Cut(cut), &[]);
            assert_eq!(outcome.end, Err(RecordError::Truncated), "cut at {cut}");
            let intact = ends.iter().filter(|end| **end <= cut).count();
            assert_eq!(outcome.received, data_before(intact), "cut at {cut}");
        }
    }
}

#[test]
fn reflected_data_is_caught_at_both_ends() {
    for suite in SUITES {
        let mut pair = Pair::new(suite, NO_LIMIT, 7);
        for from in [DIALLER, ACCEPTOR] {
            pair.write(from, b"to you");
            let record = pair.ends[from].channel.output().to_vec();
            pair.ends[from].wire.extend(&record);
            pair.deliver(from, usize::MAX);
            let error = pair.ends[from].error.unwrap();
            assert!(matches!(error, RecordError::Forged { epoch: 0, counter: 1 }), "{error:?}");
            assert!(pair.ends[from].received.is_empty());
        }
    }
}

#[test]
fn reflected_records_of_every_type_are_caught() {
    for suite in SUITES {
        for (record, name) in RECORDS.iter().enumerate() {
            let outcome = session(suite, 5, Mischief::Reflect(record), &[]);
            let error = outcome.deaf.expect("nobody noticed");
            let expected =
                matches!(error, RecordError::Forged { .. } | RecordError::OutOfOrder { .. });
            assert!(expected, "{name}: {error:?}");
            assert_eq!(outcome.echo, b"", "{name}");
            // It says nothing more, not even that it is over.
            let close = RECORDS.len() - 1;
            assert_eq!(outcome.end.is_ok(), record == close, "{name}");
        }
    }
}
