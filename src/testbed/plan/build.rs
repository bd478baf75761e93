//! From topology to plan: pure, and the same on every machine.

use std::collections::{BTreeMap, HashMap};
use std::io::Read as _;
use std::path::Path;

use super::seed::derive;
use super::{CellPlan, LinkPlan, Plan, SamplePlan, StepPlan, Turn};
use crate::testbed::contract::LINK_PORT_FIRST;
use crate::testbed::topology::{
    Cell, Diagnostic, Diagnostics, Run, Scene, Topology, defaults, tree,
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
    let name = path.display().to_string();
    let text = read(path).map_err(|error| {
        let message = format!("cannot read the topology {name}: {error}");
        Diagnostics::unreadable(&name, message, "give the path of a topology file (YAML)")
    })?;
    let topology = Topology::parse(&name, &text, sets)?;
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
    let cells: Vec<CellPlan> =
        topology.cells().iter().map(|cell| cell_plan(cell, &samples)).collect();
    Ok(Plan {
        name: scene.name.clone(),
        seed: scene.seed,
        peers: scene.peers.clone(),
        links: links(scene),
        order: order(scene.seed, &scene.run, &cells),
        samples: samples.list,
        cells,
        deadline_ms: scene.run.deadline_ms,
    })
}

/// At most one byte more than a topology may have: the parser then says so.
fn read(path: &Path) -> std::io::Result<String> {
    let limit = tree::FILE_BYTES_MAX as u64 + 1;
    let mut text = String::new();
    std::fs::File::open(path)?.take(limit).read_to_string(&mut text)?;
    Ok(text)
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
            let known = samples.list[*index].size_bytes;
            if known != file.size_bytes {
                let message = format!(
                    "`{}` would be {known} bytes in one cell and {} in another",
                    file.path, file.size_bytes
                );
                let hint = "put the variable into the path too: `big-${size}.bin`";
                found.push(Diagnostic::new(file.span, message).hint(hint));
            }
            continue;
        }
        samples.index.insert(key, samples.list.len());
        samples.list.push(SamplePlan {
            peer: file.peer.clone(),
            path: file.path.clone(),
            size_bytes: file.size_bytes,
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
        found.push(Diagnostic { span: None, message, hint: Some(hint) });
    }
}

fn links(scene: &Scene) -> Vec<LinkPlan> {
    let ports = LINK_PORT_FIRST..;
    scene
        .links
        .iter()
        .zip(ports)
        .map(|(link, port)| LinkPlan {
            name: link.name(),
            dialler: link.dialler.clone(),
            listener: link.listener.clone(),
            port,
            shape: link.shape,
        })
        .collect()
}

fn cell_plan(cell: &Cell, samples: &Samples) -> CellPlan {
    let steps = cell
        .steps
        .iter()
        .map(|step| match step {
            StepPlan::Transfer(transfer) => {
                let file = &cell.dataset[transfer.sample];
                let key = (file.peer.clone(), file.path.clone());
                let sample = samples.index[&key];
                StepPlan::Transfer(super::TransferPlan { sample, ..transfer.clone() })
            }
            StepPlan::Rekey { .. } => step.clone(),
        })
        .collect();
    CellPlan { values: cell.values.clone(), shapes: cell.shapes.clone(), steps }
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
