use super::*;
use crate::testbed::topology::Topology;

fn plan(links: &[&str]) -> Plan {
    let links: String = links
        .iter()
        .map(|link| {
            let (a, b) = link.split_once(':').unwrap();
            format!("  - {{ a: {a}, b: {b}, both: {{ rtt: 10ms }} }}\n")
        })
        .collect();
    let text = format!(
        "version: 1\nname: t\npeers: {{ a: {{}}, b: {{}}, c: {{}} }}\nlinks:\n{links}\
         dataset: [{{ peer: a, path: f, size: 1KiB }}]\nscenario:\n  steps:\n    \
         - transfer: {{ from: a, to: b, path: f, mode: push }}\n"
    );
    let topology = Topology::parse("t.yaml", &text, &[]).unwrap();
    crate::testbed::plan::plan(&topology).unwrap()
}

fn told(old: &[&str], new: &[&str], kept: &[&str]) -> Vec<String> {
    let kept = kept.iter().map(|name| (*name).to_owned()).collect();
    let pairs = pairs(&plan(old), &plan(new), &kept);
    pairs.into_iter().map(|(keeper, gone)| format!("{keeper} forgets {gone}")).collect()
}

#[test]
fn the_same_links_leave_all_as_they_are() {
    let links = ["a:b", "b:c"];
    assert!(told(&links, &links, &["a", "b", "c"]).is_empty());
}

#[test]
fn a_removed_peer_is_forgotten_by_those_that_stay() {
    assert_eq!(told(&["a:b", "b:c"], &["a:b"], &["a", "b"]), ["b forgets c"]);
}

/// One that is started anew knows nobody yet, and is told to the others under its new id.
#[test]
fn a_removed_link_alone_is_forgotten_at_both_ends() {
    assert_eq!(told(&["a:b", "b:c"], &["a:b"], &["a", "b", "c"]), ["b forgets c", "c forgets b"]);
    assert_eq!(told(&["a:b", "b:c"], &["a:b", "a:c"], &["c"]), ["c forgets b"]);
}
