use super::*;
use crate::secure::Refusal;
use crate::secure::channel::pair::{
    ACCEPTOR, DIALLER, NO_LIMIT, feed, handshake, identities, local, reseed,
};
use crate::secure::identity::Identity;
use crate::secure::record::RecordError;
use crate::secure::suite::{Suite, SuiteChoice};

mod joins;
mod known_answers;

const CHACHA: SuiteChoice = SuiteChoice::Only(Suite::ChaCha20Poly1305);
const AES: SuiteChoice = SuiteChoice::Only(Suite::Aes256Gcm);

/// The dialling end's side of a handshake that nobody has begun.
fn dials(identities: &[Identity; 2], suites: SuiteChoice) -> Dialogue<'_> {
    let remote = identities[ACCEPTOR].id();
    Dialogue::dial(local(&identities[DIALLER], suites), remote, "acceptor").unwrap()
}

/// The accepting end's, for whoever is `known`.
fn accepts<'a>(
    identities: &'a [Identity; 2],
    suites: SuiteChoice,
    known: &'a Known,
) -> Dialogue<'a> {
    Dialogue::accept(local(&identities[ACCEPTOR], suites), known)
}

/// Everybody is.
fn anybody(_: &PeerId) -> Option<String> {
    Some("dialler".to_owned())
}

#[test]
fn however_it_is_cut_the_same_is_said() {
    let mut said = Vec::new();
    for chunk_bytes in [1, 7, 33, 1000, usize::MAX] {
        reseed(1);
        let (agreed, messages) = handshake(&identities(), [CHACHA; 2], chunk_bytes).unwrap();
        assert_eq!(agreed[DIALLER].peer_name, "acceptor");
        assert_eq!(agreed[ACCEPTOR].peer_name, "dialler");
        said.push(messages);
    }
    assert!(said.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn a_suite_is_what_both_have() {
    reseed(2);
    let identities = identities();
    let suite = |dialler, acceptor| {
        let (agreed, _) = handshake(&identities, [dialler, acceptor], usize::MAX)?;
        let suites = agreed.map(|agreed| agreed.channel.suite());
        assert_eq!(suites[0], suites[1]);
        Ok::<_, HandshakeError>(suites[0])
    };
    assert_eq!(suite(CHACHA, CHACHA).unwrap(), Suite::ChaCha20Poly1305);
    assert_eq!(suite(AES, AES).unwrap(), Suite::Aes256Gcm);
    assert_eq!(suite(SuiteChoice::Auto, CHACHA).unwrap(), Suite::ChaCha20Poly1305);
    assert_eq!(suite(CHACHA, SuiteChoice::Auto).unwrap(), Suite::ChaCha20Poly1305);
    let auto = suite(SuiteChoice::Auto, SuiteChoice::Auto).unwrap();
    assert_eq!(auto, SuiteChoice::Auto.suites()[0], "the best that this processor has");
    let error = suite(CHACHA, AES).unwrap_err();
    assert!(matches!(error, HandshakeError::Refuses { reason: Refusal::Suite, .. }), "{error}");
}

/// A handshake with somebody on the way who changes one byte of a message: whether
/// either end comes to hold a session.
fn with_a_flip(message: usize, byte: usize, mask: u8) -> [Result<(), HandshakeError>; 2] {
    reseed(3);
    let identities = identities();
    let mut dials = dials(&identities, SuiteChoice::Auto);
    let mut accepts = accepts(&identities, SuiteChoice::Auto, &anybody);
    let flip = |at: usize, mut bytes: Vec<u8>| {
        if at == message {
            bytes[byte] ^= mask;
        }
        bytes
    };
    let mut outcome = [Ok(()), Ok(())];
    outcome[ACCEPTOR] = feed(&mut accepts, &flip(0, dials.take_output()), usize::MAX);
    outcome[DIALLER] = feed(&mut dials, &flip(1, accepts.take_output()), usize::MAX);
    if outcome[ACCEPTOR].is_ok() {
        outcome[ACCEPTOR] = feed(&mut accepts, &flip(2, dials.take_output()), usize::MAX);
    }
    for (outcome, dialogue) in outcome.iter_mut().zip([dials, accepts]) {
        let agreed = dialogue.finish(NO_LIMIT, 0).is_some();
        if outcome.is_ok() && !agreed {
            *outcome = Err(HandshakeError::Closed);
        }
    }
    outcome
}

/// Whoever changes a byte, also one of the suites and versions on offer, leaves the
/// accepting end without a session, so that nothing is served under a weaker one.
#[test]
fn a_downgrade_fails_and_so_does_every_other_change() {
    reseed(3);
    let (_, messages) = handshake(&identities(), [SuiteChoice::Auto; 2], usize::MAX).unwrap();
    for (message, bytes) in messages.iter().enumerate() {
        for byte in 0..bytes.len() {
            let outcome = with_a_flip(message, byte, 0x01);
            assert!(outcome[ACCEPTOR].is_err(), "message {message}, byte {byte}");
            // What the accepting end says last, the dialling end has already checked.
            assert!(message == 2 || outcome[DIALLER].is_err(), "message {message}, byte {byte}");
        }
    }
}

#[test]
fn a_replayed_session_ends_unconfirmed_and_unserved() {
    reseed(4);
    let identities = identities();
    let (_, [hello, _, confirmation]) = handshake(&identities, [CHACHA; 2], usize::MAX).unwrap();
    for _ in 0..3 {
        let mut accepts = accepts(&identities, CHACHA, &anybody);
        feed(&mut accepts, &hello, usize::MAX).unwrap();
        let error = feed(&mut accepts, &confirmation, usize::MAX).unwrap_err();
        assert!(
            matches!(
                error,
                HandshakeError::NotConfirmed(RecordError::Forged { epoch: 0, counter: 0 })
            ),
            "{error}"
        );
        assert!(accepts.finish(NO_LIMIT, 0).is_none());
    }
}

#[test]
fn a_confirmation_that_says_more_is_no_confirmation() {
    reseed(5);
    let identities = identities();
    let mut accepts = accepts(&identities, CHACHA, &anybody);
    let mut dials = dials(&identities, CHACHA);
    feed(&mut accepts, &dials.take_output(), usize::MAX).unwrap();
    feed(&mut dials, &accepts.take_output(), usize::MAX).unwrap();
    let mut agreed = dials.finish(NO_LIMIT, 0).unwrap();
    // A close in place of the empty record: authentic, and not what is due.
    agreed.channel.close().unwrap();
    let error = feed(&mut accepts, agreed.channel.output(), usize::MAX).unwrap_err();
    assert!(matches!(error, HandshakeError::NotConfirmed(_)), "{error}");
}

/// Whoever sees only the bytes, or replays a first message, cannot tell who is known.
#[test]
fn a_refusal_is_as_long_as_an_acceptance_and_a_removed_peer_is_a_stranger() {
    reseed(6);
    let identities = identities();
    let dialler = identities[DIALLER].id();
    let nobody: Box<Known> = Box::new(|_| None);
    let known: Box<Known> = Box::new(move |id| (*id == dialler).then(|| "dialler".to_owned()));
    let stranger = Identity::generate().unwrap();
    let remote = identities[ACCEPTOR].id();
    for suites in [CHACHA, AES] {
        let said = |identity, known: &Known, theirs| {
            let mut dials = Dialogue::dial(local(identity, suites), remote, "acceptor").unwrap();
            let mut accepts = accepts(&identities, theirs, known);
            let accepted = feed(&mut accepts, &dials.take_output(), usize::MAX);
            let answer = accepts.take_output();
            let dialled = feed(&mut dials, &answer, usize::MAX);
            assert_eq!(accepted.is_ok(), dialled.is_ok());
            (answer.len(), dialled.err().map(|error| error.to_string()))
        };
        let accepted = said(&identities[DIALLER], &*known, suites);
        assert_eq!(accepted.1, None);
        let unknown = HandshakeError::Refused(Refusal::UnknownPeer).to_string();
        for refused in [
            said(&identities[DIALLER], &*nobody, suites),
            said(&stranger, &*nobody, suites),
            said(&stranger, &*known, suites),
        ] {
            assert_eq!(refused, (accepted.0, Some(unknown.clone())));
        }
        let other = if suites == AES { CHACHA } else { AES };
        let refused = said(&identities[DIALLER], &*known, other);
        assert_eq!(
            refused,
            (accepted.0, Some(HandshakeError::Refused(Refusal::Suite).to_string()))
        );
    }
}

/// Until the last byte is there, there is nothing: no session, and no answer.
#[test]
fn a_handshake_that_is_cut_at_any_byte_is_nothing() {
    reseed(7);
    let identities = identities();
    let mut accepts = accepts(&identities, CHACHA, &anybody);
    let mut dials = dials(&identities, CHACHA);
    let pass = |from: &mut Dialogue<'_>, to: &mut Dialogue<'_>| {
        for (at, byte) in from.take_output().iter().enumerate() {
            assert!(to.wanted() > 0, "over at byte {at}");
            assert!(to.take_output().is_empty(), "an answer at byte {at}");
            to.handle_input(&[*byte]).unwrap();
        }
    };
    pass(&mut dials, &mut accepts);
    pass(&mut accepts, &mut dials);
    pass(&mut dials, &mut accepts);
    assert!(accepts.finish(NO_LIMIT, 0).is_some() && dials.finish(NO_LIMIT, 0).is_some());
}

/// Messages out of order, of the other end, or of another handshake.
#[test]
fn messages_that_are_not_the_next_are_errors() {
    reseed(8);
    let identities = identities();
    let (_, first) = handshake(&identities, [CHACHA; 2], usize::MAX).unwrap();
    let (_, second) = handshake(&identities, [CHACHA; 2], usize::MAX).unwrap();
    let [hello, answer, confirmation] = &first;
    for wrong in [answer, confirmation] {
        let mut accepts = accepts(&identities, CHACHA, &anybody);
        assert!(feed(&mut accepts, wrong, usize::MAX).is_err());
        assert!(accepts.take_output().is_empty());
    }
    let own = dials(&identities, CHACHA).take_output();
    for wrong in [hello, confirmation, &second[1], &own] {
        let mut dials = dials(&identities, CHACHA);
        dials.take_output();
        assert!(feed(&mut dials, wrong, usize::MAX).is_err());
        assert!(dials.take_output().is_empty());
    }
    for wrong in [hello, &second[2], &answer[answer.len() - CONFIRMATION_BYTES..].to_vec()] {
        let mut accepts = accepts(&identities, CHACHA, &anybody);
        feed(&mut accepts, hello, usize::MAX).unwrap();
        assert!(feed(&mut accepts, wrong, usize::MAX).is_err());
        assert!(accepts.finish(NO_LIMIT, 0).is_none());
    }
}
