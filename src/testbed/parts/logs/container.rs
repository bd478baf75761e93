//! The engine's log of a container, also across its restarts.

use std::collections::HashMap;

use bollard::container::LogOutput;
use bollard::query_parameters::{EventsOptionsBuilder, LogsOptionsBuilder};
use bytes::Bytes;
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{LAST_WORDS_DEADLINE, Wanted};
use crate::telemetry::clock;
use crate::testbed::parts::container::ContainerPart;
use crate::testbed::parts::{self, Chunk, RunState, VerbError};

/// Tells it. Followed, it goes on when the container is started again.
pub(super) async fn tell(
    part: &ContainerPart,
    wanted: &Wanted,
    output: &mpsc::Sender<Chunk>,
) -> Result<(), VerbError> {
    let mut telling = Telling { part, output, last: String::new() };
    let mut tail = wanted.tail;
    let Some(over) = &wanted.until else { return telling.once(tail, false).await };
    if tail == Some(0) {
        // From here on, also when it is asked again.
        telling.pass_over().await?;
        tail = None;
    }
    loop {
        let told = tokio::select! {
            told = telling.once(tail, true) => Some(told),
            () = over.cancelled() => None,
        };
        let Some(told) = told else {
            // Its last words; the stream ends with the container.
            let last = telling.once(None, true);
            return timeout(LAST_WORDS_DEADLINE, last).await.unwrap_or(Ok(()));
        };
        told?;
        tail = None;
        tokio::select! {
            started = started(part) => started?,
            () = over.cancelled() => return Ok(()),
        }
    }
}

const NS_PER_S: u64 = 1_000_000_000;

/// Resolves when the container runs. Cancel-safe.
pub(in crate::testbed::parts) async fn started(part: &ContainerPart) -> Result<(), VerbError> {
    let filters = HashMap::from([
        ("type", vec!["container"]),
        ("container", vec![part.id.as_str()]),
        ("event", vec!["start"]),
    ]);
    // From before the other question on, so that a start between the two is not missed.
    let since = clock::unix_ns();
    let since = format!("{}.{:09}", since / NS_PER_S, since % NS_PER_S);
    let options = EventsOptionsBuilder::new().filters(&filters).since(&since).build();
    let mut events = std::pin::pin!(part.docker.events(Some(options)));
    let mut next = events.next();
    tokio::select! {
        biased;
        event = &mut next => return event_or_end(part, event),
        state = part.state() => if state?.running != RunState::Ended { return Ok(()) },
    }
    event_or_end(part, next.await)
}

fn event_or_end<T>(
    part: &ContainerPart,
    event: Option<Result<T, bollard::errors::Error>>,
) -> Result<(), VerbError> {
    match event {
        Some(Ok(_)) => Ok(()),
        Some(Err(error)) => Err(part.failed("waiting for the start of", &error)),
        None => Err(VerbError::failed(format!("the engine tells no more events of {}", part.name))),
    }
}

struct Telling<'a> {
    part: &'a ContainerPart,
    output: &'a mpsc::Sender<Chunk>,
    /// The engine's time of the last line that was told.
    last: String,
}

impl Telling<'_> {
    /// To the end of the log, or of the container. Cancel-safe: it goes on behind the
    /// last line that was told.
    async fn once(&mut self, tail: Option<u64>, follow: bool) -> Result<(), VerbError> {
        let mut log = self.lines(tail.filter(|_| self.last.is_empty()), follow).await?;
        let mut is_known = !self.last.is_empty();
        while let Some(bytes) = log.try_next().await? {
            let (time, line) = timed(&bytes);
            // Times of one container only grow, and have all their digits. Pieces of
            // one long line have the same.
            is_known = is_known && time <= self.last.as_str();
            if is_known {
                continue;
            }
            let chunk = Chunk {
                part: self.part.name.clone(),
                // A log is what was asked for, whichever way it was written.
                stream: parts::Stream::Stdout,
                bytes: line.to_vec(),
            };
            if self.output.send(chunk).await.is_err() {
                return Ok(());
            }
            time.clone_into(&mut self.last);
        }
        Ok(())
    }

    /// Takes what there is for told.
    async fn pass_over(&mut self) -> Result<(), VerbError> {
        let mut log = self.lines(Some(1), false).await?;
        while let Some(bytes) = log.try_next().await? {
            timed(&bytes).0.clone_into(&mut self.last);
        }
        Ok(())
    }

    /// As the engine has them, each with its time before it. It has answered by then.
    async fn lines(
        &self,
        tail: Option<u64>,
        follow: bool,
    ) -> Result<impl Stream<Item = Result<Bytes, VerbError>> + Unpin + use<>, VerbError> {
        const WHAT: &str = "reading the log of";
        let tail = tail.map_or_else(|| "all".to_owned(), |lines| lines.to_string());
        let options = LogsOptionsBuilder::new()
            .stdout(true)
            .stderr(true)
            .timestamps(true)
            .follow(follow)
            .tail(&tail)
            .build();
        let part = self.part.clone();
        let log = part.docker.logs(&part.id, Some(options));
        let failed = move |error| part.failed(WHAT, &error);
        let mut log = log.map_ok(LogOutput::into_bytes).map_err(failed).boxed();
        let first = if follow {
            // Its first line may be long in coming, so something else must be answered.
            self.part.engine_state().await?;
            None
        } else {
            self.part.answer(WHAT, log.next()).await?
        };
        Ok(stream::iter(first).chain(log))
    }
}

/// The engine's time before a line, and the line.
fn timed(bytes: &[u8]) -> (&str, &[u8]) {
    let space = bytes.iter().position(|&byte| byte == b' ').unwrap_or_default();
    let (time, line) = bytes.split_at(space);
    (std::str::from_utf8(time).unwrap_or_default(), line.strip_prefix(b" ").unwrap_or(line))
}

#[cfg(test)]
mod tests {
    use bollard::Docker;

    use super::*;

    /// Whether the log is followed or not: bounded as every verb's first answer.
    #[tokio::test(start_paused = true)]
    async fn an_engine_that_does_not_answer_is_told() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let host = format!("http://{}", silent.local_addr().unwrap());
        let docker = Docker::connect_with_http(&host, 120, bollard::API_DEFAULT_VERSION).unwrap();
        let part = ContainerPart { name: "bob".into(), id: "c".into(), docker };
        let (output, _chunks) = mpsc::channel(1);
        for until in [None, Some(tokio_util::sync::CancellationToken::new())] {
            let wanted = Wanted { tail: None, until };
            let error = tell(&part, &wanted, &output).await.unwrap_err().to_string();
            assert!(error.contains("bob: the engine did not answer within 30s"), "{error}");
        }
    }

    #[test]
    fn the_engines_time_is_taken_off_a_line() {
        let line = b"2026-01-01T00:00:00.000000001Z two words\n";
        assert_eq!(timed(line), ("2026-01-01T00:00:00.000000001Z", &b"two words\n"[..]));
        assert_eq!(timed(b"word\n"), ("", &b"word\n"[..]));
    }
}
