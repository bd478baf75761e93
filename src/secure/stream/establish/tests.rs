use tokio::io::{DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio::sync::mpsc;
use tokio::time::sleep_until;

use super::*;
use crate::secure::handshake::Refusal;
use crate::secure::handshake::message::{self, Type};

const WIRE_BYTES: usize = 64 * 1024;

fn terms() -> Terms {
    Terms {
        rekey: RekeyLimits::default(),
        suites: SuiteChoice::Auto,
        provider: Provider::default(),
        handshake_deadline_ms: 5_000,
        stall_deadline_ms: 60_000,
        account: Account::new(),
        complaints: Arc::default(),
    }
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
    async fn accept(
        &self,
        io: DuplexStream,
    ) -> Result<SecureStream<DuplexStream>, Rejected<DuplexStream>> {
        let dialler = self.dialler.id();
        let known = move |id: &PeerId| (*id == dialler).then(|| "dialler".to_owned());
        accept(io, &self.listener, &known, &|_| None, terms()).await
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

/// Both ends of a handshake that is refused or ignored: their errors.
async fn refused(
    dialler: &Identity,
    remote: PeerId,
    ends: &Ends,
    suites: SuiteChoice,
) -> (HandshakeError, HandshakeError) {
    let (a, b) = duplex(WIRE_BYTES);
    let terms = Terms { suites, ..terms() };
    let accept = async {
        let rejected = ends.accept(b).await.unwrap_err();
        let Rejected { error, io, until } = rejected;
        Rejected { error: HandshakeError::Closed, io, until }.ignore().await;
        error
    };
    let (dialled, accepted) = tokio::join!(connect(a, dialler, remote, "listener", terms), accept);
    (dialled.unwrap_err(), accepted)
}

#[tokio::test(start_paused = true)]
async fn a_wrong_pinned_id_hears_nothing_until_the_deadline() {
    let ends = Ends::new();
    let other = Identity::generate().unwrap();
    let began = Instant::now();
    let (error, there) = refused(&ends.dialler, other.id(), &ends, SuiteChoice::Auto).await;
    assert!(matches!(error, HandshakeError::TimedOut { .. } | HandshakeError::Closed), "{error}");
    assert!(matches!(there, HandshakeError::NotForUs), "{there}");
    assert_eq!(began.elapsed().as_millis(), 5_000);
}

#[tokio::test(start_paused = true)]
async fn who_knows_our_id_is_told_why_under_keys() {
    let ends = Ends::new();
    let stranger = Identity::generate().unwrap();
    let (error, there) = refused(&stranger, ends.listener.id(), &ends, SuiteChoice::Auto).await;
    assert!(matches!(error, HandshakeError::Refused(Refusal::UnknownPeer)), "{error}");
    assert!(error.to_string().starts_with("the peer refuses: "));
    let reason = Refusal::UnknownPeer;
    assert!(
        matches!(there, HandshakeError::Refuses { remote, reason: why }
            if remote == stranger.id() && why == reason),
        "{there}"
    );
}

#[tokio::test(start_paused = true)]
async fn silence_ends_at_the_deadline_at_both_ends() {
    let ends = Ends::new();
    let (a, _silent) = duplex(WIRE_BYTES);
    let error = ends.accept(a).await.unwrap_err().error;
    assert!(matches!(error, HandshakeError::TimedOut { deadline_ms: 5_000 }), "{error}");
    let (a, _silent) = duplex(WIRE_BYTES);
    let error = ends.connect(a, ends.listener.id()).await.unwrap_err();
    assert!(matches!(error, HandshakeError::TimedOut { deadline_ms: 5_000 }), "{error}");
}

/// How the accepting end takes a dialling end that says `bytes` and no more: its
/// error, what it answers, and when it closes the connection.
async fn hear(bytes: &[u8]) -> (HandshakeError, Vec<u8>, Duration) {
    let ends = Ends::new();
    let (mut a, b) = duplex(WIRE_BYTES);
    a.write_all(bytes).await.unwrap();
    let began = Instant::now();
    let accept = async {
        let Rejected { error, io, until } = ends.accept(b).await.unwrap_err();
        Rejected { error: HandshakeError::Closed, io, until }.ignore().await;
        error
    };
    let listen = async {
        let mut answer = Vec::new();
        a.read_to_end(&mut answer).await.unwrap();
        (answer, began.elapsed())
    };
    let (error, (answer, after)) = tokio::join!(accept, listen);
    (error, answer, after)
}

#[tokio::test(start_paused = true)]
async fn a_scanner_sees_the_same_whatever_it_says() {
    let garbage = message::encode(Type::Initiate, &[0x5a; 1300]);
    type Expected = fn(&HandshakeError) -> bool;
    let cases: [(&[u8], Expected); 9] = [
        (b"", |e| matches!(e, HandshakeError::TimedOut { .. })),
        (b"GET / HTTP/1.1\r\n\r\n", |e| matches!(e, HandshakeError::NotOurProtocol)),
        (b"drop\x01", |e| matches!(e, HandshakeError::TimedOut { .. })),
        // Too long or empty: known from the header, without waiting for the body.
        (b"drop\x01\x01\xff\xff", |e| matches!(e, HandshakeError::TooLong { length: 65535 })),
        (b"drop\x01\x01\x00\x00", |e| matches!(e, HandshakeError::Malformed)),
        (b"drop\x01\x01\x05\x00half", |e| matches!(e, HandshakeError::TimedOut { .. })),
        (b"drop\x01\x02\x00\x01x", |e| matches!(e, HandshakeError::Malformed)),
        (b"drop\x07\x01\x00\x01x", |e| matches!(e, HandshakeError::Layout { theirs: 7 })),
        (&garbage, |e| matches!(e, HandshakeError::NotForUs)),
    ];
    for (bytes, expected) in cases {
        let (error, answer, after) = hear(bytes).await;
        assert!(expected(&error), "{error}");
        assert!(answer.is_empty(), "{error}: a scanner is answered");
        assert_eq!(after.as_millis(), 5_000, "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_endless_first_message_is_neither_kept_nor_waited_for() {
    let ends = Ends::new();
    let (mut a, b) = duplex(WIRE_BYTES);
    let flood = async {
        let mut sent = 0;
        while a.write_all(&[b'x'; 1024]).await.is_ok() {
            sent += 1024;
        }
        sent
    };
    let accept = async { ends.accept(b).await.unwrap_err().ignore().await };
    let (sent, ()) = tokio::join!(flood, accept);
    assert!(sent <= IGNORED_BYTES_MAX + WIRE_BYTES + 4096, "{sent}");
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
    let error = ends.accept(a).await.unwrap_err().error;
    assert!(matches!(error, HandshakeError::Closed), "{error}");
}

const HALF_RTT: Duration = Duration::from_millis(100);

/// Carries bytes one way; what it reads at once comes out at once, half a round trip later.
fn delay(mut from: ReadHalf<DuplexStream>, mut to: WriteHalf<DuplexStream>) {
    let (under_way, mut arriving) = mpsc::channel::<(Instant, Vec<u8>)>(64);
    tokio::spawn(async move {
        let mut bytes = [0; WIRE_BYTES];
        while let Ok(count @ 1..) = from.read(&mut bytes).await {
            let due = Instant::now() + HALF_RTT;
            if under_way.send((due, bytes[..count].to_vec())).await.is_err() {
                return;
            }
        }
    });
    tokio::spawn(async move {
        while let Some((due, bytes)) = arriving.recv().await {
            sleep_until(due).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
}

/// The two ends of a connection that is a round trip long.
fn far_apart() -> [DuplexStream; 2] {
    let (here, near_here) = duplex(WIRE_BYTES);
    let (there, near_there) = duplex(WIRE_BYTES);
    let (from_here, to_here) = split(near_here);
    let (from_there, to_there) = split(near_there);
    delay(from_here, to_there);
    delay(from_there, to_here);
    [here, there]
}

#[tokio::test(start_paused = true)]
async fn the_first_request_leaves_after_one_round_trip() {
    let ends = Ends::new();
    let [here, there] = far_apart();
    let began = Instant::now();
    // Timers are late by less than a millisecond each.
    let ways = || began.elapsed().as_millis() / HALF_RTT.as_millis();
    let dials = async {
        let mut dialled = ends.connect(here, ends.listener.id()).await.unwrap();
        assert_eq!(ways(), 2, "there and back, after those of TCP");
        dialled.write_all(b"request").await.unwrap();
        dialled.flush().await.unwrap();
        dialled
    };
    let accepts = async {
        let mut accepted = ends.accept(there).await.unwrap();
        let mut heard = [0; 7];
        accepted.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"request");
        assert_eq!(ways(), 3, "the request waits for nothing more");
        accepted
    };
    tokio::join!(dials, accepts);
}
