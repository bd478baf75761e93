//! What tells of runs, wherever it is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::timeout;

use super::Seen;
use crate::testbed::contract::label;
use crate::testbed::gc::directories;
use crate::testbed::live::{Live, OtherSchema};
use crate::testbed::runtime::docker;
use crate::testbed::runtime::owner::OWNER_LABEL;

/// An engine that does not list what it has within this is left out, and that is
/// told: most questions are about processes, or have a directory by then.
const ENGINE_DEADLINE: Duration = Duration::from_secs(5);

/// What is known of one run before its directory is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Clue {
    run_id: String,
    owner: String,
    has_parts: bool,
}

impl Clue {
    pub(super) fn into_seen(self, directory: PathBuf) -> Seen {
        let read = Live::read(&directory);
        let other_schema = read.as_ref().err().and_then(OtherSchema::of);
        let live = read.ok();
        let run_id = live.as_ref().map_or(self.run_id, |live| live.run_id.clone());
        let owner = live.as_ref().map_or(self.owner, |live| live.owner.clone());
        Seen { directory, run_id, live, has_parts: self.has_parts, owner, other_schema }
    }
}

/// By the run's directory: those in `out`, and all that left something elsewhere.
/// With it, why the engine's are left out.
pub(super) async fn gather(out: &Path) -> (BTreeMap<PathBuf, Clue>, Option<String>) {
    let mut clues = BTreeMap::new();
    let out = out.canonicalize().unwrap_or_else(|_| out.to_owned());
    for entry in std::fs::read_dir(out).into_iter().flatten().flatten() {
        clues.insert(entry.path(), Clue::default());
    }
    for owned in directories::find(&std::env::temp_dir()) {
        let clue = Clue { run_id: owned.run_id, owner: owned.owner, has_parts: true };
        clues.insert(owned.directory.unwrap_or_default(), clue);
    }
    let late = || format!("the engine did not list what it has within {ENGINE_DEADLINE:?}");
    let labelled = timeout(ENGINE_DEADLINE, of_engine()).await;
    let unasked = match labelled.unwrap_or_else(|_| Err(late())) {
        Ok(labelled) => {
            clues.extend(labelled);
            None
        }
        Err(why) => Some(format!("{why}; does `docker ps` answer?")),
    };
    clues.remove(Path::new(""));
    (clues, unasked)
}

/// Nothing without an engine, or with one of another machine.
async fn of_engine() -> Result<Vec<(PathBuf, Clue)>, String> {
    let host = std::env::var("DOCKER_HOST").ok();
    if docker::check_ports_reach_us(host.as_deref()).is_err() {
        return Ok(Vec::new());
    }
    let Some(engine) = docker::connect_if_any().await? else { return Ok(Vec::new()) };
    let found = docker::find_all(&engine, &docker::label_filter(None)).await;
    let found = found.map_err(|error| error.to_string())?;
    let told = found.into_iter().map(|mut one| {
        let mut value = |name: &str| one.labels.remove(name).unwrap_or_default();
        let (run_id, owner) = (value(label::RUN), value(OWNER_LABEL));
        (PathBuf::from(value(label::DIRECTORY)), Clue { run_id, owner, has_parts: true })
    });
    Ok(told.collect())
}
