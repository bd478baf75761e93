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

/// The same file and seed give the same bytes in another process, whose hash seeds
/// are others.
#[test]
fn plans_and_graphs_are_deterministic() {
    for file in topologies() {
        for arguments in [
            ["plan", &file, "--json"],
            ["plan", &file, "--set=seed=5"],
            ["graph", &file, "--format=mermaid"],
            ["graph", &file, "--format=dot"],
            ["graph", &file, "--format=ascii"],
        ] {
            let said = || {
                let output = dropbed(arguments).output().expect("it runs");
                assert!(output.status.success(), "{arguments:?}");
                output.stdout
            };
            let first = said();
            assert!(!first.is_empty());
            assert!(first == said(), "{arguments:?} differs from run to run");
        }
    }
}

/// More peers than are advised: refused at once, with what it would take.
#[test]
fn five_hundred_peers_are_refused() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let file = directory.path().join("big.yaml");
    let text = "version: 1\nname: big\npeers: { hub: {}, ray: { count: 499 } }\n\
        links: [{ star: { hub: hub } }]\n\
        scenario: { steps: [{ rekey: { from: hub, to: ray-0 } }] }\n";
    fs::write(&file, text).expect("the directory is ours");
    let out = directory.path().join("runs");
    let output = dropbed(["run", &file.display().to_string(), "--runtime", "process", "--out"])
        .arg(&out)
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    for word in ["500 peers", "64", "estimate: at least", "memory", "--force"] {
        assert!(said.contains(word), "{word} in:\n{said}");
    }
    assert!(!out.exists(), "nothing was started");
}

/// Every topology that ships says in two lines what it shows, behind the one that
/// tells editors its schema.
#[test]
fn shipped_topologies_are_described() {
    for file in topologies() {
        let text = fs::read_to_string(&file).expect("it ships");
        let head: Vec<&str> = text.lines().take(3).collect();
        assert_eq!(head[0], "# yaml-language-server: $schema=schema.json", "{file}");
        assert!(head[1..].iter().all(|line| line.starts_with("# ")), "{file}: {head:?}");
    }
}

/// Every topology that ships is good.
#[test]
fn shipped_topologies_validate() {
    let files = topologies();
    for name in
        ["two-peer", "star-8", "full-mesh-4", "ring-5", "line-4", "mixed-links", "thirty-two"]
    {
        assert!(files.contains(&shipped(&format!("{name}.yaml"))), "{name} ships");
    }
    for path in files {
        let output = dropbed(["validate", &path]).output().expect("it runs");
        assert!(output.status.success(), "{path}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Every topology in the directory, beside which the schema lies.
fn topologies() -> Vec<String> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/topologies");
    let entries = fs::read_dir(directory).expect("topologies ship");
    let paths = entries.map(|entry| entry.expect("readable").path());
    let yaml = paths.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    yaml.map(|path| path.display().to_string()).collect()
}

/// Programs read one document, however many files are wrong.
#[test]
fn one_json_array_for_all_files() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let wrong: Vec<String> = ["first.yaml", "second.yaml"]
        .into_iter()
        .map(|name| {
            let file = directory.path().join(name);
            fs::write(&file, "version: 1\nversion: 2\n").expect("the directory is ours");
            file.display().to_string()
        })
        .collect();
    let all = [&wrong[0], &shipped("two-peer.yaml"), &wrong[1]];
    let validate = |files: &[&String]| {
        let output = dropbed(["validate", "--format", "json"]).args(files).output();
        let output = output.expect("it runs");
        let list: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one document");
        (output.status.code(), list.as_array().expect("a list").clone())
    };
    let (code, list) = validate(&all);
    assert_eq!(code, Some(2));
    for file in &wrong {
        let own: Vec<_> = list.iter().filter(|object| object["file"] == **file).collect();
        let twice = own.iter().find(|object| object["line"] == 2).expect("the second version");
        assert_eq!(twice["related"][0]["line"], 1, "{twice}");
        assert_eq!(twice["related"][0]["file"], **file, "{twice}");
    }
    assert_eq!(validate(&all[1..2]), (Some(0), Vec::new()));
}

#[test]
fn the_schema_is_printed_as_it_ships() {
    let output = dropbed(["schema"]).output().expect("it runs");
    assert!(output.status.success());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/topologies/schema.json");
    assert_eq!(output.stdout, fs::read(path).expect("the schema ships"));
}
