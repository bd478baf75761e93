//! Which topologies there are, and how they stand.

use std::path::{Path, PathBuf};

use futures::future::join_all;
use serde::Serialize;

use crate::telemetry::clock;
use crate::testbed::live::Phase;
use crate::testbed::live::find::{Found, Looked, OUT_DEFAULT, Seen, look};
use crate::testbed::parts::{Part, PartState, Parts, RunState};
use crate::testbed::result::{Outcome, RunResult};
use crate::testbed::runtime::owner::Liveness;

/// One topology among all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Overview {
    pub(crate) name: String,
    pub(crate) run_id: String,
    /// Empty where nothing tells it.
    pub(crate) runtime: String,
    pub(crate) phase: Standing,
    /// None when not all could be asked.
    pub(crate) peers_running: Option<usize>,
    pub(crate) peers: usize,
    pub(crate) links: usize,
    /// None before its links are made, and when it is over.
    pub(crate) age_ms: Option<u64>,
    /// Of a run that is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) outcome: Option<Outcome>,
    pub(crate) directory: PathBuf,
}

/// How a topology stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Standing {
    /// Its parts are being started, or removed.
    Changing,
    /// Its scenario goes on.
    Measuring,
    /// Its scenario is over.
    Held,
    /// Until `dropbed down`.
    Up,
    /// Its owner has ended without removing it.
    Dead,
    /// Its owner is of another pid namespace.
    Unknown,
    /// There is only its result.
    Over,
}

/// Everything live or left over, newest first; with `all`, also runs that are over.
/// Their order is that of their start. With it, why some may be missing.
pub(crate) async fn overview(out: Option<&Path>, all: bool) -> (Vec<Overview>, Option<String>) {
    let Looked { seen, unasked } = look(out).await;
    let looks = seen.iter().filter(|seen| is_shown(seen)).map(one);
    let mut views = join_all(looks).await;
    if all {
        let mut over = over(out.unwrap_or_else(|| Path::new(OUT_DEFAULT)));
        over.retain(|one| views.iter().all(|view| view.run_id != one.run_id));
        views.extend(over);
    }
    (views, unasked)
}

/// A file that a killed run left is nothing any more when its parts are gone.
fn is_shown(seen: &Seen) -> bool {
    seen.liveness() != Liveness::Gone || seen.has_parts
}

async fn one(seen: &Seen) -> Overview {
    let phase = match (seen.liveness(), &seen.live) {
        (Liveness::Gone, _) => Standing::Dead,
        (Liveness::Unknown, _) => Standing::Unknown,
        (Liveness::Alive, None) => Standing::Changing,
        (Liveness::Alive, Some(live)) => match live.phase {
            Phase::Measuring => Standing::Measuring,
            Phase::Held => Standing::Held,
            Phase::Up => Standing::Up,
            Phase::Ending => Standing::Changing,
        },
    };
    let mut view = Overview {
        name: seen.name(),
        run_id: seen.run_id.clone(),
        runtime: String::new(),
        phase,
        peers_running: Some(0),
        peers: 0,
        links: 0,
        age_ms: None,
        outcome: None,
        directory: seen.directory.clone(),
    };
    if let Some(live) = &seen.live {
        const NS_PER_MS: u64 = 1_000_000;
        view.runtime.clone_from(&live.runtime);
        view.peers = live.peers.len();
        view.links = live.links.len();
        view.age_ms = Some(clock::unix_ns().saturating_sub(live.started_unix_ns) / NS_PER_MS);
        let found = Found { directory: seen.directory.clone(), live: live.clone() };
        view.peers_running = running(&Parts::of(found)).await;
    }
    view
}

/// Peers that have not ended. Somebody else's count: nothing says that they have. None
/// when one cannot be asked: an engine that stalls has ended nobody.
pub(super) async fn running(parts: &Parts) -> Option<usize> {
    let peers = parts.named(&[]).await.ok()?;
    let states = join_all(peers.iter().map(Part::state)).await;
    let states: Vec<PartState> = states.into_iter().collect::<Result<_, _>>().ok()?;
    Some(states.iter().filter(|state| state.running != RunState::Ended).count())
}

/// Runs in `out` that have a result.
fn over(out: &Path) -> Vec<Overview> {
    let mut views: Vec<Overview> = std::fs::read_dir(out)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let directory = entry.path().canonicalize().ok()?;
            let text = std::fs::read_to_string(directory.join("result.json")).ok()?;
            let result: RunResult = serde_json::from_str(&text).ok()?;
            Some(Overview {
                name: result.name,
                run_id: result.run_id,
                runtime: result.runtime,
                phase: Standing::Over,
                peers_running: Some(0),
                peers: 0,
                links: 0,
                age_ms: None,
                outcome: Some(result.outcome),
                directory,
            })
        })
        .collect();
    // Ids begin with the time.
    views.sort_by(|left, right| right.run_id.cmp(&left.run_id));
    views
}
