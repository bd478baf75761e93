//! What broken sessions and strangers leave in the log: a line each, and few at once.

use tokio::time::Instant;
use tracing::subscriber::{DefaultGuard, NoSubscriber};
use tracing::{Dispatch, Level};

use super::meddlers::{Meddling, forged, meddle, session_through};
use super::strangers::{ends_in_silence, peers_are_untouched, record_error, write_until_it_fails};
use super::*;
use crate::secure::RecordError;

/// What this thread warns of. The runtime of a test has no other thread.
struct Log {
    text: Text,
    _guard: DefaultGuard,
    /// While there is only one subscriber, tracing asks the thread that first comes to a
    /// line whether anybody wants it, and that may be the thread of another test.
    _second: Dispatch,
}

impl Log {
    fn start() -> Self {
        let text = Text::default();
        let writer = text.clone();
        let builder = tracing_subscriber::fmt().with_max_level(Level::WARN).with_ansi(false);
        let subscriber = builder.with_writer(move || writer.clone()).finish();
        let second = Dispatch::new(NoSubscriber::new());
        Self { text, _guard: tracing::subscriber::set_default(subscriber), _second: second }
    }

    /// The lines with all of these words.
    fn lines(&self, words: &[&str]) -> Vec<String> {
        let text = String::from_utf8(self.text.0.lock().unwrap().clone()).unwrap();
        text.lines()
            .filter(|line| words.iter().all(|words| line.contains(*words)))
            .map(str::to_owned)
            .collect()
    }

    /// The accepting end has told once of a session that failed, and why.
    fn assert_told_once(&self, error: RecordError) {
        let told = self.lines(&["session ", " with dialler (lane 0) failed"]);
        assert_eq!(told.len(), 1, "{told:#?}");
        assert!(told[0].contains(&error.to_string()), "{told:#?}");
    }
}

#[derive(Clone, Default)]
struct Text(Arc<Mutex<Vec<u8>>>);

impl io::Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reader and writer come to a session that has failed, several times.
async fn meet_the_failure(session: &mut SecureStream<TcpStream>) {
    for _ in 0..3 {
        assert!(session.read_u8().await.is_err());
        assert!(session.write_all(b"more").await.is_err());
        assert!(session.flush().await.is_err());
        assert!(session.shutdown().await.is_err());
    }
}

#[tokio::test]
async fn a_session_that_somebody_meddles_with_is_one_line() {
    let forgery = RecordError::Forged { epoch: 0, counter: 2 };
    let cases = [(Meddling::Say(forged(2)), forgery), (Meddling::Cut(17), RecordError::Truncated)];
    for (meddling, expected) in cases {
        let log = Log::start();
        let (daemon, mut sessions) = Daemon::start().await;
        let (mut dialled, mut accepted, tell) = session_through(&daemon, &mut sessions).await;
        meddle(&mut dialled, tell, meddling).await;
        let error = soon(accepted.read_u8()).await.unwrap_err();
        assert_eq!(record_error(&error), expected);
        meet_the_failure(&mut accepted).await;
        log.assert_told_once(expected);
    }
}

#[tokio::test]
async fn a_session_that_stalls_is_one_line() {
    let log = Log::start();
    let options = SessionOptions { stall_deadline_ms: 300, ..SessionOptions::default() };
    let (daemon, mut sessions) = Daemon::start_with(options).await;
    let (dialled, accepted) = tokio::join!(daemon.dial(), sessions.next());
    let (dialled, mut accepted) = (dialled.unwrap(), accepted.unwrap());
    let error = soon(write_until_it_fails(&mut accepted)).await;
    let expected = RecordError::Stalled { deadline_ms: 300 };
    assert_eq!(record_error(&error), expected);
    meet_the_failure(&mut accepted).await;
    log.assert_told_once(expected);
    drop(dialled);
}

#[tokio::test]
async fn a_session_that_is_closed_is_no_line() {
    let log = Log::start();
    let (daemon, mut sessions) = Daemon::start().await;
    let (dialled, accepted) = tokio::join!(daemon.dial(), sessions.next());
    let (mut dialled, mut accepted) = (dialled.unwrap(), accepted.unwrap());
    accepted.shutdown().await.unwrap();
    // This is the writer's mistake, and the session's no failure.
    assert!(accepted.write_all(b"more").await.is_err());
    let mut heard = Vec::new();
    soon(dialled.read_to_end(&mut heard)).await.unwrap();
    dialled.shutdown().await.unwrap();
    soon(accepted.read_to_end(&mut heard)).await.unwrap();
    assert!(heard.is_empty());
    assert!(accepted.write_all(b"more").await.is_err());
    drop((dialled, accepted));
    let told = log.lines(&[" failed"]);
    assert!(told.is_empty(), "{told:#?}");
}

#[tokio::test]
async fn a_scan_of_a_thousand_connections_is_eight_lines() {
    let log = Log::start();
    let (daemon, mut sessions) = Daemon::start().await;
    let began = Instant::now();
    soon(async {
        for _ in 0..1_000 {
            let mut connection = TcpStream::connect(&daemon.address).await.unwrap();
            connection.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            // Who leaves is let go at once: then it has been refused.
            connection.shutdown().await.unwrap();
            ends_in_silence(connection).await;
        }
    })
    .await;
    let told = log.lines(&["refused a connection from"]);
    // Another one every ten seconds, on a slow machine.
    let late = usize::try_from(began.elapsed().as_secs() / 10).unwrap();
    assert!((8..=8 + late).contains(&told.len()), "{told:#?}");
    peers_are_untouched(&daemon, &mut sessions).await;
}
