//! `events.ndjson`: what the run did, one JSON object a line, as it happened.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value, json};

use crate::telemetry::clock;

/// The run's history. Lines are written at once: a killed run keeps them.
#[derive(Debug)]
pub struct Events {
    file: Mutex<File>,
    start_ns: u64,
}

impl Events {
    /// Starts a history in a new file.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { file: Mutex::new(File::create(path)?), start_ns: clock::now_ns() })
    }

    /// Adds one event. `facts` must be an object. A history that cannot be
    /// written any more is reported once per event and does not end the run.
    pub fn add(&self, event: &str, facts: Value) {
        let mut line = Map::new();
        line.insert("t_ms".into(), json!((clock::now_ns() - self.start_ns) / 1_000_000));
        line.insert("event".into(), json!(event));
        if let Value::Object(facts) = facts {
            line.extend(facts);
        }
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = writeln!(file, "{}", Value::Object(line)) {
            tracing::warn!("cannot add `{event}` to the run's events: {error}");
        }
    }
}
