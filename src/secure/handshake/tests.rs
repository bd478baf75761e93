use super::super::identity::KEY_BYTES;
use super::*;

fn pair() -> (Identity, Identity) {
    (Identity::generate().unwrap(), Identity::generate().unwrap())
}

fn start(identity: &Identity, remote: &Identity) -> (Initiator, Vec<u8>) {
    Initiator::start(identity, remote.id()).unwrap()
}

#[test]
fn both_ends_agree_and_know_each_other() {
    let (a, b) = pair();
    let (initiator, hello) = start(&a, &b);
    let responder = Responder::read(&b, &hello).unwrap();
    assert_eq!(responder.remote(), a.id());
    let (there, answer) = responder.accept().unwrap();
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
    let (first, _) = Responder::read(&b, &hello).unwrap().accept().unwrap();
    let (second, _) = Responder::read(&b, &hello).unwrap().accept().unwrap();
    assert_ne!(first.send.0, second.send.0);
    assert_ne!(first.receive.0, second.receive.0);
}

#[test]
fn only_the_dialled_key_can_read_or_answer() {
    let (a, b) = pair();
    let stranger = Identity::generate().unwrap();
    let (initiator, hello) = start(&a, &b);
    let error = Responder::read(&stranger, &hello).unwrap_err();
    assert!(matches!(error, HandshakeError::NotForUs), "{error}");
    // The stranger was dialled by somebody else and reuses that answer.
    let (_, other_hello) = start(&a, &stranger);
    let (_, answer) = Responder::read(&stranger, &other_hello).unwrap().accept().unwrap();
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
        let error = Responder::read(&b, &changed).unwrap_err();
        assert!(matches!(error, HandshakeError::NotForUs), "byte {at}: {error}");
    }
}

#[test]
fn every_changed_byte_of_the_answer_is_noticed() {
    let (a, b) = pair();
    let (_, hello) = start(&a, &b);
    let (_, answer) = Responder::read(&b, &hello).unwrap().accept().unwrap();
    for at in (0..answer.len()).step_by(61).chain([answer.len() - 1]) {
        let (initiator, hello) = start(&a, &b);
        let (_, mut changed) = Responder::read(&b, &hello).unwrap().accept().unwrap();
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
        Responder::read(&b, &hello[..bytes]).unwrap_err();
    }
    let (initiator, _) = start(&a, &b);
    initiator.finish(&[]).unwrap_err();
}

#[test]
fn a_suite_that_we_do_not_have_is_not_taken() {
    let (a, b) = pair();
    let offer = |offer: &[u8]| {
        let mut noise = builder(&a)
            .unwrap()
            .remote_public_key(b.id().as_bytes())
            .unwrap()
            .build_initiator()
            .unwrap();
        Responder::read(&b, &write(&mut noise, offer).unwrap()).unwrap_err()
    };
    let mut unknown = vec![1, 0xee];
    unknown.extend([0; KEM_KEY_BYTES]);
    assert!(matches!(offer(&unknown), HandshakeError::NoCommonSuite));
    assert!(matches!(offer(&[1, 1, 0, 0]), HandshakeError::Malformed));
    assert!(matches!(offer(&[200, 1]), HandshakeError::Malformed));
    assert!(matches!(offer(&[]), HandshakeError::Malformed));
    // FIPS 203 section 7.2: a key whose coefficients are not reduced is no key.
    let mut unreduced = vec![1, 1];
    unreduced.extend([0xff; KEM_KEY_BYTES]);
    assert!(matches!(offer(&unreduced), HandshakeError::Malformed));
}

#[test]
fn message_headers_are_checked_before_the_body() {
    let header = |bytes: [u8; 8]| message::decode_header(bytes);
    assert_eq!(header(*b"drop\x01\x01\x00\x05").unwrap(), (message::Type::Initiate, 5));
    assert!(matches!(header(*b"GET / HT"), Err(HandshakeError::NotOurProtocol)));
    assert!(matches!(header(*b"drop\x02\x01\0\0"), Err(HandshakeError::Version { theirs: 2 })));
    assert!(matches!(header(*b"drop\x01\x09\0\0"), Err(HandshakeError::Malformed)));
    let longest = header(*b"drop\x01\x01\x08\x00").unwrap();
    assert_eq!(longest.1, BODY_BYTES_MAX);
    let error = header(*b"drop\x01\x01\x08\x01").unwrap_err();
    assert!(matches!(error, HandshakeError::TooLong { length: 2049 }), "{error}");
}
