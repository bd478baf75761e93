use super::{GOOD, Topology, parse};
use crate::testbed::plan::{PeerPlan, Volume};
use crate::testbed::topology::resolved;

/// `GOOD` with this in place of its peers; all peers by name.
fn text(peers: &str) -> String {
    let (before, rest) = GOOD.split_once("peers:").unwrap();
    let (_, after) = rest.split_once("links:").unwrap();
    format!("{before}{peers}links:{after}")
}

fn peer(peers: &str, name: &str) -> PeerPlan {
    let topology = parse(&text(peers)).unwrap_or_else(|found| panic!("{found}"));
    let peer = topology.base().peers.iter().find(|peer| peer.name == name);
    peer.unwrap_or_else(|| panic!("no {name}")).clone()
}

const MERGED: &str = "\
defaults:
  peer: { rekey_bytes: 1MiB, environment: { A: default, B: default, C: default, D: default } }
profiles:
  base: { rekey_bytes: 2MiB, environment: { B: base, C: base, D: base }, resources: { cpus: 1 } }
  small: { profile: base, environment: { C: small, D: small }, resources: { memory: 64MiB } }
  dry: { profile: base, mount: false }
peers:
  alice: { profile: [small, dry], environment: { D: own } }
  bob: {}
";

#[test]
fn defaults_then_profiles_in_order_then_the_peer() {
    let alice = peer(MERGED, "alice");
    let environment: Vec<(&str, &str)> =
        alice.environment.iter().map(|(name, value)| (&**name, &**value)).collect();
    // `base` comes once, before `small`: `dry` does not bring its values back.
    assert_eq!(environment, [("A", "default"), ("B", "base"), ("C", "small"), ("D", "own")]);
    assert_eq!(alice.rekey_bytes, Some(2 << 20));
    assert_eq!(alice.resources.cpus_milli, Some(1000), "maps merge");
    assert_eq!(alice.resources.memory_bytes, Some(64 << 20));
    assert!(!alice.mount);
    let bob = peer(MERGED, "bob");
    assert_eq!((bob.mount, bob.rekey_bytes), (true, Some(1 << 20)));
}

#[test]
fn the_later_profile_wins() {
    let wins = |list: &str| {
        let peers = format!(
            "profiles: {{ a: {{ mount: true, rekey_bytes: 1MiB }}, b: {{ mount: false }} }}\n\
             peers:\n  alice: {{ profile: {list} }}\n  bob: {{}}\n"
        );
        let alice = peer(&peers, "alice");
        assert_eq!(alice.rekey_bytes, Some(1 << 20), "what only one says stays");
        alice.mount
    };
    assert!(!wins("[a, b]"));
    assert!(wins("[b, a]"));
    assert!(wins("a"));
}

#[test]
fn a_volume_is_replaced_whole_and_volumes_are_merged() {
    let peers = "\
defaults: { peer: { volumes: { share: { directory: /srv/, read_only: true }, state: { memory: 8MiB } } } }
peers:
  alice: { volumes: { share: { memory: 64MiB } } }
  bob: { volumes: { state: disk } }
";
    let alice = peer(peers, "alice").volumes;
    assert_eq!(alice.share, Volume::Memory { size_bytes: 64 << 20 });
    assert_eq!(alice.state, Volume::Memory { size_bytes: 8 << 20 });
    let bob = peer(peers, "bob").volumes;
    assert_eq!(bob.share, Volume::Directory { path: "/srv".to_owned(), read_only: true });
    assert_eq!(bob.state, Volume::Disk);
}

#[test]
fn what_is_resolved_shows_every_setting_and_every_variable() {
    let text = text(MERGED).replace("D: own", "D: \"$${own}\", E: \"${extra:-none}\"");
    let sets = ["rtt=7ms".to_owned(), "defaults.peer.rekey_bytes=1MiB".to_owned()];
    let topology = Topology::parse("test.yaml", &text, &sets).unwrap();
    let shown = resolved(&topology);
    insta::assert_snapshot!(shown);
    let plan = crate::testbed::plan::plan;
    assert_eq!(plan(&parse(&shown).unwrap()).unwrap(), plan(&topology).unwrap());
    let again = parse(&shown).unwrap();
    assert_eq!(resolved(&again), shown, "nothing is left to resolve");
}

#[test]
fn everything_there_is_can_be_resolved() {
    let text = crate::testbed::topology::schema::tests::EVERYTHING;
    let topology = parse(text).unwrap();
    let again = parse(&resolved(&topology)).unwrap();
    let plan = crate::testbed::plan::plan;
    assert_eq!(plan(&again).unwrap(), plan(&topology).unwrap());
}

#[test]
fn a_variable_that_only_has_a_default_can_be_set() {
    let text = GOOD.replace("rekey_bytes: 4MiB", "rekey_bytes: \"${keys:-4MiB}\"");
    let rekey = |sets: &[&str]| {
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        Topology::parse("test.yaml", &text, &sets).unwrap().base().peers[1].rekey_bytes
    };
    assert_eq!(rekey(&[]), Some(4 << 20));
    assert_eq!(rekey(&["keys=8MiB"]), Some(8 << 20));
    assert_eq!(rekey(&["vars.keys=8MiB"]), Some(8 << 20));
}

#[test]
fn anchors_in_the_files_own_keys_can_be_used_elsewhere() {
    let peers = "x-common: &common { mount: false, environment: { A: \"${rtt}\" } }\n\
                 peers:\n  alice: *common\n  bob: {}\n";
    let alice = peer(peers, "alice");
    assert!(!alice.mount);
    assert_eq!(alice.environment["A"], "50ms", "taken as written only where it is the file's own");
}

/// Every map takes keys of the file's own, and leaves what is in them alone.
#[test]
fn own_keys_in_every_map() {
    let text = "\
x-a: { x-b: \"${no}\" }
version: 1
name: two
vars: { x-a: [1], rtt: 1ms }
matrix: { x-a: 1, rtt: [1ms] }
run: { x-a: 1 }
defaults: { x-a: 1, peer: { x-a: 1 } }
profiles: { x-a: 1, small: { x-a: \"${no}\" } }
peers:
  x-a: 1
  alice: { x-a: \"${no}\", environment: { x-a: 1 }, resources: { x-a: 1 }, volumes: { x-a: 1 } }
  bob: { volumes: { share: { x-a: 1, memory: 64MiB } } }
links:
  - { x-a: 1, a: alice, b: bob, both: { x-a: 1 }, a_to_b: { x-a: 1 } }
dataset: [{ x-a: 1, peer: alice, path: f, size: 1B }]
scenario:
  x-a: 1
  steps:
    - x-a: 1
      transfer: { x-a: 1, from: alice, to: bob, path: f, mode: push, expect: { x-a: 1 } }
    - rekey: { x-a: 1, from: alice, to: bob }
";
    let topology = parse(text).unwrap_or_else(|found| panic!("{found}"));
    let names: Vec<&str> = topology.base().peers.iter().map(|peer| &*peer.name).collect();
    assert_eq!(names, ["alice", "bob"]);
    assert!(topology.base().peers[0].environment.is_empty());
    for group in ["full_mesh: { x-a: 1 }", "star: { x-a: 1, hub: alice, to_hub: { x-a: 1 } }"] {
        let link = "{ x-a: 1, a: alice, b: bob, both: { x-a: 1 }, a_to_b: { x-a: 1 } }";
        parse(&text.replace(link, &format!("{{ x-a: 1, {group} }}"))).unwrap();
    }
}
