use super::{Diagnostics, Topology, resolved};

mod damage;
mod limits;
mod mistakes;
mod overrides;
mod profiles;

/// A small topology that is right, for tests to break.
pub(crate) const GOOD: &str = "\
version: 1
name: two
vars: { rtt: 50ms, mode: push }
peers:
  alice: {}
  bob: { rekey_bytes: 4MiB }
links:
  - { a: alice, b: bob, both: { rtt: \"${rtt}\" } }
dataset:
  - { peer: alice, path: big.bin, size: 64MiB }
scenario:
  steps:
    - transfer: { name: pull, from: alice, to: bob, path: big.bin, mode: \"${mode}\" }
";

pub(crate) fn parse(text: &str) -> Result<Topology, Diagnostics> {
    Topology::parse("test.yaml", text, &[])
}

/// `GOOD` with one piece replaced.
pub(crate) fn broken(piece: &str, replacement: &str) -> Result<Topology, Diagnostics> {
    assert!(GOOD.contains(piece), "{piece} is not in the topology");
    parse(&GOOD.replace(piece, replacement))
}

#[test]
fn the_good_one_is_good() {
    parse(GOOD).unwrap();
}

#[test]
fn x_keys_are_the_files_own() {
    let text = GOOD.replace("  alice: {}", "  alice: { x-note: [1, {a: b}] }");
    parse(&format!("x-anything: ${{not_a_variable}}\n{text}")).unwrap();
}

#[test]
fn all_mistakes_are_told_at_once_each_in_its_place() {
    let text = "\
version: 1
name: Two Peers
peers:
  alice: { rekey_byte: 4MiB, mount: yes please }
  bob: { rekey_bytes: 4 }
links:
  - { a: alice, b: bobb, both: { rtt: 50 } }
dataset:
  - { peer: alice, path: ../big.bin, size: 64MB, color: red }
scenario:
  deadlin: 60s
  steps:
    - transfer: { from: alice, to: bob, path: big.bin, mode: pusch }
    - rekey: { from: alice, to: alice }
";
    let diagnostics = parse(text).unwrap_err();
    insta::assert_snapshot!(diagnostics.to_string());
}

#[test]
fn forms_of_diagnostics() {
    let diagnostics = broken("rtt: 50ms", "rtt: 50").unwrap_err();
    insta::assert_snapshot!("human", diagnostics.excerpts(false));
    insta::assert_snapshot!("json", diagnostics.json());
    insta::assert_snapshot!("github", diagnostics.github());
    let drawn = diagnostics.excerpts(true);
    assert!(drawn.contains('\u{1b}') && drawn.contains('─'), "colour and lines: {drawn}");
}

/// What stands in an argument is shown beside what stands in the file, and several
/// files make one document.
#[test]
fn forms_of_a_cause_across_places() {
    let sets = ["peers.bob.mount=false".to_owned(), "vars.mode=mount".to_owned()];
    let text = GOOD.replace("path: big.bin, size", "path: \"\", size");
    let text = text.replace("  alice: {}", "  alice: { mount: true, mount: true }");
    let first = Topology::parse("one.yaml", &text, &sets).unwrap_err();
    let second = broken("version: 1", "version: 1\nversion: 2").unwrap_err();
    insta::assert_snapshot!("related_human", first.excerpts(false));
    insta::assert_snapshot!("related_github", first.github());
    let json = Diagnostics::json_of(&[first, second]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    insta::assert_snapshot!("related_json", serde_json::to_string_pretty(&json).unwrap());
    assert_eq!(Diagnostics::json_of(&[]), "[]\n");
}

#[test]
fn a_resolved_topology_gives_the_same_plan() {
    let sets = ["rtt=10ms".to_owned(), "run.repetitions=3".to_owned()];
    let topology = Topology::parse("test.yaml", GOOD, &sets).unwrap();
    let again = parse(&resolved(&topology)).unwrap();
    let plan = crate::testbed::plan::plan;
    assert_eq!(plan(&topology).unwrap(), plan(&again).unwrap());
    assert!(resolved(&topology).contains("repetitions: 3"));
}

#[test]
fn a_file_that_is_not_there_is_a_diagnostic() {
    let path = std::path::Path::new("/nonexistent/topology.yaml");
    let diagnostics = crate::testbed::plan::load(path, &[]).unwrap_err();
    let text = diagnostics.excerpts(false);
    assert!(text.contains("cannot read the topology /nonexistent/topology.yaml"), "{text}");
    assert!(diagnostics.json().contains("\"line\":null"));
}
