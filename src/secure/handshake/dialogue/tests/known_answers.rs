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
    let mut channels = agreed.map(|agreed| agreed.channel);
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
