//! Wrong files, wrong flags, wrong machines: said clearly, with the right exit code.

use std::fs;

use crate::support::{dropbed, shipped};

/// All mistakes of a file are told at once, each with its place and a hint.
#[test]
fn every_mistake_of_a_file_is_told_at_once() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let file = directory.path().join("bad.yaml");
    let text = "version: 1\n\
        name: bad\n\
        pears: {}\n\
        peers: { alice: {}, bob: {}, bob: {} }\n\
        links:\n\
        \x20 - { a: alice, b: bob, both: { rtt: 50 } }\n\
        \x20 - { a: alice, b: carol, both: { rtt: 50ms } }\n\
        dataset:\n\
        \x20 - { peer: alice, path: big.bin, size: [1] }\n\
        scenario: { steps: [] }\n";
    fs::write(&file, text).expect("the directory is ours");
    let path = file.display().to_string();
    let output = dropbed(["validate", &path]).env("NO_COLOR", "1").output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    for (place, word) in
        [(":3:", "pears"), (":4:", "bob"), (":6:", "50ms"), (":7:", "carol"), (":9:", "size")]
    {
        assert!(said.contains(place) && said.contains(word), "{place} {word} in:\n{said}");
    }
    assert!(!said.contains('\u{1b}'), "no colours with NO_COLOR:\n{said}");
}

#[test]
fn a_file_that_is_not_there() {
    let output = dropbed(["run", "no-such.yaml"]).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("no-such.yaml"), "{said}");
}

#[test]
fn no_engine_where_docker_was_asked_for() {
    let out = tempfile::tempdir().expect("a temporary directory can be made");
    let output = dropbed(["run", &shipped("two-peer.yaml"), "--runtime", "docker", "--out"])
        .arg(out.path())
        .env("DOCKER_HOST", "tcp://127.0.0.1:1")
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("--runtime process"), "says what to do instead:\n{said}");
}

#[test]
fn results_that_cannot_be_written() {
    let output = dropbed(["run", &shipped("two-peer.yaml"), "--out", "/proc/none"])
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("/proc/none") && said.contains("--out"), "{said}");
}

#[test]
fn an_unknown_flag_and_an_unknown_runtime() {
    for arguments in [["run", "x.yaml", "--frobnicate"], ["run", "x.yaml", "--runtime=swarm"]] {
        let output = dropbed(arguments).output().expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

/// The same file and seed give the same plan, byte for byte.
#[test]
fn plans_are_deterministic() {
    let plan = || {
        let output = dropbed(["plan", &shipped("latency-sweep.yaml"), "--json"]).output();
        output.expect("it runs").stdout
    };
    let first = plan();
    assert!(!first.is_empty());
    assert_eq!(first, plan());
}

/// Every topology that ships is good.
#[test]
fn shipped_topologies_validate() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/topologies");
    let mut count = 0;
    for entry in fs::read_dir(directory).expect("topologies ship") {
        let path = entry.expect("readable").path().display().to_string();
        let output = dropbed(["validate", &path]).output().expect("it runs");
        assert!(output.status.success(), "{path}: {}", String::from_utf8_lossy(&output.stderr));
        count += 1;
    }
    assert!(count >= 4, "the demo, the sweep, the bulk and the mesh");
}
