//! What is fuzzed, as functions of bytes: `tests/fuzz` gives them to libFuzzer, and
//! a test gives them seeded mutations of a corpus, on a stable compiler.
//!
//! They are not in the product: this module is there for tests and fuzzers only.

use std::sync::Mutex;

use super::channel::pair::{ACCEPTOR, DIALLER, NO_LIMIT, Pair, feed, identities, local, reseed};
use super::handshake::dialogue::{Dialogue, Joined, Known, Lanes};
use super::identity::Identity;
use super::lane::Tickets;
use super::record::{CONTROL_WIRE_BYTES_MAX, Sealed};
use super::rekey::{RekeyLimits, SECRET_BYTES, Secret};
use super::suite::{Suite, SuiteChoice};

/// Takes numbers off the front of the input; zeros when it is used up.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    fn number(&mut self) -> usize {
        usize::from(u16::from_be_bytes([self.byte(), self.byte()]))
    }

    fn bytes(&mut self, count: usize) -> &[u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn suite(input: &mut Input<'_>) -> Suite {
    Suite::ALL[usize::from(input.byte() & 1)]
}

fn suite_index(suite: Suite) -> usize {
    Suite::ALL.iter().position(|one| *one == suite).expect("all are there")
}

/// What is said in an honest handshake of each suite: first message, answer,
/// confirmation. The same each time, so one end of it is enough to change what it hears.
struct Honest {
    identities: [Identity; 2],
    said: [[Vec<u8>; 3]; 2],
}

/// Where the randomness of each end begins.
const DIALLER_SEED: u64 = 11;
const ACCEPTOR_SEED: u64 = 12;

impl Honest {
    fn new() -> Self {
        reseed(1);
        let identities = identities();
        let said = Suite::ALL.map(|suite| {
            let suites = SuiteChoice::Only(suite);
            let known = known(&identities);
            let mut dials = dial(&identities, suites);
            let mut accepts = accept(&identities, suites, &*known);
            let hello = dials.take_output();
            feed(&mut accepts, &hello, usize::MAX).expect("nobody changes it");
            let answer = accepts.take_output();
            feed(&mut dials, &answer, usize::MAX).expect("nobody changes it");
            [hello, answer, dials.take_output()]
        });
        Self { identities, said }
    }
}

fn known(identities: &[Identity; 2]) -> Box<Known> {
    let dialler = identities[DIALLER].id();
    Box::new(move |id| (*id == dialler).then(|| "dialler".to_owned()))
}

fn dial(identities: &[Identity; 2], suites: SuiteChoice) -> Dialogue<'_> {
    reseed(DIALLER_SEED);
    let remote = identities[ACCEPTOR].id();
    let local = local(&identities[DIALLER], suites);
    Dialogue::dial(local, remote, "acceptor").expect("the generator gives and the key is one")
}

fn accept<'a>(
    identities: &'a [Identity; 2],
    suites: SuiteChoice,
    known: &'a Known,
) -> Dialogue<'a> {
    reseed(ACCEPTOR_SEED);
    Dialogue::accept(local(&identities[ACCEPTOR], suites), known)
}

/// Some bytes of a message as somebody on the way would have them; whether they differ.
fn change(input: &mut Input<'_>, said: &[u8]) -> (Vec<u8>, bool) {
    let mut bytes = said.to_vec();
    for _ in 0..input.byte() & 3 {
        let (at, mask) = (input.number(), input.byte());
        // Within the message: most numbers are far beyond it.
        if let Some(byte) = bytes.get_mut(at % said.len().max(1)) {
            *byte ^= mask;
        }
    }
    let changed = bytes != said;
    (bytes, changed)
}

/// One end of a handshake, to which somebody on the way says something else, or all of
/// it: as a stranger, in each message, and in the join of a further connection.
///
/// # Panics
/// When that end comes to hold a session all the same.
pub fn handshake(data: &[u8]) {
    thread_local!(static HONEST: Honest = Honest::new());
    HONEST.with(|honest| change_handshake(honest, &mut Input(data)));
}

fn change_handshake(honest: &Honest, input: &mut Input<'_>) {
    let suite = suite(input);
    let suites = SuiteChoice::Only(suite);
    let known = known(&honest.identities);
    let [hello, answer, confirmation] = &honest.said[suite_index(suite)];
    let chunk_bytes = usize::from(input.byte()) + 1;
    let mut accepts = accept(&honest.identities, suites, &*known);
    let (end, changed) = match input.byte() % 5 {
        0 => {
            // Raw bytes: with no key of ours nothing but an error comes of it.
            let ended = feed(&mut accepts, input.0, chunk_bytes);
            assert!(ended.is_err() || accepts.wanted() > 0, "a session out of nothing");
            assert!(accepts.take_output().is_empty() || ended.is_err());
            return;
        }
        1 => {
            let (hello, changed) = change(input, hello);
            let answered = feed(&mut accepts, &hello, chunk_bytes).is_ok();
            assert!(changed || (answered && accepts.take_output() == *answer));
            // An error ends it; what is waited for may come.
            drop(feed(&mut accepts, confirmation, chunk_bytes));
            (accepts, changed)
        }
        2 => {
            let (answer, changed) = change(input, answer);
            let mut dials = dial(&honest.identities, suites);
            drop(feed(&mut dials, &answer, chunk_bytes));
            (dials, changed)
        }
        3 => {
            feed(&mut accepts, hello, chunk_bytes).expect("nobody changes it");
            let (confirmation, changed) = change(input, confirmation);
            drop(feed(&mut accepts, &confirmation, chunk_bytes));
            (accepts, changed)
        }
        _ => return change_join(honest, suite, input),
    };
    let agreed = end.finish(NO_LIMIT, 0).is_some();
    assert_eq!(agreed, !changed);
}

fn change_join(honest: &Honest, suite: Suite, input: &mut Input<'_>) {
    let tickets = || Tickets::derive(suite, &Secret::new([4; SECRET_BYTES]));
    let [remote, other] = [ACCEPTOR, DIALLER].map(|end| honest.identities[end].id());
    let joined = |ticket, remote| Joined { ticket, remote, peer_name: String::new() };
    let suites = SuiteChoice::Only(suite);
    let theirs = Mutex::new(tickets());
    let lanes: Box<Lanes> =
        Box::new(move |name| Some(joined(theirs.lock().ok()?.find(name)?, other)));
    let ticket = tickets().next().expect("none is used");
    let local_end = local(&honest.identities[DIALLER], suites);
    let mut joins = Dialogue::join(local_end, joined(ticket, remote)).expect("a new key seals");
    let nobody: Box<Known> = Box::new(|_| None);
    let mut accepts = accept(&honest.identities, suites, &*nobody).with_lanes(&*lanes);
    let (said, changed) = change(input, &joins.take_output());
    drop(feed(&mut accepts, &said, usize::MAX));
    let (answer, answer_changed) = change(input, &accepts.take_output());
    drop(feed(&mut joins, &answer, usize::MAX));
    assert_eq!(accepts.finish(NO_LIMIT, 0).is_some(), !changed);
    assert_eq!(joins.finish(NO_LIMIT, 0).is_some(), !changed && !answer_changed);
}

/// Bytes of somebody without keys, in any pieces.
///
/// # Panics
/// When anything comes out.
pub fn deframer(data: &[u8]) {
    let mut input = Input(data);
    let mut pair = Pair::bare(suite(&mut input), NO_LIMIT);
    while !input.is_empty() {
        let count = usize::from(input.byte());
        let bytes = input.bytes(count).to_vec();
        pair.ends[ACCEPTOR].wire.extend(&bytes);
        pair.deliver(ACCEPTOR, usize::MAX);
    }
    let end = &mut pair.ends[ACCEPTOR];
    assert!(end.received.is_empty() && !end.ended, "something out of nothing");
    assert!(end.hang_up().is_err(), "the end of the stream was taken for a close");
    assert!(end.channel.failure().is_some());
}

/// A peer with valid keys that says anything.
///
/// # Panics
/// When data comes out that was not said, or does not without an error, or more is
/// answered than is bounded.
pub fn opener(data: &[u8]) {
    let mut input = Input(data);
    let suite = suite(&mut input);
    let from = usize::from(input.byte() & 1);
    reseed(2);
    let mut pair = Pair::bare(suite, NO_LIMIT);
    let mut said = Vec::new();
    while !input.is_empty() {
        pair.now_ns = pair.now_ns.wrapping_add(u64::from(input.byte()) << 20);
        let (content, count) = (input.byte() % 8, input.number() % 2_000);
        let mut payload = input.bytes(count).to_vec();
        let sizes = input.byte();
        if sizes & 1 == 1 {
            // Sizes that are right, so that more than the size is looked at.
            payload.resize([0, count, 5, 0, 1216, 1120, 0, 0][usize::from(content)], 9);
        }
        if content == 1 && pair.ends[1 - from].error.is_none() && !pair.ends[1 - from].ended {
            said.extend_from_slice(&payload);
        }
        let mut record = Sealed::default();
        pair.ends[from].channel.force_any(content, &payload, &mut record);
        pair.ends[1 - from].wire.extend(&*record);
        pair.deliver(1 - from, usize::MAX);
        pair.prepare(1 - from);
        let channel = &mut pair.ends[1 - from].channel;
        let answers = channel.output().len();
        assert!(answers <= CONTROL_WIRE_BYTES_MAX, "answers pile up");
        // The transport takes them, or not yet.
        if sizes & 2 == 0 {
            channel.handle_sent(answers);
        }
    }
    let end = &pair.ends[1 - from];
    assert!(said.starts_with(&end.received), "other data came out");
    assert!(end.error.is_some() || end.received.len() == said.len(), "data is lost in silence");
}

/// Two honest ends: writes, cuts, rekeys, folds, closes and time in any order.
///
/// # Panics
/// When a byte is lost, or an end fails.
pub fn updates(data: &[u8]) {
    let mut input = Input(data);
    let suite = suite(&mut input);
    reseed(3);
    let mut limits = RekeyLimits {
        records: u64::from(input.byte() % 8) + 1,
        interval_ms: u64::from(input.byte()) + 1,
        ..NO_LIMIT
    };
    // A fold takes as long as all the rest: few inputs have any.
    let folds = input.byte();
    let mut folds_left = 0;
    if folds % 32 == 10 {
        limits.fold_interval_ms = u64::from(folds) + 50;
        folds_left = 8;
    }
    let mut pair = Pair::bare(suite, limits);
    let mut sent = [Vec::new(), Vec::new()];
    while !input.is_empty() {
        let (step, value) = (input.byte(), input.number());
        let end = usize::from(step >> 7);
        match step % 8 {
            0 | 1 => {
                let bytes = vec![step; value % 3_000 + 1];
                let written = pair.write(end, &bytes);
                sent[end].extend_from_slice(&bytes[..written]);
            }
            2 => drop(pair.transmit(end, value)),
            3 => drop(pair.deliver(end, value)),
            4 => pair.ends[end].channel.request_rekey(),
            5 if folds_left > 0 => {
                folds_left -= 1;
                pair.ends[end].channel.request_fold();
            }
            6 => pair.advance_ms(value as u64 % 256),
            // Nothing more is written then; what is on its way goes on.
            7 if value == 7 => drop(pair.ends[end].channel.close()),
            _ => pair.drive(),
        }
    }
    pair.drive();
    pair.epochs();
    for end in [DIALLER, ACCEPTOR] {
        assert_eq!(pair.ends[end].error, None);
        assert!(pair.ends[end].received == sent[1 - end], "bytes were lost");
    }
}

#[cfg(test)]
mod tests;
