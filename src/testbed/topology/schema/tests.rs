use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::{Kind, Map, TOPOLOGY, is_own_key, json};
use crate::testbed::topology::tests::parse;
use crate::testbed::topology::tree::{self, Entry, Meaning, Node, Value};

/// Every key there is, somewhere.
pub(crate) const EVERYTHING: &str = "\
version: 1
name: everything
seed: 3
vars: { rtt: 10ms }
matrix: { rtt: [10ms, 20ms] }
run: { repetitions: 2, warmup: 1, order: sequential, deadline: 5min }
defaults:
  peer:
    mount: false
    privileged: false
    rekey_bytes: 2MiB
    environment: { RUST_LOG: warn }
    resources: { memory: 1GiB }
    volumes: { state: { memory: 64MiB } }
profiles:
  base:
    mount: true
    privileged: false
    rekey_bytes: 4MiB
    environment: { RUST_LOG: debug }
    volumes: { state: disk }
  small: { profile: base, resources: { cpus: 0.5, memory: 64MiB } }
peers:
  alice:
    profile: [small]
    mount: true
    privileged: false
    rekey_bytes: 8MiB
    environment: { RUST_LOG: info }
    resources: { cpus: 2 }
    volumes: { share: { memory: 256MiB }, state: disk }
  bob: { count: 2, volumes: { share: { directory: /srv/films, read_only: true } } }
links:
  - a: alice
    b: bob-0
    dial: both
    both: { preset: lan, rtt: \"${rtt}\" }
    a_to_b: { latency: 5ms, jitter: 1ms, rate: 100Mbit/s, rate_scope: link }
    b_to_a: { rate: unlimited }
  - { a: alice, b: bob-1 }
network: { range: 10.9.0.0/16 }
dataset:
  - { peer: alice, path: big.bin, size: 64MiB }
  - { peer: alice, path: \"many/#\", size: 1kB, count: 3, entropy: text, names: odd }
scenario:
  deadline: 30s
  steps:
    - transfer:
        name: pull
        from: alice
        to: bob-0
        path: big.bin
        mode: request-response
        chunk: 1MiB
        depth: 4
        rekey_at: [50%]
        expect: { rekeys: 2 }
        to_file: true
        deadline: 20s
    - rekey: { name: again, from: alice, to: bob-0 }
    - parallel:
        - transfer: { from: alice, to: bob-1, path: \"many/#2\", mode: push, lanes: 2 }
        - rekey: { from: alice, to: bob-0 }
";

/// Links that cannot be in one file with the others.
const GROUPS: [[&str; 2]; 5] = [
    ["full_mesh", "peers: [alice, bob]"],
    ["star", "peers: [bob, alice], hub: alice, to_hub: { rate: 2MB/s }, from_hub: { rate: 3MB/s }"],
    ["ring", "peers: [bob, alice], forward: { rate: 2MB/s }, backward: { rate: 3MB/s }"],
    ["line", "peers: [bob-0, alice, bob-1], forward: { rate: 2MB/s }, backward: { rate: 3MB/s }"],
    ["tree", "peers: [alice, bob], arity: 2, to_root: { rate: 2MB/s }, from_root: { rate: 3MB/s }"],
];

/// What the groups have in common. `rtt` is in place of `latency`, in the pair.
const GROUP_SHAPE: &str = "preset: lan, latency: 2ms, jitter: 1ms, rate: 1MB/s, rate_scope: link";

fn everything() -> Vec<String> {
    let start = EVERYTHING.find("  - a: alice").unwrap();
    let end = EVERYTHING.find("network:").unwrap();
    let links = &EVERYTHING[start..end];
    let groups = GROUPS.iter().map(|[group, own]| {
        EVERYTHING.replace(links, &format!("  - {group}: {{ {GROUP_SHAPE}, {own} }}\n"))
    });
    std::iter::once(EVERYTHING.to_owned()).chain(groups).collect()
}

fn shipped() -> Vec<(PathBuf, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("topologies");
    let paths = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let yaml = paths.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    yaml.map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

fn tree_of(text: &str) -> Node {
    tree::parse(text, 0, &mut Vec::new()).unwrap()
}

/// A key that is used: the table it is of, its name, and the way to its value.
type Used = (&'static str, &'static str, Vec<usize>);

/// Appends every key below a value of this kind.
fn walk(node: &Node, kind: &Kind, way: &[usize], used: &mut Vec<Used>) {
    let step = |index: usize| [way, &[index]].concat();
    match (kind, &node.value) {
        (Kind::Map(map), Value::Mapping(entries)) => {
            for (index, entry) in entries.iter().enumerate().filter(|(_, e)| !is_own_key(&e.key)) {
                let key = map.key(&entry.key);
                used.push((map.name, key.name, step(index)));
                walk(&entry.value, &key.kind, &step(index), used);
            }
        }
        (Kind::Named { value, .. }, Value::Mapping(entries)) => {
            for (index, entry) in entries.iter().enumerate() {
                walk(&entry.value, value, &step(index), used);
            }
        }
        (Kind::List(item), Value::Sequence(items)) => {
            for (index, node) in items.iter().enumerate() {
                walk(node, item, &step(index), used);
            }
        }
        (Kind::Either(kinds), Value::Mapping(entries)) => {
            let takes = |map: &'static Map, entry: &Entry| map.names().contains(&&*entry.key);
            let kind = kinds.iter().find(|kind| {
                matches!(kind, Kind::Map(map) if entries.iter().any(|entry| takes(map, entry)))
            });
            walk(node, kind.expect("one of them takes it"), way, used);
        }
        _ => {}
    }
}

fn used_in(text: &str) -> Vec<Used> {
    let mut used = Vec::new();
    walk(&tree_of(text), &Kind::Map(&TOPOLOGY), &[], &mut used);
    used
}

/// Every key of every table that can be reached.
fn all_keys(kind: &Kind, known: &mut BTreeSet<(&'static str, &'static str)>) {
    match kind {
        Kind::Map(map) => {
            for key in map.keys() {
                known.insert((map.name, key.name));
                all_keys(&key.kind, known);
            }
        }
        Kind::List(value) | Kind::Named { value, .. } => all_keys(value, known),
        Kind::Either(kinds) => kinds.iter().for_each(|kind| all_keys(kind, known)),
        _ => {}
    }
}

/// `everything` with what stands at `way` replaced by what no key takes.
fn with_nonsense(node: &mut Node, way: &[usize]) {
    let Some((index, rest)) = way.split_first() else {
        let empty = Node { span: node.span, value: Value::Sequence(Vec::new()) };
        node.value = Value::Sequence(vec![empty]);
        return;
    };
    match &mut node.value {
        Value::Mapping(entries) => with_nonsense(&mut entries[*index].value, rest),
        Value::Sequence(items) => with_nonsense(&mut items[*index], rest),
        Value::Scalar(_) => unreachable!("nothing is below a scalar"),
    }
}

#[test]
fn every_key_of_the_tables_is_read_by_the_decoder() {
    let mut wanted = BTreeSet::new();
    all_keys(&Kind::Map(&TOPOLOGY), &mut wanted);
    for text in everything() {
        parse(&text).unwrap_or_else(|found| panic!("{found}"));
        for (map, key, way) in used_in(&text) {
            let mut tree = tree_of(&text);
            with_nonsense(&mut tree, &way);
            let damaged = tree::emit(&tree);
            assert!(parse(&damaged).is_err(), "`{key}` of `{map}` is not looked at:\n{damaged}");
            wanted.remove(&(map, key));
        }
    }
    // The shapes of links are the same tables wherever they stand.
    let shapes = ["way", "shape"];
    wanted.retain(|(map, _)| !shapes.contains(map));
    let groups = ["full_mesh", "star", "neighbours", "tree"].map(|group| (group, "rtt"));
    assert_eq!(wanted, BTreeSet::from(groups), "keys that no test uses");
}

#[test]
fn the_shipped_schema_is_the_printed_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("topologies/schema.json");
    let shipped = std::fs::read_to_string(path).unwrap();
    assert!(shipped == json(), "run: dropbed schema > topologies/schema.json");
}

#[test]
fn every_shipped_topology_tells_editors_its_schema() {
    for (path, text) in shipped() {
        let first = text.lines().next();
        assert_eq!(first, Some("# yaml-language-server: $schema=schema.json"), "{path:?}");
    }
}

/// Whether the schema takes a value; patterns of texts apart, which the tables of
/// units make.
fn takes(schema: &Json, node: &Node, root: &Json) -> bool {
    let all = |keyword: &str, holds: &dyn Fn(&Json) -> bool| schema.get(keyword).is_none_or(holds);
    if let Some(reference) = schema.get("$ref") {
        let name = reference.as_str().unwrap().strip_prefix("#/").unwrap();
        let defined = root.pointer(&format!("/{name}")).expect("it is defined");
        return takes(defined, node, root);
    }
    all("anyOf", &|any| any.as_array().unwrap().iter().any(|schema| takes(schema, node, root)))
        && all("oneOf", &|one| {
            one.as_array().unwrap().iter().filter(|schema| takes(schema, node, root)).count() == 1
        })
        && all("type", &|types| has_type(types, node))
        && all("enum", &|words| {
            matches!(&node.value, Value::Scalar(scalar)
                if words.as_array().unwrap().contains(&scalar.text.as_str().into()))
        })
        && all("items", &|items| match &node.value {
            Value::Sequence(nodes) => nodes.iter().all(|node| takes(items, node, root)),
            _ => false,
        })
        && all("required", &|keys| {
            keys.as_array().unwrap().iter().all(|key| node.child(key.as_str().unwrap()).is_some())
        })
        && match (&node.value, schema.get("additionalProperties")) {
            (Value::Mapping(entries), Some(_)) => {
                entries.iter().all(|entry| takes_entry(schema, entry, root))
            }
            _ => true,
        }
}

fn takes_entry(schema: &Json, entry: &Entry, root: &Json) -> bool {
    if is_own_key(&entry.key) {
        return schema["patternProperties"]["^x-"] == Json::Bool(true);
    }
    let property = schema.get("properties").and_then(|properties| properties.get(&entry.key));
    let mut patterns = schema["patternProperties"].as_object().unwrap().iter();
    let named = patterns.find(|(pattern, _)| *pattern != "^x-").map(|(_, schema)| schema);
    property.or(named).is_some_and(|schema| takes(schema, &entry.value, root))
}

fn has_type(types: &Json, node: &Node) -> bool {
    let is: &[&str] = match &node.value {
        Value::Mapping(_) => &["object"],
        Value::Sequence(_) => &["array"],
        Value::Scalar(scalar) => match scalar.meaning() {
            Meaning::Null => &["null"],
            Meaning::Boolean(_) => &["boolean"],
            Meaning::Integer(_) => &["integer", "number"],
            Meaning::Text(text) if scalar.plain && text.parse::<f64>().is_ok() => &["number"],
            Meaning::Text(_) => &["string"],
        },
    };
    let allowed: Vec<&str> = match types {
        Json::Array(types) => types.iter().filter_map(Json::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    };
    is.iter().any(|name| allowed.contains(name))
}

#[test]
fn the_schema_takes_what_the_decoder_takes() {
    let schema: Json = serde_json::from_str(&json()).unwrap();
    let good = shipped().into_iter().map(|(_, text)| text).chain(everything());
    for text in good {
        let node = tree_of(&text);
        assert!(takes(&schema, &node, &schema), "refused:\n{text}");
        for (map, key, way) in used_in(&text) {
            let mut damaged = node.clone();
            with_nonsense(&mut damaged, &way);
            assert!(!takes(&schema, &damaged, &schema), "nonsense for `{key}` of `{map}` is taken");
        }
    }
    for wrong in ["nmae: two", "peers: { alice: { mounts: true } }", "version: 1\nname: [a]"] {
        assert!(!takes(&schema, &tree_of(wrong), &schema), "{wrong}");
    }
}

#[test]
fn a_step_may_ask_for_the_lanes_that_a_daemon_has() {
    let lanes_max = u64::from(crate::secure::lane::LANES_MAX);
    assert_eq!(crate::testbed::topology::defaults::LANES_MAX, lanes_max);
}
