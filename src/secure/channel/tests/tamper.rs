//! Somebody on the way who works on whole records: every type, every field.

use super::*;
use crate::secure::channel::pair::reseed;
use crate::secure::frame::{CONTENT_TYPE_BYTES, HEADER_BYTES, Header, TAG_BYTES};

/// What is done to the records of one end.
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
    /// What another record says, of this epoch or another one, under the epoch and the
    /// counter that are expected.
    Relabel {
        record: usize,
        text_of: usize,
    },
    /// All bytes up to here, counted from the beginning.
    Cut(usize),
}

/// What the end sends below, in order.
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

/// What the other end has seen and how it ended, and the records as they were.
struct Outcome {
    received: Vec<u8>,
    end: Result<(), RecordError>,
    /// What came out at the end itself, and why it hears nothing more.
    echo: Vec<u8>,
    deaf: Option<RecordError>,
    records: Vec<Vec<u8>>,
}

struct Way<'a> {
    pair: Pair,
    /// Whose records are worked on.
    from: usize,
    mischief: Mischief,
    other: &'a [Vec<u8>],
    records: Vec<Vec<u8>>,
    held: Vec<u8>,
    bytes: usize,
}

impl Way<'_> {
    /// Carries whole records, those of one end through the mischief.
    fn drive(&mut self) {
        let (from, to) = (self.from, 1 - self.from);
        loop {
            let mut moved = 0;
            self.pair.prepare(from);
            while !self.pair.ends[from].channel.output().is_empty() {
                let output = self.pair.ends[from].channel.output();
                let header = Header::parse(output.first_chunk::<HEADER_BYTES>().unwrap()).unwrap();
                let record = output[..header.wire_bytes()].to_vec();
                self.pair.ends[from].channel.handle_sent(record.len());
                moved += record.len();
                self.pass(record);
            }
            moved += self.pair.deliver(to, usize::MAX);
            moved += self.pair.transmit(to, usize::MAX);
            moved += self.pair.deliver(from, usize::MAX);
            if moved == 0 {
                return;
            }
        }
    }

    fn say(&mut self, text: &[u8]) {
        self.pair.write(self.from, text);
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
                self.pair.ends[self.from].wire.extend(&record);
                record
            }
            Mischief::Splice(target) if target == at => self.other[at].clone(),
            Mischief::Relabel { record: target, text_of } if target == at => {
                let expected = Header::parse(record.first_chunk().unwrap()).unwrap();
                let text = &self.other[text_of][HEADER_BYTES..];
                let bytes = text.len() - TAG_BYTES;
                assert!(bytes >= CONTENT_TYPE_BYTES);
                let header = Header::new(expected.epoch, expected.counter, bytes);
                [&header.to_bytes(), text].concat()
            }
            _ => record,
        };
        out.append(&mut self.held);
        if let Mischief::Cut(bytes) = self.mischief {
            out.truncate(bytes.saturating_sub(self.bytes));
        }
        self.bytes += out.len();
        self.pair.ends[1 - self.from].wire.extend(&out);
    }
}

/// Which session: its suite, whose records are worked on, and where randomness begins.
#[derive(Clone, Copy, Debug)]
struct Which {
    suite: SuiteChoice,
    from: usize,
    seed: u64,
}

/// Both suites, both ends.
fn all() -> impl Iterator<Item = Which> {
    SUITES
        .into_iter()
        .flat_map(|suite| [DIALLER, ACCEPTOR].map(|from| Which { suite, from, seed: 5 }))
}

/// One session in which one end sends every type of record.
fn session(which: Which, mischief: Mischief, other: &[Vec<u8>]) -> Outcome {
    let pair = match mischief {
        // There are many of these, and the handshake is another test's affair.
        Mischief::Flip { .. } => {
            reseed(which.seed);
            Pair::bare(which.suite.suites()[0], NO_LIMIT)
        }
        _ => Pair::new(which.suite, NO_LIMIT, which.seed),
    };
    let (from, to) = (which.from, 1 - which.from);
    let (records, held) = (Vec::new(), Vec::new());
    let mut way = Way { pair, from, mischief, other, records, held, bytes: 0 };
    way.say(DATA[0]);
    way.pair.ends[from].channel.request_rekey();
    way.drive();
    way.say(DATA[1]);
    way.pair.ends[to].channel.request_fold();
    way.drive();
    way.say(DATA[2]);
    way.pair.advance_ms(1_000);
    way.pair.ends[from].channel.request_fold();
    way.drive();
    way.say(DATA[3]);
    way.say(b"");
    // An end that has failed cannot close; the wire just ends.
    let _ = way.pair.ends[from].channel.close();
    way.drive();
    let end = way.pair.ends[to].hang_up();
    let received = std::mem::take(&mut way.pair.ends[to].received);
    let deaf = way.pair.ends[from].error;
    let echo = std::mem::take(&mut way.pair.ends[from].received);
    Outcome { received, end, echo, deaf, records: way.records }
}

fn untouched(which: Which) -> Vec<Vec<u8>> {
    let outcome = session(which, Mischief::None, &[]);
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
fn caught(which: Which, mischief: Mischief, intact: usize, other: &[Vec<u8>]) -> RecordError {
    let outcome = session(which, mischief, other);
    let Err(error) = outcome.end else { panic!("nobody noticed {mischief:?} in {which:?}") };
    assert_eq!(outcome.received, data_before(intact), "{mischief:?} in {which:?}");
    error
}

#[test]
fn every_flipped_byte_of_every_record_is_caught() {
    for which in all() {
        for (record, bytes) in untouched(which).iter().enumerate() {
            for byte in 0..bytes.len() {
                let mask = if byte.is_multiple_of(2) { 0x01 } else { 0x80 };
                let error = caught(which, Mischief::Flip { record, byte, mask }, record, &[]);
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
    for which in all() {
        for record in 0..RECORDS.len() {
            let error = caught(which, Mischief::Drop(record), record, &[]);
            assert!(lost(error), "{error:?}");
            let error = caught(which, Mischief::Swap(record), record, &[]);
            assert!(lost(error), "{error:?}");
            let error = caught(which, Mischief::Repeat(record), record + 1, &[]);
            let last = record + 1 == RECORDS.len();
            assert!(lost(error) || (last && error == RecordError::AfterClose), "{error:?}");
        }
    }
}

#[test]
fn records_of_another_session_or_epoch_are_caught() {
    for which in all() {
        let other = untouched(Which { seed: 6, ..which });
        for record in 0..RECORDS.len() {
            let error = caught(which, Mischief::Splice(record), record, &other);
            assert!(matches!(error, RecordError::Forged { .. }), "{error:?}");
        }
        let own = untouched(which);
        for record in 0..RECORDS.len() {
            for text_of in (0..RECORDS.len()).filter(|text_of| *text_of != record) {
                let mischief = Mischief::Relabel { record, text_of };
                let error = caught(which, mischief, record, &own);
                assert!(matches!(error, RecordError::Forged { .. }), "{error:?}");
            }
        }
    }
}

#[test]
fn a_stream_that_is_cut_at_any_byte_is_caught() {
    for which in all() {
        let mut ends = Vec::new();
        for record in untouched(which) {
            ends.push(ends.last().unwrap_or(&0) + record.len());
        }
        let total = ends[ends.len() - 1];
        // Each border between two records, and every byte of the last four.
        let tail = ends[ends.len() - 5];
        for cut in ends.iter().copied().filter(|end| *end < total).chain(tail..total) {
            let outcome = session(which, Mischief::Cut(cut), &[]);
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
    for which in all() {
        for (record, name) in RECORDS.iter().enumerate() {
            let outcome = session(which, Mischief::Reflect(record), &[]);
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
