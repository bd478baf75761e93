use super::{GOOD, broken, mistake, one, parse, shown};
use crate::testbed::plan::{load, plan};

/// A broken piece that parses, and shows only over all cells.
fn unplanned(text: &str) -> String {
    shown(&plan(&parse(text).unwrap()).unwrap_err())
}

#[test]
fn in_yaml() {
    let bad_x = |text: &str| one(parse(&format!("{GOOD}{text}\n")));
    insta::assert_snapshot!(
        [
            mistake("vars: {", "vars: { <<: 1,"),
            mistake("name: two", "[name]: two"),
            mistake("name: two", "name: *nothing"),
            mistake("name: two", "name: \"two"),
            mistake("peers:\n  alice", "peers:\n\talice"),
            bad_x("x-loop: &loop [*loop]"),
            bad_x(
                "x-deep: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"
            ),
            bad_x("x-tab:\n  a: 1\n\tb: 2"),
            bad_x("- item"),
            bad_x("x-a: 1: 2"),
            bad_x("%"),
        ]
        .join("\n")
    );
}

#[test]
fn in_datasets() {
    let two = |second: &str| {
        let first = "  - { peer: alice, path: big.bin, size: 64MiB }";
        mistake(first, &format!("{first}\n  - {second}"))
    };
    insta::assert_snapshot!(
        [
            two("{ peer: alice, path: big.bin, size: 1MiB }"),
            two("{ peer: alice, path: a/../b, size: 1MiB }"),
            two("{ peer: alice, path: \"a\\nb\", size: 1MiB }"),
            two(&format!("{{ peer: alice, path: {}, size: 1MiB }}", "p".repeat(1025))),
            two("{ peer: alice, path: x }"),
            two("{ peer: carol, path: x, size: 1B }"),
            two("{ peer: alice, path: x, size: 2TiB }"),
            two("{ peer: alice, path: x, size: {} }"),
            two("5"),
            mistake("dataset:\n  - { peer: alice, path: big.bin, size: 64MiB }", "dataset: 5"),
        ]
        .join("\n")
    );
}

#[test]
fn what_is_too_much() {
    let item = "  - { peer: alice, path: big.bin, size: 64MiB }\n";
    let files = "  - { peer: alice, path: \"f#\", size: 1B, count: 10000 }\n";
    let step = "    - rekey: { from: alice, to: bob }\n".repeat(257);
    let points: Vec<String> = (1..=65).map(|point| format!("{point}%")).collect();
    let said = [
        broken(item, &format!("{item}{files}")).unwrap_err().to_string(),
        broken("  steps:\n", &format!("  steps:\n{step}")).unwrap_err().to_string(),
        broken("mode: \"${mode}\" }", &format!("mode: push, rekey_at: [{}] }}", points.join(", ")))
            .unwrap_err()
            .to_string(),
    ];
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn over_all_cells() {
    let sizes =
        GOOD.replace("size: 64MiB", "size: \"${size}\"").replace("vars: {", "vars: { size: 1MiB,");
    let runs = "run: { repetitions: 10000, warmup: 10000 }";
    let cells = (0..6).map(|ms| format!("{ms}ms")).collect::<Vec<_>>().join(", ");
    insta::assert_snapshot!(
        [
            unplanned(&format!("{sizes}matrix: {{ size: [1MiB, 2MiB] }}\n")),
            unplanned(&format!("{GOOD}{runs}\nmatrix: {{ rtt: [{cells}] }}\n")),
        ]
        .join("\n")
    );
}

#[test]
fn in_what_the_matrix_varies() {
    let varied = |text: String, values: [&str; 2]| {
        let text = text.replace("vars: {", &format!("vars: {{ v: {},", values[0]));
        let matrix = format!("matrix: {{ mode: [push], v: [{}] }}", values.join(", "));
        one(parse(&format!("{text}{matrix}\n")))
    };
    insta::assert_snapshot!(
        [
            varied(GOOD.replace("name: two", "name: \"${v}\""), ["one", "two"]),
            varied(format!("{GOOD}seed: \"${{v}}\"\n"), ["1", "2"]),
            varied(format!("{GOOD}run: {{ repetitions: \"${{v}}\" }}\n"), ["1", "2"]),
            varied(GOOD.replace("both: {", "dial: \"${v}\", both: {"), ["both", "b"]),
            varied(
                GOOD.replace("peers:", "profiles: { p: { mount: \"${v}\" } }\npeers:")
                    .replace("alice: {}", "alice: { profile: p }"),
                ["true", "false"]
            ),
        ]
        .join("\n")
    );
}

#[test]
fn in_files_that_cannot_be_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("latin1.yaml");
    std::fs::write(&path, b"version: 1\nname: \xfc\n").unwrap();
    let said = [
        load(&path, &[]).unwrap_err().excerpts(false),
        load(directory.path(), &[]).unwrap_err().excerpts(false),
        load(&directory.path().join("none.yaml"), &[]).unwrap_err().excerpts(false),
    ];
    let place = directory.path().display().to_string();
    insta::assert_snapshot!(said.join("\n").replace(&place, "DIRECTORY"));
}
