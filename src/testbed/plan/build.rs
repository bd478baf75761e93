//! From topology to plan: pure, and the same on every machine.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::seed::derive;
use super::{
    CellPlan, Entropy, LinkPlan, Name, NetworkPlan, Plan, SamplePlan, StartPlan, StepPlan, Turn,
    estimate, limits, links, needs,
};
use crate::testbed::topology::{
    Cell, Diagnostic, Diagnostics, Link, Run, Scene, Topology, defaults, source,
};

/// The variable whose values are compared with each other: cells that differ in
/// nothing else take their turns back to back, so that the machine's drift falls
/// on both sides of the comparison.
const COMPARED_VARIABLE: &str = "mode";

/// Reads, checks and plans a topology file; `sets` are the arguments of `--set`.
///
/// # Errors
///
/// Everything that is wrong with file and arguments, at once.
pub fn load(path: &Path, sets: &[String]) -> Result<(Topology, Plan), Diagnostics> {
    let file = source::read(path)?;
    let topology = Topology::parse(&file.name, &file.text, sets)?;
    let plan = plan(&topology)?;
    Ok((topology, plan))
}

/// Decides in full what a run of `topology` does.
///
/// # Errors
///
/// What only shows over all cells: a file that would need two sizes, more turns
/// than [`defaults::TURNS_MAX`].
pub fn plan(topology: &Topology) -> Result<Plan, Diagnostics> {
    let mut found = Vec::new();
    let scene = topology.base();
    let samples = samples(scene.seed, topology.cells(), &mut found);
    check_turns(topology, &mut found);
    if !found.is_empty() {
        return Err(topology.diagnostics(found));
    }
    let links = links(scene);
    let mut cells: Vec<CellPlan> = Vec::with_capacity(topology.cells().len());
    for cell in topology.cells() {
        let cell = cell_plan(cell, &samples, cells.last());
        cells.push(cell);
    }
    let order = order(scene.seed, &scene.run, &cells);
    let estimate = estimate::estimate(&estimate::Facts {
        peers: scene.peers.len(),
        cells: &cells,
        order: &order,
        samples: &samples.list,
        links: links.len(),
        index: &|dialler, listener| {
            scene.links.find(scene.roll.find(dialler)?, scene.roll.find(listener)?)
        },
    });
    Ok(Plan {
        name: scene.name.clone(),
        seed: scene.seed,
        limits: limits::limits(scene.peers.len(), links.len()),
        networks: NetworkPlan::of(scene.range, &scene.peers),
        rights: needs::rights(&scene.peers),
        start: StartPlan::ALL.to_vec(),
        peers: scene.peers.clone(),
        links,
        order,
        samples: samples.list,
        cells,
        deadline_ms: scene.run.deadline_ms,
        estimate,
    })
}

/// The files of all cells: a cell may have files of its own.
#[derive(Default)]
struct Samples {
    list: Vec<SamplePlan>,
    index: HashMap<(String, String), usize>,
}

fn samples(seed: u64, cells: &[Cell], found: &mut Vec<Diagnostic>) -> Samples {
    let mut samples = Samples::default();
    for file in cells.iter().flat_map(|cell| &cell.dataset) {
        let key = (file.peer.clone(), file.path.clone());
        if let Some(index) = samples.index.get(&key) {
            let known = &samples.list[*index];
            let differs = if known.size_bytes != file.size_bytes {
                Some(format!(
                    "would be {} bytes in one cell and {} in another",
                    known.size_bytes, file.size_bytes
                ))
            } else if known.entropy != file.entropy {
                let [known, other] = [known.entropy, file.entropy].map(Entropy::name);
                Some(format!("would be {known} in one cell and {other} in another"))
            } else {
                None
            };
            if let Some(differs) = differs {
                let hint = "put the variable into the path too: `big-${size}.bin`";
                let message = format!("`{}` {differs}", file.path);
                found.push(Diagnostic::new(file.span, message).hint(hint));
            }
            continue;
        }
        samples.index.insert(key, samples.list.len());
        samples.list.push(SamplePlan {
            peer: file.peer.clone(),
            path: file.path.clone(),
            size_bytes: file.size_bytes,
            entropy: file.entropy,
            seed: derive(seed, &["sample", &file.peer, &file.path]),
        });
    }
    samples
}

fn check_turns(topology: &Topology, found: &mut Vec<Diagnostic>) {
    let run = &topology.base().run;
    let blocks = u64::from(run.warmup) + u64::from(run.repetitions);
    let turns = blocks.saturating_mul(topology.cells().len() as u64);
    if turns > defaults::TURNS_MAX as u64 {
        let message = format!(
            "{} cells, each {blocks} times, are {turns} turns: too many",
            topology.cells().len()
        );
        let hint = format!("at most {} turns", defaults::TURNS_MAX);
        found.push(Diagnostic::nowhere(message).hint(hint));
    }
}

fn links(scene: &Scene) -> Vec<LinkPlan> {
    let names: Vec<Name> = scene.peers.iter().map(|peer| peer.name.as_str().into()).collect();
    let plan = |(index, link): (usize, &Link)| {
        let [dialler, listener] = [link.dialler, link.listener].map(|peer| &names[peer as usize]);
        LinkPlan {
            name: [&**dialler, ":", &**listener].concat().into(),
            dialler: dialler.clone(),
            listener: listener.clone(),
            port: links::port(index),
            shape: link.shape,
        }
    };
    scene.links.list.iter().enumerate().map(plan).collect()
}

/// Cells that shape all links alike share the shapes.
fn cell_plan(cell: &Cell, samples: &Samples, before: Option<&CellPlan>) -> CellPlan {
    let same = before.map(|before| &before.shapes).filter(|shapes| **shapes == cell.shapes);
    CellPlan {
        values: cell.values.clone(),
        shapes: same.unwrap_or(&cell.shapes).clone(),
        steps: cell.steps.iter().map(|step| step_plan(cell, samples, step)).collect(),
    }
}

/// The step with the index of its file in the plan in place of that in the cell.
fn step_plan(cell: &Cell, samples: &Samples, step: &StepPlan) -> StepPlan {
    match step {
        StepPlan::Transfer(transfer) => {
            let file = &cell.dataset[transfer.sample];
            let key = (file.peer.clone(), file.path.clone());
            let sample = samples.index[&key];
            StepPlan::Transfer(super::TransferPlan { sample, ..transfer.clone() })
        }
        StepPlan::Rekey { .. } => step.clone(),
        StepPlan::Parallel { steps } => {
            let steps = steps.iter().map(|step| step_plan(cell, samples, step)).collect();
            StepPlan::Parallel { steps }
        }
    }
}

/// Warm-up blocks first, then the repetitions; every block holds each cell once.
fn order(seed: u64, run: &Run, cells: &[CellPlan]) -> Vec<Turn> {
    let warmups = (0..run.warmup).map(|repetition| (repetition, true));
    let counted = (0..run.repetitions).map(|repetition| (repetition, false));
    let mut turns = Vec::new();
    for (repetition, warmup) in warmups.chain(counted) {
        let mut block: Vec<usize> = (0..cells.len()).collect();
        if run.randomised {
            let name = format!("{}{repetition}", if warmup { "warmup" } else { "repetition" });
            block.sort_by_cached_key(|index| shuffle_key(seed, &name, &cells[*index].values));
        }
        turns.extend(block.into_iter().map(|cell| Turn { cell, repetition, warmup }));
    }
    turns
}

/// Sorting by random keys is a shuffle; by a key of the group first, it keeps
/// what is compared together. The text of the cell makes it total, should two
/// keys ever be equal.
fn shuffle_key(
    seed: u64,
    block: &str,
    values: &BTreeMap<String, String>,
) -> (u64, String, u64, String) {
    let text = |values: &mut dyn Iterator<Item = (&String, &String)>| -> String {
        let parts: Vec<String> = values.map(|(name, value)| format!("{name}={value}")).collect();
        parts.join("\n")
    };
    let group = text(&mut values.iter().filter(|(name, _)| *name != COMPARED_VARIABLE));
    let cell = text(&mut values.iter());
    (
        derive(seed, &["order", block, &group]),
        group,
        derive(seed, &["order", block, "cell", &cell]),
        cell,
    )
}

#[cfg(test)]
mod tests;
