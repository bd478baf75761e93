//! What happened in a topology, and what happens.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::output::Lines;
use super::watch::{Watch, over, owner_ended};
use super::{Chunk, Part, Parts, VerbError, logs};
use crate::telemetry::clock;
use crate::testbed::live::find::Found;
use crate::testbed::live::{Live, Phase};
use crate::testbed::runtime::Death;
use crate::testbed::runtime::part::{PartPlace, Place};

/// A run's clean-up has deadlines of its own; it writes its last event then.
const LAST_EVENT_DEADLINE: Duration = Duration::from_secs(130);

/// Lines on their way to who reads them.
const LINES_MAX: usize = 64;

/// Tells the events of a run that is over, or those until now.
pub(crate) async fn past(path: &Path, output: &mpsc::Sender<String>) -> Result<(), VerbError> {
    tell_file(path, None, output).await
}

/// Tells events as they come, and the end of parts at once, until the topology is
/// over and its owner has written the last.
pub(crate) async fn follow(parts: &Parts, output: &mpsc::Sender<String>) -> Result<(), VerbError> {
    let path = parts.events_file();
    let is_over = CancellationToken::new();
    let ending = async {
        let ended = over(&parts.found.directory).await;
        is_over.cancel();
        ended.map_err(|error| VerbError::failed(format!("watching the run: {error}")))?;
        let _late = timeout(LAST_EVENT_DEADLINE, last_event(parts.live())).await;
        Ok::<_, VerbError>(())
    };
    let ending = async {
        if let Err(error) = ending.await {
            tracing::warn!("{error}");
        }
    };
    let deaths = async {
        tokio::select! {
            told = deaths(parts, output) => told,
            () = is_over.cancelled() => Ok(()),
        }
    };
    let told = tell_file(&path, Some(Box::pin(ending)), output);
    tokio::try_join!(told, deaths).map(|_| ())
}

/// What stands by itself has nobody who writes after its end.
async fn last_event(live: &Live) {
    if live.phase != Phase::Up {
        owner_ended(live).await;
    }
}

async fn tell_file(
    path: &Path,
    until: Option<BoxFuture<'_, ()>>,
    output: &mpsc::Sender<String>,
) -> Result<(), VerbError> {
    let (bytes, mut chunks) = mpsc::channel::<Chunk>(LINES_MAX);
    let reading = async move {
        // Moved, so that the other side ends with it.
        let bytes = bytes;
        logs::file("", path, None, until, &bytes).await
    };
    let telling = async {
        let mut lines = Lines::default();
        while let Some(chunk) = chunks.recv().await {
            for line in lines.add(&chunk.bytes) {
                // Nobody reads: the file is read to its end for nothing.
                let _nobody = output.send(String::from_utf8_lossy(&line).into_owned()).await;
            }
        }
    };
    let (read, ()) = tokio::join!(reading, telling);
    read
}

/// Tells of each part that ends, also again after a restart.
async fn deaths(parts: &Parts, output: &mpsc::Sender<String>) -> Result<(), VerbError> {
    let directory = &parts.found.directory;
    let failed = |error: std::io::Error| VerbError::failed(format!("watching the run: {error}"));
    let changes = Watch::directory(directory).map_err(failed)?;
    let mut watched: HashMap<String, Place> = HashMap::new();
    let mut waiting = FuturesUnordered::new();
    loop {
        if let Ok(live) = Live::read(directory) {
            let now = Parts::of(Found { directory: directory.clone(), live });
            for PartPlace { name, place } in &now.live().parts {
                if watched.get(name) != Some(place) {
                    watched.insert(name.clone(), place.clone());
                    waiting.push(end(now.part(name).await?));
                }
            }
        }
        tokio::select! {
            changed = changes.changed() => changed.map_err(failed)?,
            Some((part, death)) = waiting.next() => {
                // What goes with its topology is no news.
                if let Ok(live) = Live::read(directory)
                    && live.phase != Phase::Ending
                {
                    let _nobody = output.send(died(&live, &death)).await;
                }
                if let Part::Container(container) = part {
                    waiting.push(next_end(container));
                }
            }
        }
    }
}

fn end(part: Part) -> BoxFuture<'static, (Part, Death)> {
    Box::pin(async move {
        let death = part.death().await;
        (part, death)
    })
}

/// Of a container that has to be started again first.
fn next_end(container: super::container::ContainerPart) -> BoxFuture<'static, (Part, Death)> {
    Box::pin(async move {
        if let Err(error) = logs::started(&container).await {
            tracing::debug!("{error}");
            return std::future::pending().await;
        }
        let part = Part::Container(container);
        let death = part.death().await;
        (part, death)
    })
}

/// In the form of the run's own events, among which it is not.
fn died(live: &Live, death: &Death) -> String {
    const NS_PER_MS: u64 = 1_000_000;
    let t_ms = clock::unix_ns().saturating_sub(live.started_unix_ns) / NS_PER_MS;
    json!({
        "t_ms": t_ms,
        "event": "peer_died",
        "peer": death.who,
        "how": death.how,
        "log": death.last_log_lines,
    })
    .to_string()
}

/// One event for people; a line that is none stays as it is.
pub(crate) fn human(line: &str) -> String {
    let Ok(Value::Object(mut event)) = serde_json::from_str::<Value>(line) else {
        return line.to_owned();
    };
    let t_s = event.shift_remove("t_ms").and_then(|t_ms| t_ms.as_f64()).unwrap_or_default() / 1e3;
    let name = event.shift_remove("event");
    let name = name.as_ref().and_then(Value::as_str).unwrap_or("?").to_owned();
    let log = event.shift_remove("log");
    let mut text = format!("{t_s:>10.3} s  {name:<12}{}", facts(&event));
    for line in log.iter().filter_map(Value::as_array).flatten().filter_map(Value::as_str) {
        text.push_str("\n    ");
        text.push_str(line);
    }
    text
}

fn facts(event: &Map<String, Value>) -> String {
    let value = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let facts: Vec<_> =
        event.iter().map(|(name, told)| format!(" {name}={}", value(told))).collect();
    facts.concat()
}

#[cfg(test)]
mod tests;
