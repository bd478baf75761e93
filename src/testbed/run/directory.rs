//! `runs/<time>-<name>/`: everything that is needed to read a result later.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;

use crate::telemetry::names;
use crate::testbed::events::Events;
use crate::testbed::live::Live;
use crate::testbed::plan::Plan;
use crate::testbed::runtime::RunContext;
use crate::testbed::topology::{Topology, resolved};

/// Names of networks, containers and volumes are made from the run id; engines
/// allow 63 characters in a host name, and we add a suffix.
const NAME_CHARS_MAX: usize = 24;

/// A run's directory and its id.
#[derive(Debug)]
pub(crate) struct RunDirectory {
    pub(crate) path: PathBuf,
    pub(crate) run_id: String,
    /// The topology's file, absolute.
    pub(crate) topology: PathBuf,
}

impl RunDirectory {
    /// Makes a new directory below `parent`, which is made too, and starts the
    /// run's events in it.
    pub(crate) fn create(parent: &Path, name: &str, topology: &Path) -> io::Result<(Self, Events)> {
        let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let time: String = now.chars().filter(char::is_ascii_digit).collect();
        let (day, second) = time.split_at(8);
        let short: String = name.chars().take(NAME_CHARS_MAX).collect();
        let random: u32 = rand::random();
        let run_id = format!("{day}-{second}-{short}-{random:08x}");
        fs::create_dir_all(parent)?;
        let parent = fs::canonicalize(parent)?;
        let topology = std::path::absolute(topology)?;
        let mut path = parent.join(format!("{day}-{second}-{name}"));
        match fs::create_dir(&path) {
            // Two runs within one second.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                path = parent.join(format!("{day}-{second}-{name}-{random:08x}"));
                fs::create_dir(&path)?;
            }
            made => made?,
        }
        // For those who have to clean up after a killed run.
        fs::write(path.join("run-id"), format!("{run_id}\n"))?;
        let events = Events::create(&path.join("events.ndjson"))?;
        Ok((Self { path, run_id, topology }, events))
    }

    /// The directory of a topology that stands.
    pub(crate) fn of(path: PathBuf, live: &Live) -> Self {
        Self { path, run_id: live.run_id.clone(), topology: live.file.clone() }
    }

    /// What runtimes need to know of it.
    pub(crate) fn context(&self, outlives: bool) -> RunContext {
        RunContext {
            run_id: self.run_id.clone(),
            directory: self.path.clone(),
            log_filter: std::env::var(names::environment::LOG).unwrap_or_else(|_| "info".into()),
            outlives,
        }
    }

    /// Writes what is to be done, as it was understood.
    pub(crate) fn write_inputs(&self, topology: &Topology, plan: &Plan) -> io::Result<()> {
        self.write_text("resolved.yaml", &resolved(topology))?;
        self.write_json("plan.json", plan)
    }

    /// Writes a file of the directory.
    pub(crate) fn write_text(&self, name: &str, text: &str) -> io::Result<()> {
        fs::write(self.path.join(name), text)
    }

    /// Writes a file of the directory as indented JSON.
    pub(crate) fn write_json(&self, name: &str, value: &impl Serialize) -> io::Result<()> {
        let mut text = serde_json::to_string_pretty(value)?;
        text.push('\n');
        self.write_text(name, &text)
    }
}
