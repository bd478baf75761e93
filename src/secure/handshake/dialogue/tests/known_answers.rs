//! All bytes of a session under a known generator: a change of the protocol shows
//! here first, and a second implementation can be held to them.

use std::fmt::Write as _;
use std::io::IoSlice;

use super::*;
use crate::secure::channel::Event;
use crate::secure::channel::pair::drawn;

/// 32 bytes a line, in hexadecimal.
fn hex(name: &str, bytes: &[u8], into: &mut String) {
    writeln!(into, "{name}: {} bytes", bytes.len()).unwrap();
    for line in bytes.chunks(32) {
        for byte in line {
            write!(into, "{byte:02x}").unwrap();
        }
        into.push('\n');
    }
}

/// What was drawn since the last time, under the names that it has.
fn draws(names: &[&str], into: &mut String) {
    let drawn = drawn();
    assert_eq!(drawn.len(), names.len());
    for (name, bytes) in names.iter().zip(drawn) {
        hex(&format!("drawn: {name}"), &bytes, into);
    }
}

fn session(suite: SuiteChoice) -> String {
    reseed(8439);
    let identities = identities();
    let mut text = String::new();
    for (name, identity) in ["dialler", "acceptor"].into_iter().zip(&identities) {
        hex(&format!("secret key of the {name}"), identity.secret(), &mut text);
    }
    let (agreed, messages) = handshake(&identities, [suite; 2], usize::MAX).unwrap();
    let [dials, accepts] = [
        ["seed d | z of the dialler's ML-KEM key", "ephemeral key of the dialler"],
        ["message m of the ML-KEM encapsulation", "ephemeral key of the acceptor"],
    ];
    draws(&[dials, accepts].concat(), &mut text);
    for (name, message) in ["first message", "answer", "confirmation"].into_iter().zip(messages) {
        hex(name, &message, &mut text);
    }
    let [mut dialled, accepted] = agreed;
    join(&mut dialled.tickets, &identities, accepted.tickets, &mut text);
    records(&mut [dialled.channel, accepted.channel], &mut text);
    text
}

/// All types of records, each end's in their order.
fn records(channels: &mut [Channel; 2], text: &mut String) {
    let write = |channels: &mut [Channel; 2], from: usize, data: &[u8]| {
        channels[from].write(&[IoSlice::new(data)], 0).unwrap();
    };
    write(channels, DIALLER, b"abc");
    sent("data of the dialler", channels, DIALLER, text);
    write(channels, ACCEPTOR, b"abc");
    sent("data of the acceptor", channels, ACCEPTOR, text);
    channels[DIALLER].request_rekey();
    sent("key update that asks", channels, DIALLER, text);
    write(channels, DIALLER, b"def");
    sent("data of epoch 1", channels, DIALLER, text);
    sent("key update that was asked for", channels, ACCEPTOR, text);
    channels[DIALLER].request_fold();
    sent("fold offer", channels, DIALLER, text);
    sent("fold answer, key update that folds", channels, ACCEPTOR, text);
    let drawn =
        ["ephemeral key | seed d | z of the offer", "ephemeral key | message m of the answer"];
    draws(&drawn, text);
    write(channels, ACCEPTOR, b"ghi");
    sent("folded data of the acceptor", channels, ACCEPTOR, text);
    sent("key update that folds", channels, DIALLER, text);
    write(channels, DIALLER, b"jkl");
    sent("folded data of the dialler", channels, DIALLER, text);
    for (name, from) in [("dialler", DIALLER), ("acceptor", ACCEPTOR)] {
        channels[from].close().unwrap();
        sent(&format!("close of the {name}"), channels, from, text);
    }
    assert_eq!(channels.each_ref().map(Channel::folds), [1, 1]);
}

/// A further connection.
fn join(here: &mut Tickets, identities: &[Identity; 2], there: Tickets, into: &mut String) {
    let joined = |ticket, remote| Joined { ticket, remote, peer_name: String::new() };
    let dialler = identities[DIALLER].id();
    let there = std::sync::Mutex::new(there);
    let lanes: Box<Lanes> =
        Box::new(move |name| Some(joined(there.lock().unwrap().find(name)?, dialler)));
    let nobody = |_: &PeerId| None;
    let ticket = joined(here.next().unwrap(), identities[ACCEPTOR].id());
    let mut joins = Dialogue::join(local(&identities[DIALLER], CHACHA), ticket).unwrap();
    let accepts = Dialogue::accept(local(&identities[ACCEPTOR], CHACHA), &nobody);
    let mut accepts = accepts.with_lanes(&*lanes);
    let sent = joins.take_output();
    hex("join of lane 1", &sent, into);
    feed(&mut accepts, &sent, usize::MAX).unwrap();
    let answer = accepts.take_output();
    hex("its answer", &answer, into);
    feed(&mut joins, &answer, usize::MAX).unwrap();
}

/// What an end sends now; the other one takes it.
fn sent(name: &str, channels: &mut [Channel; 2], from: usize, into: &mut String) {
    channels[from].prepare_output(0).unwrap();
    let bytes = channels[from].output().to_vec();
    hex(name, &bytes, into);
    channels[from].handle_sent(bytes.len());
    let to = &mut channels[1 - from];
    to.input_room()[..bytes.len()].copy_from_slice(&bytes);
    to.handle_input(bytes.len());
    while !matches!(to.next_event(0).unwrap(), Event::Nothing | Event::End) {
        to.consume(to.data().len());
    }
}

#[test]
fn chacha20_poly1305() {
    insta::assert_snapshot!(session(CHACHA));
}

#[test]
fn aes_256_gcm() {
    insta::assert_snapshot!(session(AES));
}
