//! Containers, volumes and networks, by their labels.

use std::collections::HashSet;
use std::path::Path;

use bollard::Docker;
use futures::StreamExt as _;

use super::{Claim, Leftover, Options, Report, Swept, Verdict, judge};
use crate::testbed::contract::label;
use crate::testbed::runtime::RuntimeError;
use crate::testbed::runtime::docker::{self, Found};
use crate::testbed::runtime::owner::OWNER_LABEL;

/// Looks in a row that find something new. What a killed run had asked for may still
/// come into being, so it is looked again until nothing does.
const LOOKS_MAX: usize = 10;

/// Removals of one kind at once: more only queue inside the engine.
const REMOVALS_AT_ONCE: usize = 8;

pub(super) async fn sweep(options: Options, report: &mut Report, swept: &mut Swept) {
    // Owners are judged by this machine's processes.
    let here = docker::check_ports_reach_us(std::env::var("DOCKER_HOST").ok().as_deref());
    let connected = match here {
        Ok(()) => docker::connect().await,
        Err(error) => Err(error),
    };
    let docker = match connected {
        Ok(docker) => docker,
        Err(error) => {
            let why = error.to_string();
            let why = why.lines().next().unwrap_or_default();
            report.notes.push(format!("containers, volumes and networks were left out: {why}"));
            return;
        }
    };
    let mut seen = HashSet::new();
    // Kept by what the engine makes meanwhile, which the next look finds.
    let mut refused: Vec<(Found, RuntimeError)> = Vec::new();
    for _ in 0..LOOKS_MAX {
        let mut found = match docker::find_all(&docker, &docker::label_filter(None)).await {
            Ok(found) => found,
            Err(error) => {
                report.failures.push(error.to_string());
                break;
            }
        };
        found.retain(|one| seen.insert((one.kind, one.id.clone())));
        let mut doomed = judged(found, options, report, swept);
        if doomed.is_empty() {
            break;
        }
        doomed.extend(refused.drain(..).map(|(one, _)| one));
        doomed.sort_by_key(|one| one.kind);
        refused = remove(&docker, doomed, report).await;
    }
    report.failures.extend(refused.into_iter().map(|(_, error)| error.to_string()));
}

/// Those that are to be removed now.
fn judged(
    found: Vec<Found>,
    options: Options,
    report: &mut Report,
    swept: &mut Swept,
) -> Vec<Found> {
    let mut doomed = Vec::new();
    for one in found {
        let of = |name| one.labels.get(name).map(String::as_str);
        let run_id = of(label::RUN).unwrap_or_default();
        let directory = of(label::DIRECTORY).map(Path::new);
        let verdict = judge(Claim { owner: of(OWNER_LABEL), run_id, directory }, options.all);
        if verdict == Verdict::Remove {
            swept.add(directory, run_id);
        }
        let leftover = leftover(&one);
        if report.decide(verdict, leftover) {
            doomed.push(one);
        }
    }
    doomed
}

/// Removes them, in order of kind; returns those that could not be.
async fn remove(
    docker: &Docker,
    doomed: Vec<Found>,
    report: &mut Report,
) -> Vec<(Found, RuntimeError)> {
    let mut refused = Vec::new();
    // A kind after the other: each may be in use by those before it.
    for kind in doomed.chunk_by(|one, other| one.kind == other.kind) {
        let mut removals = futures::stream::iter(kind)
            .map(|one| async move { (one, docker::remove(docker, one).await) })
            .buffered(REMOVALS_AT_ONCE);
        while let Some((one, outcome)) = removals.next().await {
            match outcome {
                Ok(()) => report.removed.push(leftover(one)),
                Err(error) => refused.push((one.clone(), error)),
            }
        }
    }
    refused
}

fn leftover(one: &Found) -> Leftover {
    let run_id = one.labels.get(label::RUN).cloned().unwrap_or_default();
    Leftover { kind: one.kind.name(), name: one.name.clone(), run_id }
}
