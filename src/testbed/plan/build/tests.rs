use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::super::render::{json, render};
use super::super::{Plan, StepPlan, TransferMode};
use super::{load, plan};
use crate::testbed::topology::{Topology, resolved};

fn shipped() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("topologies");
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    files
}

fn shipped_plan(name: &str) -> Plan {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("topologies").join(name);
    load(&path, &[]).unwrap_or_else(|found| panic!("{found}")).1
}

fn plan_of(text: &str) -> Plan {
    let topology = Topology::parse("test.yaml", text, &[]);
    let topology = topology.unwrap_or_else(|found| panic!("{found}"));
    plan(&topology).unwrap_or_else(|found| panic!("{found}"))
}

#[test]
fn every_shipped_topology_plans() {
    let files = shipped();
    assert!(files.len() >= 4, "{files:?}");
    for path in files {
        let (topology, plan) = load(&path, &[]).unwrap_or_else(|found| panic!("{found}"));
        assert_eq!(path.file_stem().unwrap().to_str(), Some(plan.name.as_str()));
        let again = plan_of(&resolved(&topology));
        assert_eq!(json(&plan), json(&again), "{}", path.display());
        let read_back: Plan = serde_json::from_str(&json(&plan)).unwrap();
        assert_eq!(read_back, plan);
    }
}

#[test]
fn the_two_peer_plan() {
    insta::assert_snapshot!(json(&shipped_plan("two-peer.yaml")));
}

#[test]
fn plans_in_words() {
    insta::assert_snapshot!("two_peer", render(&shipped_plan("two-peer.yaml")));
    insta::assert_snapshot!("latency_sweep", render(&shipped_plan("latency-sweep.yaml")));
    insta::assert_snapshot!("three_peer", render(&shipped_plan("three-peer.yaml")));
}

#[test]
fn whoever_reads_dials() {
    let plan = shipped_plan("three-peer.yaml");
    for step in plan.cells.iter().flat_map(|cell| &cell.steps) {
        let (reader, server) = match step {
            StepPlan::Transfer(transfer) => (&transfer.to, &transfer.from),
            StepPlan::Rekey { dialler, listener, .. } => (dialler, listener),
        };
        assert!(plan.links.iter().any(|l| l.dialler == *reader && l.listener == *server));
    }
}

#[test]
fn one_direction_may_differ() {
    let plan = plan_of(
        "version: 1\nname: x\npeers: { a: {}, b: {} }\n\
         links: [{ a: a, b: b, both: { rtt: 10ms }, b_to_a: { latency: 1ms } }]\n\
         scenario: { steps: [{ rekey: { from: a, to: b } }] }\n",
    );
    let rtts: Vec<(&str, u64)> =
        plan.links.iter().map(|link| (link.name.as_str(), link.shape.rtt_us())).collect();
    assert_eq!(rtts, [("a:b", 10_000), ("b:a", 2_000)]);
    assert_eq!((plan.links[0].port, plan.links[1].port), (21_000, 21_001));
}

#[test]
fn counted_peers_in_a_mesh_and_in_a_star() {
    let text = |links: &str| {
        format!(
            "version: 1\nname: x\ndefaults: {{ peer: {{ mount: false }} }}\n\
             peers: {{ hub: {{ mount: true }}, node: {{ count: 3 }} }}\nlinks: [{links}]\n\
             scenario: {{ steps: [{{ rekey: {{ from: hub, to: node-2 }} }}] }}\n"
        )
    };
    let mesh = plan_of(&text("{ full_mesh: { rtt: 2ms } }"));
    assert_eq!(mesh.peers.len(), 4);
    assert_eq!(mesh.links.len(), 12);
    assert_eq!(mesh.peers.iter().filter(|peer| peer.mount).count(), 1);
    let star = plan_of(&text("{ star: { hub: hub, rtt: 2ms } }"));
    assert_eq!(star.links.len(), 6);
    assert!(star.links.iter().all(|l| l.dialler == "hub" || l.listener == "hub"));
}

#[test]
fn a_cell_has_files_of_its_own_only_under_another_path() {
    let text = |path: &str| {
        format!(
            "version: 1\nname: x\nvars: {{ size: 1MiB }}\npeers: {{ a: {{}}, b: {{}} }}\n\
             links: [{{ full_mesh: {{}} }}]\n\
             dataset: [{{ peer: a, path: \"{path}\", size: \"${{size}}\" }}]\n\
             scenario:\n  steps:\n    - transfer: {{ from: a, to: b, path: \"{path}\", mode: push }}\n\
             matrix: {{ size: [1MiB, 2MiB] }}\n"
        )
    };
    let plan_two = plan_of(&text("f-${size}.bin"));
    assert_eq!(plan_two.samples.len(), 2);
    let used: Vec<usize> = plan_two
        .cells
        .iter()
        .map(|cell| match &cell.steps[0] {
            StepPlan::Transfer(transfer) => transfer.sample,
            StepPlan::Rekey { .. } => panic!("a transfer"),
        })
        .collect();
    assert_eq!(used, [0, 1]);
    let topology = Topology::parse("test.yaml", &text("f.bin"), &[]).unwrap();
    let found = plan(&topology).unwrap_err().to_string();
    assert!(found.contains("1048576 bytes in one cell and 2097152 in another"), "{found}");
}

#[test]
fn too_many_turns_are_refused() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("topologies/latency-sweep.yaml");
    let rtts: Vec<String> = (0..100).map(|ms| format!("{ms}ms")).collect();
    let sets = [format!("matrix.rtt=[{}]", rtts.join(", ")), "run.repetitions=10000".to_owned()];
    let found = load(&path, &sets).unwrap_err().to_string();
    assert!(found.contains("200 cells, each 10001 times"), "{found}");
}

#[test]
fn seeds_differ_by_file_and_by_run() {
    let plan = shipped_plan("two-peer.yaml");
    let seeds: BTreeSet<u64> = plan.samples.iter().map(|sample| sample.seed).collect();
    assert_eq!(seeds.len(), plan.samples.len());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("topologies/two-peer.yaml");
    let (_, other) = load(&path, &["seed=8".to_owned()]).unwrap();
    assert!(other.samples.iter().all(|sample| !seeds.contains(&sample.seed)));
}

/// A topology with a matrix of `rtts` by all modes.
fn sweep(seed: u64, rtts: usize, repetitions: u32, warmup: u32) -> String {
    let rtts: Vec<String> = (0..rtts).map(|rtt| format!("{rtt}ms")).collect();
    format!(
        "version: 1\nname: sweep\nseed: {seed}\nvars: {{ rtt: 0ms, mode: push }}\n\
         peers: {{ a: {{}}, b: {{}} }}\n\
         links: [{{ a: a, b: b, both: {{ rtt: \"${{rtt}}\" }} }}]\n\
         dataset: [{{ peer: a, path: f, size: 1MiB }}]\nscenario:\n  steps:\n    \
         - transfer: {{ from: a, to: b, path: f, mode: \"${{mode}}\", depth: 2 }}\n\
         matrix: {{ rtt: [{}], mode: [push, request-response, mount] }}\n\
         run: {{ repetitions: {repetitions}, warmup: {warmup} }}\n",
        rtts.join(", ")
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_same_input_gives_the_same_bytes(seed: u64, rtts in 1_usize..5, repetitions in 1_u32..4) {
        let text = sweep(seed, rtts, repetitions, 1);
        prop_assert_eq!(json(&plan_of(&text)), json(&plan_of(&text)));
    }

    #[test]
    fn every_block_holds_every_cell_once(
        seed: u64,
        rtts in 1_usize..6,
        repetitions in 1_u32..4,
        warmup in 0_u32..3,
    ) {
        let plan = plan_of(&sweep(seed, rtts, repetitions, warmup));
        prop_assert_eq!(plan.cells.len(), rtts * 3);
        let blocks: Vec<_> = plan.order.chunks(plan.cells.len()).collect();
        prop_assert_eq!(blocks.len(), (warmup + repetitions) as usize);
        for (index, block) in blocks.iter().enumerate() {
            let cells: BTreeSet<usize> = block.iter().map(|turn| turn.cell).collect();
            prop_assert_eq!(cells.len(), plan.cells.len());
            prop_assert!(block.iter().all(|turn| turn.warmup == (index < warmup as usize)));
            prop_assert!(block.iter().all(|turn| turn.repetition == block[0].repetition));
            // The three modes of one round trip follow each other.
            for compared in block.chunks(3) {
                let rtts: BTreeSet<&str> =
                    compared.iter().map(|t| plan.cells[t.cell].values["rtt"].as_str()).collect();
                prop_assert_eq!(rtts.len(), 1);
            }
        }
    }
}

#[test]
fn the_order_depends_on_the_seed_and_the_block() {
    let orders: BTreeSet<Vec<usize>> = (0..8)
        .flat_map(|seed| {
            let plan = plan_of(&sweep(seed, 5, 2, 0));
            let blocks = plan.order.chunks(15);
            blocks.map(|block| block.iter().map(|turn| turn.cell).collect()).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(orders.len(), 16, "5! * 6^5 orders: two alike are no accident");
}

#[test]
fn a_variable_mode_drops_what_it_cannot_use() {
    let plan = plan_of(&sweep(1, 1, 1, 0));
    for cell in &plan.cells {
        let StepPlan::Transfer(transfer) = &cell.steps[0] else { panic!("a transfer") };
        let wanted = (transfer.mode == TransferMode::RequestResponse).then_some(2);
        assert_eq!(transfer.depth, wanted);
    }
}

/// The flags that a machine without FUSE is told must make a plan without a mount.
#[test]
fn the_flags_without_a_mount_plan() {
    let file = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/topologies/two-peer.yaml"));
    let (_, mounting) = load(file, &[]).unwrap();
    let flags = mounting.flags_without_mount();
    let sets: Vec<String> =
        flags.split_whitespace().filter(|word| *word != "--set").map(str::to_owned).collect();
    assert_eq!(sets.len(), 2, "{flags}");
    let (_, plan) = load(file, &sets).unwrap();
    assert!(plan.peers.iter().all(|peer| !peer.mount), "{flags}");
    assert_eq!(plan.cells[0].steps.len(), mounting.cells[0].steps.len());
}
