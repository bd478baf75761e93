use tokio::io::{DuplexStream, duplex};

use super::*;
use crate::secure::record::RecordError;

const WIRE_BYTES: usize = 64 * 1024;

fn terms() -> Terms {
    Terms { rekey: RekeyLimits::default(), handshake_deadline_ms: 5_000, account: Account::new() }
}

struct Ends {
    dialler: Identity,
    listener: Identity,
}

impl Ends {
    fn new() -> Self {
        Self { dialler: Identity::generate().unwrap(), listener: Identity::generate().unwrap() }
    }

    async fn connect(
        &self,
        io: DuplexStream,
        remote: PeerId,
    ) -> Result<SecureStream<DuplexStream>, HandshakeError> {
        connect(io, &self.dialler, remote, "listener", terms()).await
    }

    /// Knows the dialler only.
    async fn accept(&self, io: DuplexStream) -> Result<SecureStream<DuplexStream>, HandshakeError> {
        let dialler = self.dialler.id();
        let known = move |id: &PeerId| (*id == dialler).then(|| "dialler".to_owned());
        accept(io, &self.listener, &known, terms()).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_names_both_ends_and_carries_bytes() {
    let ends = Ends::new();
    let (a, b) = duplex(WIRE_BYTES);
    let (dialled, accepted) = tokio::join!(ends.connect(a, ends.listener.id()), ends.accept(b));
    let (mut dialled, mut accepted) = (dialled.unwrap(), accepted.unwrap());
    let (here, there) = (dialled.handle(), accepted.handle());
    assert_eq!((here.peer_id(), here.peer_name()), (ends.listener.id(), "listener"));
    assert_eq!((there.peer_id(), there.peer_name()), (ends.dialler.id(), "dialler"));
    assert!(here.dialled() && !there.dialled());
    assert_ne!(here.session_id(), there.session_id());
    accepted.write_all(b"hello").await.unwrap();
    accepted.shutdown().await.unwrap();
    let mut heard = String::new();
    dialled.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "hello");
}

#[tokio::test(start_paused = true)]
async fn the_wrong_pinned_id_is_told_at_both_ends() {
    let ends = Ends::new();
    let (a, b) = duplex(WIRE_BYTES);
    let other = Identity::generate().unwrap();
    let (dialled, accepted) = tokio::join!(ends.connect(a, other.id()), ends.accept(b));
    let error = dialled.unwrap_err();
    assert!(matches!(error, HandshakeError::Refused(Refusal::NotForMe)), "{error}");
    assert!(error.to_string().starts_with("the peer says: "));
    assert!(matches!(accepted.unwrap_err(), HandshakeError::NotForUs));
}

#[tokio::test(start_paused = true)]
async fn a_stranger_is_told_and_gets_nothing_else() {
    let ends = Ends::new();
    let stranger = Identity::generate().unwrap();
    let (a, b) = duplex(WIRE_BYTES);
    let (dialled, accepted) = tokio::join!(
        connect(a, &stranger, ends.listener.id(), "listener", terms()),
        ends.accept(b)
    );
    let error = dialled.unwrap_err();
    assert!(matches!(error, HandshakeError::Refused(Refusal::UnknownPeer)), "{error}");
    let error = accepted.unwrap_err();
    assert!(
        matches!(error, HandshakeError::UnknownPeer { remote } if remote == stranger.id()),
        "{error}"
    );

    let (mut a, b) = duplex(WIRE_BYTES);
    let (_, hello) = Initiator::start(&stranger, ends.listener.id()).unwrap();
    let hello = message::encode(Type::Initiate, &hello);
    let (accepted, answer) = tokio::join!(ends.accept(b), async {
        a.write_all(&hello).await.unwrap();
        let mut answer = Vec::new();
        a.read_to_end(&mut answer).await.unwrap();
        answer
    });
    accepted.unwrap_err();
    assert_eq!(answer, message::refusal(Refusal::UnknownPeer));
}

#[tokio::test(start_paused = true)]
async fn silence_ends_at_the_deadline_at_both_ends() {
    let ends = Ends::new();
    let (a, _silent) = duplex(WIRE_BYTES);
    let error = ends.accept(a).await.unwrap_err();
    assert!(matches!(error, HandshakeError::TimedOut { deadline_ms: 5_000 }), "{error}");
    let (a, _silent) = duplex(WIRE_BYTES);
    let error = ends.connect(a, ends.listener.id()).await.unwrap_err();
    assert!(matches!(error, HandshakeError::TimedOut { deadline_ms: 5_000 }), "{error}");
}

/// What the accepting end says to a dialling end that says `bytes` and no more.
async fn hear(bytes: &[u8]) -> (HandshakeError, Vec<u8>) {
    let ends = Ends::new();
    let (mut a, b) = duplex(WIRE_BYTES);
    a.write_all(bytes).await.unwrap();
    let error = ends.accept(b).await.unwrap_err();
    let mut answer = Vec::new();
    a.read_to_end(&mut answer).await.unwrap();
    (error, answer)
}

#[tokio::test(start_paused = true)]
async fn whoever_does_not_speak_the_protocol_gets_no_answer() {
    let (error, answer) = hear(b"GET / HTTP/1.1\r\n\r\n").await;
    assert!(matches!(error, HandshakeError::NotOurProtocol), "{error}");
    assert!(answer.is_empty());
    // Too long: known from the header, without waiting for the body.
    let (error, answer) = hear(b"drop\x01\x01\xff\xff").await;
    assert!(matches!(error, HandshakeError::TooLong { length: 65535 }), "{error}");
    assert!(answer.is_empty());
    // A message that never ends is cut off by the deadline.
    let (error, _) = hear(b"drop\x01\x01\x05\x00half").await;
    assert!(matches!(error, HandshakeError::TimedOut { .. }), "{error}");
    // Garbage of a plausible form.
    let garbage = message::encode(Type::Initiate, &[0x5a; 1300]);
    let (error, answer) = hear(&garbage).await;
    assert!(matches!(error, HandshakeError::NotForUs), "{error}");
    assert_eq!(answer, message::refusal(Refusal::NotForMe));
}

#[tokio::test(start_paused = true)]
async fn another_version_is_told() {
    let (error, answer) = hear(b"drop\x07\x01\x00\x01x").await;
    assert!(matches!(error, HandshakeError::Version { theirs: 7 }), "{error}");
    assert_eq!(answer, message::refusal(Refusal::Version));
}

#[tokio::test(start_paused = true)]
async fn a_replayed_session_ends_unconfirmed_and_unserved() {
    let ends = Ends::new();
    // The true session, as somebody on the way records it.
    let (initiator, body) = Initiator::start(&ends.dialler, ends.listener.id()).unwrap();
    let hello = message::encode(Type::Initiate, &body);
    let (mut a, b) = duplex(WIRE_BYTES);
    let dialler = async {
        a.write_all(&hello).await.unwrap();
        let (_, answer) = receive(&mut a).await.unwrap();
        let mut keys = Keys::new(initiator.finish(&answer).unwrap());
        confirmed(&mut a, &mut keys.opener).await.unwrap();
        let confirmation = keys.confirmation().unwrap();
        a.write_all(&confirmation).await.unwrap();
        confirmation
    };
    let (accepted, confirmation) = tokio::join!(ends.accept(b), dialler);
    accepted.unwrap();

    let (mut replayer, b) = duplex(WIRE_BYTES);
    replayer.write_all(&[hello, confirmation].concat()).await.unwrap();
    let error = ends.accept(b).await.unwrap_err();
    let unconfirmed = HandshakeError::NotConfirmed(RecordError::Forged { epoch: 0, counter: 0 });
    assert_eq!(error.to_string(), unconfirmed.to_string());
}

#[tokio::test(start_paused = true)]
async fn a_hang_up_in_the_middle_is_an_error() {
    let ends = Ends::new();
    let (a, b) = duplex(WIRE_BYTES);
    drop(b);
    let error = ends.connect(a, ends.listener.id()).await.unwrap_err();
    assert!(matches!(error, HandshakeError::Closed | HandshakeError::Io(_)), "{error}");
    let (a, b) = duplex(WIRE_BYTES);
    drop(b);
    let error = ends.accept(a).await.unwrap_err();
    assert!(matches!(error, HandshakeError::Closed), "{error}");
}
