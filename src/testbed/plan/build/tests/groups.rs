//! Links by shape, and datasets of many files.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{Plan, StepPlan, json, plan_of};
use crate::testbed::plan::Entropy;
use crate::testbed::topology::Topology;

fn text(peers: &str, links: &str, from: &str, to: &str) -> String {
    format!(
        "version: 1\nname: x\npeers: {{ {peers} }}\nlinks: [{links}]\n\
         scenario: {{ steps: [{{ rekey: {{ from: {from}, to: {to} }} }}] }}\n"
    )
}

fn names(plan: &Plan) -> Vec<&str> {
    plan.links.iter().map(|link| link.name.as_str()).collect()
}

fn mistakes(text: &str) -> String {
    match Topology::parse("test.yaml", text, &[]) {
        Ok(_) => panic!("no mistake is found in:\n{text}"),
        Err(found) => found.excerpts(false),
    }
}

#[test]
fn a_ring_closes_and_a_line_does_not() {
    let ring = plan_of(&text("n: { count: 4 }", "{ ring: {} }", "n-0", "n-3"));
    assert_eq!(
        names(&ring),
        ["n-0:n-1", "n-1:n-0", "n-1:n-2", "n-2:n-1", "n-2:n-3", "n-3:n-2", "n-3:n-0", "n-0:n-3"]
    );
    let line = plan_of(&text("n: { count: 3 }", "{ line: {} }", "n-0", "n-1"));
    assert_eq!(names(&line), ["n-0:n-1", "n-1:n-0", "n-1:n-2", "n-2:n-1"]);
}

#[test]
fn neighbours_have_directions() {
    let links = "{ ring: { rtt: 10ms, forward: { rate: 8Mbit/s }, backward: { latency: 1ms } } }";
    let plan = plan_of(&text("n: { count: 3 }", links, "n-0", "n-1"));
    for link in &plan.links {
        let number = |name: &str| name.trim_start_matches("n-").parse::<usize>().unwrap();
        let is_forward = (number(&link.dialler) + 1) % 3 == number(&link.listener);
        let (forward, backward) = if is_forward {
            (link.shape.up, link.shape.down)
        } else {
            (link.shape.down, link.shape.up)
        };
        assert_eq!((forward.latency_us, forward.rate_bits_per_s), (5_000, Some(8_000_000)));
        assert_eq!((backward.latency_us, backward.rate_bits_per_s), (1_000, None));
    }
}

#[test]
fn a_tree_grows_in_file_order() {
    let links = "{ tree: { arity: 3, preset: dsl } }";
    let plan = plan_of(&text("n: { count: 6 }", links, "n-0", "n-1"));
    let to_root: Vec<&str> = names(&plan).into_iter().step_by(2).collect();
    assert_eq!(to_root, ["n-1:n-0", "n-2:n-0", "n-3:n-0", "n-4:n-1", "n-5:n-1"]);
    // The child has the slow side.
    assert_eq!(plan.links[0].shape.up.rate_bits_per_s, Some(384_000));
    let two = plan_of(&text("n: { count: 4 }", "{ tree: {} }", "n-0", "n-1"));
    assert_eq!(names(&two)[4], "n-3:n-1");
}

#[test]
fn some_peers_by_name_and_by_group() {
    let peers = "hub: {}, ray: { count: 3 }, far: {}";
    let links = "{ star: { hub: hub, peers: [ray] } }, { line: { peers: [far, ray-2, ray-0] } }";
    let plan = plan_of(&text(peers, links, "hub", "ray-0"));
    let first: Vec<&str> = names(&plan).into_iter().step_by(2).collect();
    assert_eq!(first, ["ray-0:hub", "ray-1:hub", "ray-2:hub", "far:ray-2", "ray-2:ray-0"]);
}

#[test]
fn mistakes_in_groups() {
    let of = |links: &str| mistakes(&text("a: {}, ray: { count: 3 }", links, "a", "ray-0"));
    let all = [
        "{ ring: { peers: [a, ray-0] } }",
        "{ ring: { preset: dsl } }",
        "{ line: { peers: [a, ray, ray-1] } }",
        "{ line: { peers: [a, rey] } }",
        "{ full_mesh: {} }, { ring: { rtt: 1ms } }",
        "{ line: { peers: [a, ray-0] }, star: { hub: ray-1, peers: [ray-2] } }",
        "{ star: { hub: a, peers: [a] } }",
        "{ tree: { arity: 0, to_hub: {} } }",
        "{ ring: { forward: { rtt: 1ms } } }",
    ];
    insta::assert_snapshot!(all.map(of).join("\n"));
}

#[test]
fn a_mesh_that_is_too_large_is_not_made() {
    let said = mistakes(&text("p: { count: 1200 }", "{ full_mesh: {} }", "p-0", "p-1"));
    assert!(said.contains("a full mesh of 1200 peers has 1438800 links"), "{said}");
    let cells = "vars: { rtt: 0ms }\nmatrix: { rtt: [1ms, 2ms, 3ms, 4ms, 5ms] }\n";
    let mesh = text("p: { count: 1000 }", "{ full_mesh: { rtt: \"${rtt}\" } }", "p-0", "p-1");
    let said = mistakes(&format!("{mesh}{cells}"));
    assert!(said.contains("5 cells of 999000 links are too many"), "{said}");
}

/// As large as the issue asks for; how long it takes is for a release build to say.
#[test]
fn a_mesh_of_a_thousand_peers_plans() {
    let plan = plan_of(&text("p: { count: 1000 }", "{ full_mesh: { rtt: 10ms } }", "p-0", "p-9"));
    assert_eq!(plan.links.len(), 999_000);
    assert_eq!(plan.limits.len(), 2);
    let words = super::render(&plan);
    assert!(words.contains("and 998960 more links"), "{words}");
    assert!(words.lines().count() < 250, "{}", words.lines().count());
}

#[test]
fn networks_come_from_the_range_and_have_room_in_it() {
    let base = text("n: { count: 3 }", "{ line: {} }", "n-0", "n-1");
    assert_eq!(plan_of(&base).networks.range, "10.213.0.0/16");
    let plan = plan_of(&format!("{base}network: {{ range: 10.99.0.0/26 }}\n"));
    let prefixes: Vec<(&str, u8)> =
        plan.networks.list.iter().map(|network| (network.name.as_str(), network.prefix)).collect();
    assert_eq!(prefixes, [("management", 28), ("net-n-0", 28), ("net-n-1", 28), ("net-n-2", 28)]);
    let of = |range: &str| mistakes(&format!("{base}network: {{ range: {range} }}\n"));
    let ranges = ["10.99.0.0/27", "10.99.0.1/16", "10.99.0.0", "127.0.0.0/8", "10.0.0.0/33"];
    let many = text("n: { count: 4096 }", "{ line: {} }", "n-0", "n-1");
    insta::assert_snapshot!([ranges.map(of).join("\n"), mistakes(&many)].join("\n"));
}

fn files(dataset: &str, path: &str) -> String {
    format!(
        "version: 1\nname: x\npeers: {{ a: {{}}, b: {{}} }}\nlinks: [{{ line: {{}} }}]\n\
         dataset: [{dataset}]\n\
         scenario: {{ steps: [{{ transfer: {{ from: a, to: b, path: {path}, mode: push }} }}] }}\n"
    )
}

fn transferred(plan: &Plan) -> &str {
    let StepPlan::Transfer(transfer) = &plan.cells[0].steps[0] else { panic!("a transfer") };
    &plan.samples[transfer.sample].path
}

#[test]
fn many_files_by_number() {
    let dataset = "{ peer: a, path: \"d/#.bin\", size: 1KiB, count: 3, entropy: text }";
    let plan = plan_of(&files(dataset, "d/2.bin"));
    let paths: Vec<&str> = plan.samples.iter().map(|sample| sample.path.as_str()).collect();
    assert_eq!(paths, ["d/0.bin", "d/1.bin", "d/2.bin"]);
    assert!(plan.samples.iter().all(|sample| sample.entropy == Entropy::Text));
    let seeds: BTreeSet<u64> = plan.samples.iter().map(|sample| sample.seed).collect();
    assert_eq!(seeds.len(), 3, "three different files");
    assert_eq!(transferred(&plan), "d/2.bin");
    assert_eq!(transferred(&plan_of(&files(dataset, "\"d/#1.bin\""))), "d/1.bin");
    assert_eq!(plan.estimate.disk_bytes, 3 << 10);
    // Without a number, the character is one like any other.
    let one = "{ peer: a, path: \"c#\", size: 1KiB }";
    assert_eq!(transferred(&plan_of(&files(one, "\"c#\""))), "c#");
}

#[test]
fn odd_names_by_number() {
    let dataset = "{ peer: a, path: \"odd/#\", size: 1KiB, count: 24, names: odd }";
    let plan = plan_of(&files(dataset, "\"odd/#4\""));
    assert_eq!(plan.samples.len(), 24);
    assert_eq!(transferred(&plan), plan.samples[4].path);
    assert_eq!(plan.samples[4].path.len(), "odd/".len() + 255);
    assert_eq!(json(&plan), json(&plan_of(&files(dataset, "\"odd/#4\""))));
}

#[test]
fn mistakes_in_datasets() {
    let of = |entry: &str| mistakes(&files(&format!("{{ peer: a, size: 1KiB, {entry} }}"), "f"));
    let all = [
        "path: f, count: 2",
        "path: \"f/#/#\", count: 2",
        "path: \"f-#\", names: odd",
        "path: \"f/#\", names: strange",
        "path: f, entropy: noise",
        "path: f, count: 0",
        "path: \"#\", count: 2",
        "path: \"1\" }, { peer: a, size: 1KiB, path: \"#\", count: 3",
    ];
    let too_large = "path: \"f/#\", count: 10000, size: 1TiB";
    let too_large = mistakes(&files(&format!("{{ peer: a, {too_large} }}"), "f/1"));
    insta::assert_snapshot!([all.map(of).join("\n"), too_large].join("\n"));
}

#[test]
fn mistakes_in_parallel_steps() {
    let of = |steps: &str| {
        let base = files("{ peer: a, path: f, size: 1KiB }", "f");
        let (head, _) = base.split_once("scenario:").unwrap();
        mistakes(&format!("{head}scenario:\n  steps:\n    - parallel: [{steps}]\n"))
    };
    let one = |name: &str| {
        format!("{{ transfer: {{ name: {name}, from: a, to: b, path: f, mode: push }} }}")
    };
    let all = [
        one("alone"),
        [one("first"), one("second")].join(", "),
        [one("first"), "{ rekey: { from: a, to: b }, transfer: {} }".to_owned()].join(", "),
        [one("first"), "{ parallel: [] }".to_owned()].join(", "),
        [one("same"), "{ rekey: { name: same, from: b, to: a } }".to_owned()].join(", "),
    ];
    insta::assert_snapshot!(all.map(|steps| of(&steps)).join("\n"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// As many links as the shape has, each pair once, both ends dialling.
    #[test]
    fn shapes_have_their_links(
        peers in 3_usize..40,
        (kind, pairs) in prop_oneof![
            Just(("full_mesh", None)),
            Just(("ring", Some(0))),
            Just(("line", Some(1))),
            Just(("tree", Some(1))),
        ],
    ) {
        let links = format!("{{ {kind}: {{ rtt: 2ms }} }}");
        let plan = plan_of(&text(&format!("n: {{ count: {peers} }}"), &links, "n-0", "n-1"));
        let pairs = pairs.map_or(peers * (peers - 1) / 2, |fewer| peers - fewer);
        prop_assert_eq!(plan.links.len(), 2 * pairs);
        let names: BTreeSet<&str> = names(&plan).into_iter().collect();
        prop_assert_eq!(names.len(), plan.links.len());
        for link in &plan.links {
            let back = format!("{}:{}", link.listener, link.dialler);
            prop_assert!(names.contains(back.as_str()));
        }
    }
}
