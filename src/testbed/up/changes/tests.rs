use super::*;
use crate::testbed::topology::Topology;

const FILE: &str = "
version: 1
name: t
peers: { alice: {}, bob: {}, carol: {} }
links:
  - { a: alice, b: bob, both: { rtt: 10ms } }
  - { a: bob, b: carol, both: { rtt: 10ms } }
dataset:
  - { peer: alice, path: a.bin, size: 1KiB }
  - { peer: carol, path: c.bin, size: 1KiB }
scenario:
  steps:
    - transfer: { from: alice, to: bob, path: a.bin, mode: push }
";

fn plan(text: &str) -> Plan {
    let topology = Topology::parse("t.yaml", text, &[]).unwrap();
    crate::testbed::plan::plan(&topology).unwrap()
}

/// Everything of `old` stands, but for the peers that have ended.
fn told(old: &Plan, ended: &[&str], new: &Plan) -> Vec<String> {
    told_of(old, ended, new, |_| {})
}

fn told_of(
    old: &Plan,
    ended: &[&str],
    new: &Plan,
    otherwise: impl FnOnce(&mut Stands<'_>),
) -> Vec<String> {
    let started: Vec<&str> = old.peers.iter().map(|peer| peer.name.as_str()).collect();
    let running = started.iter().copied().filter(|name| !ended.contains(name)).collect();
    let links = old.links.iter().map(|link| link.name.as_str()).collect();
    let (drifted, is_other_executable) = (HashMap::new(), false);
    let mut stands = Stands { plan: old, running, started, links, drifted, is_other_executable };
    otherwise(&mut stands);
    let told = |change: Change| {
        (change.action != Action::Keep).then(|| {
            format!("{:?} {:?} {} {}", change.action, change.kind, change.name, change.why)
        })
    };
    changes(&stands, new).into_iter().filter_map(told).map(|line| line.trim().to_owned()).collect()
}

#[test]
fn the_same_plan_changes_nothing() {
    let old = plan(FILE);
    assert!(told(&old, &[], &old).is_empty());
}

#[test]
fn without_anything_all_is_created() {
    let changes = all_new(&plan(FILE));
    assert!(changes.iter().all(|change| change.action == Action::Create));
    let count = |kind| changes.iter().filter(|change| change.kind == kind).count();
    assert_eq!([Kind::Peer, Kind::Link, Kind::File].map(count), [3, 4, 2]);
}

#[test]
fn what_has_ended_takes_its_links_and_files_with_it() {
    let old = plan(FILE);
    assert_eq!(
        told(&old, &["carol"], &old),
        [
            "Replace Peer carol it has ended",
            "Replace Link bob:carol its listener is new",
            "Replace Link carol:bob its dialler is new",
            "Create File carol/c.bin",
        ]
    );
}

#[test]
fn another_shape_concerns_its_link_alone() {
    let old = plan(FILE);
    let new = plan(&FILE.replacen("10ms", "20ms", 1));
    assert_eq!(
        told(&old, &[], &new),
        ["Replace Link alice:bob its shape changed", "Replace Link bob:alice its shape changed",]
    );
}

#[test]
fn peers_come_and_go() {
    let old = plan(FILE);
    let without = FILE
        .replace(", carol: {}", ", dave: { mount: false }")
        .replace("b: carol", "b: dave")
        .replace("  - { peer: carol, path: c.bin, size: 1KiB }\n", "");
    assert_eq!(
        told(&old, &[], &plan(&without)),
        [
            "Create Peer dave",
            "Remove Peer carol",
            "Create Link bob:dave",
            "Create Link dave:bob",
            "Remove Link bob:carol",
            "Remove Link carol:bob",
        ]
    );
}

#[test]
fn another_setting_replaces_the_peer_and_another_size_the_file() {
    let old = plan(FILE);
    let new = FILE
        .replace("alice: {}", "alice: { rekey_bytes: 1MiB }")
        .replace("path: c.bin, size: 1KiB", "path: c.bin, size: 2KiB");
    assert_eq!(
        told(&old, &[], &plan(&new)),
        [
            "Replace Peer alice its settings changed",
            "Replace Link alice:bob its dialler is new",
            "Replace Link bob:alice its listener is new",
            "Create File alice/a.bin",
            "Replace File carol/c.bin its size or seed changed",
        ]
    );
}

#[test]
fn another_executable_replaces_every_peer() {
    let old = plan(FILE);
    let told = told_of(&old, &["carol"], &old, |stands| stands.is_other_executable = true);
    assert_eq!(
        told[..3],
        [
            "Replace Peer alice its executable or image changed",
            "Replace Peer bob its executable or image changed",
            "Replace Peer carol it has ended",
        ]
    );
}

#[test]
fn a_link_that_somebody_changed_is_replaced_and_says_what_it_was() {
    let old = plan(FILE);
    let what = || HashMap::from([("alice:bob".to_owned(), "toxic x is gone".to_owned())]);
    let drift = |stands: &mut Stands<'_>| stands.drifted = what();
    assert_eq!(told_of(&old, &[], &old, drift), ["Replace Link alice:bob toxic x is gone"]);
    // The file's own change is the better reason.
    let new = plan(&FILE.replacen("10ms", "20ms", 1));
    assert_eq!(
        told_of(&old, &[], &new, |stands| stands.drifted = what())[0],
        "Replace Link alice:bob its shape changed"
    );
}
