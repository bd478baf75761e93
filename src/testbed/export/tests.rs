use std::path::Path;

use super::{compose, seen_from_compose};
use crate::testbed::plan::{Plan, load};

fn shipped_plan(name: &str, sets: &[&str]) -> Plan {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("topologies").join(name);
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    load(&path, &sets).unwrap_or_else(|found| panic!("{found}")).1
}

#[test]
fn the_two_peer_rendering() {
    let plan = shipped_plan("two-peer.yaml", &[]);
    let file = seen_from_compose(Path::new("./topologies/two-peer.yaml"));
    assert_eq!(file, "../topologies/two-peer.yaml");
    assert_eq!(seen_from_compose(Path::new("/t.yaml")), "/t.yaml");
    insta::assert_snapshot!(compose(&plan, &file));
}

#[test]
fn privileged_replaces_the_single_rights() {
    let plan = shipped_plan("two-peer.yaml", &["peers.bob.privileged=true"]);
    let text = compose(&plan, "t.yaml");
    assert_eq!(text.matches("privileged: true").count(), 1);
    assert_eq!(text.matches("SYS_ADMIN").count(), 1, "alice still asks for the least");
}

#[test]
fn a_peer_without_a_mount_asks_for_nothing() {
    let text = compose(&shipped_plan("latency-sweep.yaml", &[]), "t.yaml");
    for right in ["SYS_ADMIN", "/dev/fuse", "apparmor", "privileged", "DROPD_MOUNT"] {
        assert!(!text.contains(right), "{right}");
    }
}

/// Only the proxy may reach more than one peer's network.
#[test]
fn peers_share_no_network_but_the_management() {
    let plan = shipped_plan("three-peer.yaml", &[]);
    let text = compose(&plan, "t.yaml");
    for peer in &plan.peers {
        let joined = text.matches(&format!("      net-{}:\n        aliases", peer.name)).count();
        assert_eq!(joined, 2, "{} and the proxy", peer.name);
    }
    assert_eq!(text.matches("      management:\n        aliases").count(), plan.peers.len() + 2);
}

#[test]
fn what_a_user_wrote_cannot_leave_its_quotes() {
    let value = r#"peers.bob.environment={ NOTE: "a: \"b\" ${HOME} $x" }"#;
    // A dollar sign of the environment is not a variable of the topology.
    let plan = shipped_plan("two-peer.yaml", &[&value.replace("${HOME}", "$${HOME}")]);
    let text = compose(&plan, "t.yaml");
    assert!(text.contains(r#"NOTE: "a: \"b\" $${HOME} $$x""#), "{text}");
}
