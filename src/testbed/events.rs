//! `events.ndjson`: what the run did, one JSON object a line, as it happened.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value, json};

use crate::telemetry::clock;

/// The run's history. Lines are written at once: a killed run keeps them. Each is
/// one write at the end of the file, so that other processes can add theirs.
#[derive(Debug)]
pub struct Events {
    file: Mutex<File>,
    start_ns: u64,
    /// How long the run had lasted when this was opened.
    before_ns: u64,
}

impl Events {
    /// Starts a history in a new file.
    ///
    /// # Errors
    /// When the file cannot be created, or is there already.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = File::options().append(true).create_new(true).open(path)?;
        Ok(Self { file: Mutex::new(file), start_ns: clock::now_ns(), before_ns: 0 })
    }

    /// Goes on with the history of a run that another process began at
    /// `started_unix_ns`, nanoseconds since 1970.
    ///
    /// # Errors
    /// When there is no such file, or it cannot be written.
    pub fn join(path: &Path, started_unix_ns: u64) -> io::Result<Self> {
        let file = File::options().append(true).open(path)?;
        let before_ns = clock::unix_ns().saturating_sub(started_unix_ns);
        Ok(Self { file: Mutex::new(file), start_ns: clock::now_ns(), before_ns })
    }

    /// Time zero of the history, in nanoseconds since 1970: what
    /// [`Events::join`] goes on from.
    pub fn started_unix_ns(&self) -> u64 {
        clock::unix_ns() - (clock::now_ns() - self.start_ns) - self.before_ns
    }

    /// Adds one event. `facts` must be an object. A history that cannot be
    /// written any more is reported once per event and does not end the run.
    pub fn add(&self, event: &str, facts: Value) {
        let mut line = Map::new();
        line.insert(
            "t_ms".into(),
            json!((clock::now_ns() - self.start_ns + self.before_ns) / 1_000_000),
        );
        line.insert("event".into(), json!(event));
        if let Value::Object(facts) = facts {
            line.extend(facts);
        }
        let line = format!("{}\n", Value::Object(line));
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.write_all(line.as_bytes()) {
            tracing::warn!("cannot add `{event}` to the run's events: {error}");
        }
    }
}

#[cfg(test)]
mod tests;
