use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::super::render::{json, render};
use super::super::{Plan, Rated, Shape, StepPlan, TransferMode};
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
    assert!(files.len() >= 5, "{files:?}");
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
    insta::assert_snapshot!("mixed_links", render(&shipped_plan("mixed-links.yaml")));
    insta::assert_snapshot!("star_8", render(&shipped_plan("star-8.yaml")));
    insta::assert_snapshot!("full_mesh_4", render(&shipped_plan("full-mesh-4.yaml")));
    insta::assert_snapshot!("thirty_two", render(&shipped_plan("thirty-two.yaml")));
}

#[test]
fn whoever_reads_dials() {
    let plan = shipped_plan("three-peer.yaml");
    for step in plan.cells.iter().flat_map(super::super::CellPlan::parts) {
        let (reader, server) = step.ends().unwrap();
        assert!(plan.links.iter().any(|l| l.dialler == reader && l.listener == server));
    }
}

/// A plan of the peers a and b with one link between them.
fn linked(link: &str) -> Plan {
    plan_of(&format!(
        "version: 1\nname: x\npeers: {{ a: {{}}, b: {{}} }}\nlinks: [{{ a: a, b: b, {link} }}]\n\
         scenario: {{ steps: [{{ rekey: {{ from: b, to: a }} }}] }}\n"
    ))
}

/// `(latency, jitter, rate)` of bytes from a to b, and back; checked to be the same
/// whoever dials.
fn ways(plan: &Plan) -> [(u64, u64, Option<u64>); 2] {
    let [from_a, from_b] = plan.links.as_slice() else { panic!("two links: {:?}", plan.links) };
    assert_eq!((from_a.name.as_str(), from_b.name.as_str()), ("a:b", "b:a"));
    assert_eq!(from_a.shape.up, from_b.shape.down);
    assert_eq!(from_a.shape.down, from_b.shape.up);
    [from_a.shape.up, from_a.shape.down]
        .map(|way| (way.latency_us, way.jitter_us, way.rate_bits_per_s))
}

#[test]
fn one_direction_of_bytes_may_differ() {
    let plan = linked("both: { rtt: 10ms }, b_to_a: { latency: 1ms }");
    assert_eq!(ways(&plan), [(5_000, 0, None), (1_000, 0, None)]);
    assert_eq!(plan.links[0].shape.rtt_us(), 6_000);
    assert_eq!((plan.links[0].port, plan.links[1].port), (Some(21_000), Some(21_001)));
    let one_way = linked("a_to_b: { latency: 7ms, jitter: 7ms, rate: 1MB/s }");
    assert_eq!(ways(&one_way), [(7_000, 7_000, Some(8_000_000)), (0, 0, None)]);
}

#[test]
fn a_direction_says_only_what_differs() {
    let plan =
        linked("both: { rtt: 50ms, jitter: 2ms, rate: 16Mbit/s }, a_to_b: { rate: 1Mbit/s }");
    assert_eq!(ways(&plan), [(25_000, 2_000, Some(1_000_000)), (25_000, 2_000, Some(16_000_000))]);
    let unlimited = linked("both: { rate: 16Mbit/s }, b_to_a: { rate: unlimited }");
    assert_eq!(ways(&unlimited), [(0, 0, Some(16_000_000)), (0, 0, None)]);
}

#[test]
fn a_preset_gives_what_no_key_says() {
    let dsl = [(25_000, 0, Some(384_000)), (25_000, 0, Some(1_500_000))];
    assert_eq!(ways(&linked("both: { preset: dsl }")), dsl);
    let nearer = linked("both: { preset: dsl, rtt: 10ms, jitter: 1ms }, b_to_a: { rate: 6Mbit/s }");
    assert_eq!(ways(&nearer), [(5_000, 1_000, Some(384_000)), (5_000, 1_000, Some(6_000_000))]);
    // Each direction has its own side of the preset.
    let back = linked("both: { rtt: 2ms, jitter: 1ms }, b_to_a: { preset: dsl }");
    assert_eq!(ways(&back), [(1_000, 1_000, None), (25_000, 0, Some(1_500_000))]);
}

#[test]
fn who_dials_is_told_apart_from_shapes() {
    let names = |plan: &Plan| -> Vec<String> {
        plan.links.iter().map(|link| link.name.to_string()).collect()
    };
    assert_eq!(names(&linked("dial: both")), ["a:b", "b:a"]);
    let only_a = linked("dial: a, a_to_b: { latency: 3ms }");
    assert_eq!(names(&only_a), ["a:b"]);
    assert_eq!(only_a.links[0].shape.up.latency_us, 3_000);
    let only_b = plan_of(
        "version: 1\nname: x\npeers: { a: {}, b: {} }\n\
         links: [{ a: a, b: b, dial: b, a_to_b: { latency: 3ms } }]\n\
         scenario: { steps: [{ rekey: { from: a, to: b } }] }\n",
    );
    assert_eq!(names(&only_b), ["b:a"]);
    assert_eq!(only_b.links[0].shape.down.latency_us, 3_000);
}

#[test]
fn only_a_direction_that_ever_has_a_rate_is_rated() {
    let text = "version: 1\nname: x\nvars: { rate: unlimited }\npeers: { a: {}, b: {} }\n\
         links: [{ a: a, b: b, a_to_b: { rate: \"${rate}\" } }]\n\
         scenario: { steps: [{ rekey: { from: a, to: b } }] }\n";
    let never = plan_of(text);
    assert_eq!(never.rated(0), Rated::default());
    let in_one_cell = plan_of(&format!("{text}matrix: {{ rate: [unlimited, 8Mbit/s] }}\n"));
    assert_eq!(in_one_cell.rated(0), Rated { up: true, down: false });
    assert_eq!(in_one_cell.rated(1), Rated { up: false, down: true });
    let rates: Vec<_> =
        in_one_cell.cells.iter().map(|cell| cell.shapes[0].up.rate_bits_per_s).collect();
    assert_eq!(rates, [None, Some(8_000_000)]);
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
    // The rays have the slow side of a preset.
    let star = plan_of(&text("{ star: { hub: hub, preset: dsl, from_hub: { latency: 1ms } } }"));
    for link in &star.links {
        let Shape { up, down } = link.shape;
        let (to_hub, from_hub) = if link.dialler == "hub" { (down, up) } else { (up, down) };
        assert_eq!((to_hub.latency_us, to_hub.rate_bits_per_s), (25_000, Some(384_000)));
        assert_eq!((from_hub.latency_us, from_hub.rate_bits_per_s), (1_000, Some(1_500_000)));
    }
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
            StepPlan::Rekey { .. } | StepPlan::Parallel { .. } => panic!("a transfer"),
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

/// Also within `parallel`, where the step lies deeper.
#[test]
fn the_flags_without_a_mount_reach_into_parallel_steps() {
    let file = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/topologies/star-8.yaml"));
    let (_, mounting) = load(file, &[]).unwrap();
    let flags = mounting.flags_without_mount();
    let sets: Vec<String> =
        flags.split_whitespace().filter(|word| *word != "--set").map(str::to_owned).collect();
    assert_eq!(sets.len(), 8, "{flags}");
    let (_, plan) = load(file, &sets).unwrap();
    let modes: Vec<TransferMode> = plan.cells[0]
        .parts()
        .map(|step| match step {
            StepPlan::Transfer(transfer) => transfer.mode,
            StepPlan::Rekey { .. } | StepPlan::Parallel { .. } => panic!("transfers only"),
        })
        .collect();
    assert_eq!(modes, [TransferMode::Push; 7]);
}

mod groups;
