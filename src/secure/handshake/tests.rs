use super::super::entropy;
use super::super::fold::KEM_KEY_BYTES;
use super::super::identity::KEY_BYTES;
use super::message::Type;
use super::*;

fn local(identity: &Identity) -> Local<'_> {
    Local { identity, suites: SuiteChoice::Auto, entropy: entropy::system }
}

fn accept(responder: Responder) -> (Established, Vec<u8>) {
    let answered = responder.answer(true).unwrap();
    assert_eq!(answered.refusal, None);
    (answered.established, answered.body)
}

fn pair() -> (Identity, Identity) {
    (Identity::generate().unwrap(), Identity::generate().unwrap())
}

fn start(identity: &Identity, remote: &Identity) -> (Initiator, Vec<u8>) {
    Initiator::start(local(identity), remote.id()).unwrap()
}

#[test]
fn both_ends_agree_and_know_each_other() {
    let (a, b) = pair();
    let (initiator, hello) = start(&a, &b);
    let responder = Responder::read(local(&b), &hello).unwrap();
    assert_eq!(responder.remote(), a.id());
    let (there, answer) = accept(responder);
    let here = initiator.finish(&answer).unwrap();
    assert_eq!((here.remote, there.remote), (b.id(), a.id()));
    assert_eq!(here.send.0, there.receive.0);
    assert_eq!(here.receive.0, there.send.0);
    assert_ne!(here.send.0, here.receive.0, "a record could be reflected");
    assert!(hello.len() <= BODY_BYTES_MAX && answer.len() <= BODY_BYTES_MAX);
}

#[test]
fn no_two_sessions_share_a_secret_not_even_a_replayed_one() {
    let (a, b) = pair();
    let (_, hello) = start(&a, &b);
    let (first, _) = accept(Responder::read(local(&b), &hello).unwrap());
    let (second, _) = accept(Responder::read(local(&b), &hello).unwrap());
    assert_ne!(first.send.0, second.send.0);
    assert_ne!(first.receive.0, second.receive.0);
}

#[test]
fn only_the_dialled_key_can_read_or_answer() {
    let (a, b) = pair();
    let stranger = Identity::generate().unwrap();
    let (initiator, hello) = start(&a, &b);
    let error = Responder::read(local(&stranger), &hello).unwrap_err();
    assert!(matches!(error, HandshakeError::NotForUs), "{error}");
    // The stranger was dialled by somebody else and reuses that answer.
    let (_, other_hello) = start(&a, &stranger);
    let (_, answer) = accept(Responder::read(local(&stranger), &other_hello).unwrap());
    let error = initiator.finish(&answer).unwrap_err();
    assert!(matches!(error, HandshakeError::NotFromRemote), "{error}");
}

#[test]
fn every_changed_byte_of_the_first_message_is_noticed() {
    let (a, b) = pair();
    let (_, hello) = start(&a, &b);
    for at in (0..hello.len()).step_by(7).chain([hello.len() - 1]) {
        let mut changed = hello.clone();
        changed[at] ^= 0x80;
        let error = Responder::read(local(&b), &changed).unwrap_err();
        assert!(matches!(error, HandshakeError::NotForUs), "byte {at}: {error}");
    }
}

#[test]
fn every_changed_byte_of_the_answer_is_noticed() {
    let (a, b) = pair();
    let (_, hello) = start(&a, &b);
    let (_, answer) = accept(Responder::read(local(&b), &hello).unwrap());
    for at in (0..answer.len()).step_by(61).chain([answer.len() - 1]) {
        let (initiator, hello) = start(&a, &b);
        let (_, mut changed) = accept(Responder::read(local(&b), &hello).unwrap());
        changed[at] ^= 0x80;
        let error = initiator.finish(&changed).unwrap_err();
        assert!(matches!(error, HandshakeError::NotFromRemote), "byte {at}: {error}");
    }
}

#[test]
fn short_messages_are_errors() {
    let (a, b) = pair();
    let (_, hello) = start(&a, &b);
    for bytes in [0, 1, KEY_BYTES, 2 * KEY_BYTES, hello.len() - 1] {
        Responder::read(local(&b), &hello[..bytes]).unwrap_err();
    }
    let (initiator, _) = start(&a, &b);
    initiator.finish(&[]).unwrap_err();
}

/// What the responder makes of this payload of a first message.
fn offered(payload: &[u8]) -> Result<Option<Refusal>, HandshakeError> {
    let (a, b) = pair();
    let remote = b.id();
    let builder = local(&a).noise().unwrap().remote_public_key(remote.as_bytes()).unwrap();
    let mut noise = builder.build_initiator().unwrap();
    let body = write(&mut noise, payload).unwrap();
    Ok(Responder::read(local(&b), &body)?.answer(true).unwrap().refusal)
}

#[test]
fn what_we_do_not_have_is_refused_and_nonsense_is_an_error() {
    let kem_key = [0; KEM_KEY_BYTES];
    let with_key = |names: &[u8]| offered(&[names, &kem_key].concat());
    assert!(with_key(&[1, 1, 1, 1]).unwrap().is_none());
    assert!(with_key(&[2, 9, 1, 3, 9, 1, 2]).unwrap().is_none(), "the unknown is passed over");
    assert_eq!(with_key(&[1, 2, 1, 1]).unwrap(), Some(Refusal::Version));
    assert_eq!(with_key(&[0, 1, 1]).unwrap(), Some(Refusal::Version));
    assert_eq!(with_key(&[1, 1, 1, 0xee]).unwrap(), Some(Refusal::Suite));
    assert_eq!(with_key(&[1, 1, 0]).unwrap(), Some(Refusal::Suite));
    for nonsense in [&[][..], &[1], &[1, 1], &[1, 1, 1, 1, 0, 0], &[200, 1]] {
        assert!(matches!(offered(nonsense), Err(HandshakeError::Malformed)));
    }
    // FIPS 203 section 7.2: a key whose coefficients are not reduced is no key.
    let unreduced = [&[1, 1, 1, 1][..], &[0xff; KEM_KEY_BYTES]].concat();
    assert!(matches!(offered(&unreduced), Err(HandshakeError::Malformed)));
}

#[test]
fn a_refusal_is_as_long_as_an_answer() {
    let (a, b) = pair();
    let (initiator, hello) = start(&a, &b);
    let body = |welcome| {
        let responder = Responder::read(local(&b), &hello).unwrap();
        responder.answer(welcome).unwrap().body
    };
    let refusal = body(false);
    assert_eq!(refusal.len(), body(true).len());
    let error = initiator.finish(&refusal).unwrap_err();
    assert!(matches!(error, HandshakeError::Refused(Refusal::UnknownPeer)), "{error}");
}

#[test]
fn a_choice_that_was_not_offered_is_not_taken() {
    let (a, b) = pair();
    for (suites, chosen) in
        [(Suite::ChaCha20Poly1305, Suite::Aes256Gcm), (Suite::Aes256Gcm, Suite::ChaCha20Poly1305)]
    {
        let only = Local { suites: SuiteChoice::Only(suites), ..local(&a) };
        let (initiator, hello) = Initiator::start(only, b.id()).unwrap();
        let mut responder = Responder::read(local(&b), &hello).unwrap();
        responder.suite = Ok(chosen);
        let (_, answer) = accept(responder);
        let error = initiator.finish(&answer).unwrap_err();
        assert!(matches!(error, HandshakeError::NotOffered), "{error}");
    }
}

#[test]
fn message_headers_are_checked_before_the_body() {
    let header =
        |bytes: [u8; 8]| message::decode_header(bytes, &[Type::Initiate]).map(|(_, length)| length);
    assert_eq!(header(*b"drop\x01\x01\x00\x05").unwrap(), 5);
    assert!(matches!(header(*b"GET / HT"), Err(HandshakeError::NotOurProtocol)));
    assert!(matches!(header(*b"drop\x02\x01\0\x05"), Err(HandshakeError::Layout { theirs: 2 })));
    assert!(matches!(header(*b"drop\x01\x02\0\x05"), Err(HandshakeError::Malformed)));
    assert!(matches!(header(*b"drop\x01\x01\0\0"), Err(HandshakeError::Malformed)));
    assert_eq!(header(*b"drop\x01\x01\x08\x00").unwrap(), BODY_BYTES_MAX);
    let error = header(*b"drop\x01\x01\x08\x01").unwrap_err();
    assert!(matches!(error, HandshakeError::TooLong { length: 2049 }), "{error}");
}
