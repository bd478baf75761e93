use super::{GOOD, Topology};
use crate::testbed::plan::{Plan, StepPlan, plan};

fn with(sets: &[&str]) -> Result<Plan, String> {
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    let topology = Topology::parse("test.yaml", GOOD, &sets);
    topology.and_then(|topology| plan(&topology)).map_err(|found| found.to_string())
}

#[test]
fn a_path_reaches_maps_and_lists() {
    let plan = with(&[
        "dataset.0.size=1MiB",
        "peers.bob.mount=false",
        "run.repetitions=4",
        "scenario.steps.0.transfer.rekey_at=[25%, 75%]",
    ])
    .unwrap();
    assert_eq!(plan.samples[0].size_bytes, 1 << 20);
    assert!(!plan.peers[1].mount);
    assert_eq!(plan.order.len(), 4);
    let StepPlan::Transfer(transfer) = &plan.cells[0].steps[0] else { panic!("a transfer") };
    assert_eq!(transfer.rekey_at_permille, [250, 750]);
    assert_eq!(transfer.rekeys_min, 4, "each asked for moves both directions");
}

#[test]
fn a_variable_by_its_name_alone() {
    assert_eq!(with(&["rtt=100ms"]).unwrap().links[0].shape.rtt_us(), 100_000);
}

#[test]
fn a_variable_of_the_matrix_is_pinned() {
    let plan = with(&["matrix.rtt=[1ms, 2ms]", "rtt=100ms"]).unwrap();
    assert_eq!(plan.cells.len(), 1);
    assert_eq!(plan.cells[0].shapes[0].rtt_us(), 100_000);
}

#[test]
fn slips_are_told_with_their_place_in_the_argument() {
    let wrong = [
        "rtt",
        "rtt=",
        "rttt=5ms",
        "peers.alcie.mount=false",
        "vars.rttt=5ms",
        "dataset.1.size=1MiB",
        "dataset.first.size=1MiB",
        "name.of.it=x",
        "dataset.0.size=64",
        "dataset.0.sizes=64MiB",
        "dataset.0.size=[",
    ];
    let told: Vec<String> = wrong.iter().map(|set| with(&[set]).unwrap_err()).collect();
    insta::assert_snapshot!(told.join("\n"));
}
