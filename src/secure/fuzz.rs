//! What is fuzzed, as functions of bytes: `tests/fuzz` gives them to libFuzzer, and
//! a test gives them seeded mutations of a corpus, on a stable compiler.
//!
//! They are not in the product: this module is there for tests and fuzzers only.

use super::channel::pair::{ACCEPTOR, DIALLER, NO_LIMIT, Pair, feed, identities, local, reseed};
use super::frame::RECORD_WIRE_BYTES_MAX;
use super::handshake::dialogue::Dialogue;
use super::identity::PeerId;
use super::rekey::RekeyLimits;
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

/// A handshake in which somebody on the way changes bytes, or says all of it.
///
/// # Panics
/// When the accepting end comes to hold a session that was changed.
pub fn handshake(data: &[u8]) {
    let mut input = Input(data);
    reseed(1);
    let identities = identities();
    let known = |_: &PeerId| Some("dialler".to_owned());
    let suites = SuiteChoice::Only(suite(&mut input));
    let mut accepts = Dialogue::accept(local(&identities[ACCEPTOR], suites), &known);
    let chunk_bytes = usize::from(input.byte()) + 1;
    if input.byte() & 1 == 0 {
        // Raw bytes: with no key of ours nothing but an error comes of it.
        let ended = feed(&mut accepts, input.0, chunk_bytes);
        assert!(ended.is_err() || accepts.wanted() > 0, "a session out of nothing");
        assert!(accepts.take_output().is_empty() || ended.is_err());
        return;
    }
    let remote = identities[ACCEPTOR].id();
    let Ok(mut dials) = Dialogue::dial(local(&identities[DIALLER], suites), remote, "acceptor")
    else {
        return;
    };
    let mut changed = false;
    let mut change = |said: Vec<u8>| {
        let mut bytes = said.clone();
        for _ in 0..input.byte() & 3 {
            let (at, mask) = (input.number(), input.byte());
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= mask;
            }
        }
        changed |= bytes != said;
        bytes
    };
    let hello = change(dials.take_output());
    let accepted = feed(&mut accepts, &hello, chunk_bytes);
    let answer = change(accepts.take_output());
    let dialled = feed(&mut dials, &answer, chunk_bytes);
    let confirmation = change(dials.take_output());
    let confirmed = feed(&mut accepts, &confirmation, chunk_bytes);
    let agreed = accepts.finish(NO_LIMIT, 0).is_some();
    assert_eq!(agreed, !changed, "{accepted:?} {dialled:?} {confirmed:?}");
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
/// When data comes out that was not said, or more is answered than is bounded.
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
        if input.byte() & 1 == 1 {
            // Sizes that are right, so that more than the size is looked at.
            payload.resize([0, count, 5, 0, 1216, 1120, 0, 0][usize::from(content)], 9);
        }
        if content == 1 && pair.ends[1 - from].error.is_none() && !pair.ends[1 - from].ended {
            said.extend_from_slice(&payload);
        }
        let mut record = Vec::new();
        pair.ends[from].channel.force_any(content, &payload, &mut record);
        pair.ends[1 - from].wire.extend(&record);
        pair.deliver(1 - from, usize::MAX);
        pair.prepare(1 - from);
        let waiting = pair.ends[1 - from].channel.output().len();
        assert!(waiting <= 2 * RECORD_WIRE_BYTES_MAX, "answers pile up");
    }
    let received = &pair.ends[1 - from].received;
    assert!(said.starts_with(received), "other data came out");
}

/// Two honest ends: writes, cuts, rekeys, folds, closes and time in any order.
///
/// # Panics
/// When a byte is lost, or an end fails.
pub fn updates(data: &[u8]) {
    let mut input = Input(data);
    let suite = suite(&mut input);
    reseed(3);
    let limits = RekeyLimits {
        records: u64::from(input.byte() % 8) + 1,
        interval_ms: u64::from(input.byte()) + 1,
        fold_interval_ms: u64::from(input.byte()) + 50,
        ..NO_LIMIT
    };
    let mut pair = Pair::bare(suite, limits);
    let mut sent = [Vec::new(), Vec::new()];
    let mut folds_left = 8;
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
