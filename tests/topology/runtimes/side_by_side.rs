//! Two runs of the same file at once.

use super::world::{Where, World};
use crate::support::{Need, Peer, has};

/// Tolerance of an RTT grows with it: 4 ms, which two runs on one machine do not
/// take from each other.
const SHAPE: &str = "{ rtt: 200ms }";

#[test]
fn both_pass() {
    for place in [Where::Process, Where::Docker] {
        if place == Where::Docker && !has(Need::Docker) {
            continue;
        }
        let steps = place.step("push", "mode: push,");
        let world = World::new(place, Peer::Reference, SHAPE, &steps, &[]);
        let pair = world.pair().map(crate::support::Run::start);
        let ended = pair.map(|mut running| {
            running.wait_for_line("starting");
            running
        });
        let ids: Vec<String> = ended.iter().map(crate::support::Running::run_id).collect();
        assert_ne!(ids[0], ids[1], "each is a run of its own");
        for ended in ended.map(crate::support::Running::finish) {
            let result = ended.result(0);
            assert_eq!(result["turns"][0]["steps"][0]["digest_equal"], true);
            ended.assert_nothing_left();
        }
    }
}
