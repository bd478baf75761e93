//! All bytes of a session under a known generator: a change of the protocol shows
//! here first, and a second implementation can be held to them.

use std::fmt::Write as _;
use std::io::IoSlice;

use super::*;

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

fn session(suite: SuiteChoice) -> String {
    reseed(8439);
    let identities = identities();
    let mut text = String::new();
    for (name, identity) in ["dialler", "acceptor"].into_iter().zip(&identities) {
        hex(&format!("secret key of the {name}"), identity.secret(), &mut text);
    }
    let (agreed, messages) = handshake(&identities, [suite; 2], usize::MAX).unwrap();
    for (name, message) in ["first message", "answer", "confirmation"].into_iter().zip(messages) {
        hex(name, &message, &mut text);
    }
    let [mut dialled, accepted] = agreed;
    join(&mut dialled.tickets, &identities, accepted.tickets, &mut text);
    let mut channels = [dialled.channel, accepted.channel];
    for (name, channel) in ["dialler", "acceptor"].into_iter().zip(&mut channels) {
        channel.write(&[IoSlice::new(b"abc")], 0).unwrap();
        sent(&format!("data of the {name}"), channel, &mut text);
    }
    channels[DIALLER].request_rekey();
    channels[DIALLER].prepare_output(0).unwrap();
    sent("key update that asks", &mut channels[DIALLER], &mut text);
    channels[DIALLER].write(&[IoSlice::new(b"def")], 0).unwrap();
    sent("data of epoch 1", &mut channels[DIALLER], &mut text);
    channels[DIALLER].request_fold();
    channels[DIALLER].prepare_output(0).unwrap();
    sent("fold offer", &mut channels[DIALLER], &mut text);
    channels[DIALLER].close().unwrap();
    sent("close", &mut channels[DIALLER], &mut text);
    text
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

/// What an end sends now.
fn sent(name: &str, channel: &mut Channel, into: &mut String) {
    hex(name, channel.output(), into);
    channel.handle_sent(channel.output().len());
}

#[test]
fn chacha20_poly1305() {
    insta::assert_snapshot!(session(CHACHA));
}

#[test]
fn aes_256_gcm() {
    insta::assert_snapshot!(session(AES));
}
