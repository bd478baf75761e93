//! The engine's log of a container, also across its restarts.

use std::collections::HashMap;

use bollard::query_parameters::{EventsOptionsBuilder, LogsOptionsBuilder};
use futures::StreamExt as _;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{LAST_WORDS_DEADLINE, Wanted};
use crate::testbed::parts::container::ContainerPart;
use crate::testbed::parts::{Chunk, RunState, Stream, VerbError};

/// Tells it. Followed, it goes on when the container is started again.
pub(super) async fn tell(
    part: &ContainerPart,
    wanted: &Wanted,
    output: &mpsc::Sender<Chunk>,
) -> Result<(), VerbError> {
    let mut telling = Telling { part, output, last: String::new() };
    let Some(over) = &wanted.until else { return telling.once(wanted.tail, false).await };
    let mut tail = wanted.tail;
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

/// Resolves when the container runs. Cancel-safe.
pub(in crate::testbed::parts) async fn started(part: &ContainerPart) -> Result<(), VerbError> {
    let filters = HashMap::from([
        ("type", vec!["container"]),
        ("container", vec![part.id.as_str()]),
        ("event", vec!["start"]),
    ]);
    let options = EventsOptionsBuilder::new().filters(&filters).build();
    let mut events = std::pin::pin!(part.docker.events(Some(options)));
    let mut next = events.next();
    // Asked first, so that a start between the two questions is not missed.
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
        let tail = tail.filter(|_| self.last.is_empty());
        let tail = tail.map_or_else(|| "all".to_owned(), |lines| lines.to_string());
        let options = LogsOptionsBuilder::new()
            .stdout(true)
            .stderr(true)
            .timestamps(true)
            .follow(follow)
            .tail(&tail)
            .build();
        let mut log = std::pin::pin!(self.part.docker.logs(&self.part.id, Some(options)));
        while let Some(output) = log.next().await {
            let output = output.map_err(|error| self.part.failed("reading the log of", &error))?;
            let bytes = output.into_bytes();
            let (time, line) = timed(&bytes);
            // Times of one container only grow, and have all their digits.
            if !self.last.is_empty() && time <= self.last.as_str() {
                continue;
            }
            let chunk = Chunk {
                part: self.part.name.clone(),
                // A log is what was asked for, whichever way it was written.
                stream: Stream::Stdout,
                bytes: line.to_vec(),
            };
            if self.output.send(chunk).await.is_err() {
                return Ok(());
            }
            time.clone_into(&mut self.last);
        }
        Ok(())
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
    use super::timed;

    #[test]
    fn the_engines_time_is_taken_off_a_line() {
        let line = b"2026-01-01T00:00:00.000000001Z two words\n";
        assert_eq!(timed(line), ("2026-01-01T00:00:00.000000001Z", &b"two words\n"[..]));
        assert_eq!(timed(b"word\n"), ("", &b"word\n"[..]));
    }
}
