//! A peer of less than the whole contract, and one that does wrong: what no assertion
//! depends on is left out and told, and nothing that was not checked passes.

use super::world::{Where, World};
use crate::support::{Need, Peer, has};

/// What a run of these steps says, with this exit code: its reasons and warnings.
fn says(shape: &str, steps: &str, of_owner: &[(&str, &str)], code: i32) -> String {
    says_with("defaults.peer.mount=false", shape, steps, of_owner, code)
}

fn says_with(set: &str, shape: &str, steps: &str, of_owner: &[(&str, &str)], code: i32) -> String {
    let world = World::new(Where::Process, Peer::Reference, shape, steps, of_owner);
    let ended = world.run().set(set).finish();
    let result = ended.result(code);
    ended.assert_nothing_left();
    format!("{} {}", result["reasons"], result["warnings"])
}

#[test]
fn bytes_that_are_wrong() {
    let steps = Where::Process.step("push", "mode: push,");
    let said = says("{ rtt: 0ms }", &steps, &[("REFERENCE_FAULT", "flip")], 1);
    assert!(said.contains("BLAKE3 of the received bytes differs"), "{said}");
}

#[test]
fn a_step_that_the_peer_cannot_do() {
    let cases = [
        (Where::Process.step("push", "mode: push, rekey_at: [50%],"), "no rekey_at_bytes"),
        (Where::Process.step("push", "mode: push, lanes: 2,"), "no lanes"),
        // Nothing is asked of the peer, but the count would be made up.
        (Where::Process.step("push", "mode: push, expect: { rekeys: 1 },"), "no session counters"),
    ];
    for (steps, expected) in cases {
        let said = says("{ rtt: 0ms }", &steps, &[], 4);
        assert!(said.contains(expected) && said.contains("docs/peer-contract.md"), "{said}");
    }
}

#[test]
fn a_mount_that_the_peer_does_not_make() {
    if !has(Need::Fuse) {
        return;
    }
    let mounting = "defaults.peer.mount=true";
    let push = Where::Process.step("push", "mode: push,");
    let said = says_with(mounting, "{ rtt: 0ms }", &push, &[], 0);
    assert!(said.contains("told to mount and has not"), "{said}");
    let read = Where::Process.step("mount", "mode: mount,");
    let said = says_with(mounting, "{ rtt: 0ms }", &read, &[], 4);
    assert!(said.contains("no ReadMount"), "{said}");
}

#[test]
fn a_rate_that_cannot_be_proved() {
    let steps = Where::Process.step("push", "mode: push,");
    let said = says("{ rtt: 0ms, rate: 200Mbit/s }", &steps, &[], 0);
    assert!(said.contains("no Burst") && said.contains("is not proved"), "{said}");
}
