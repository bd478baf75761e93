//! A peer that ends in the middle of a transfer.

use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::process::Signal;
use serde_json::Value;

use super::world::{Where, World};
use crate::support::{Need, Peer, has};

/// From the kill to the run's end.
const NOTICED_WITHIN_MS: u64 = 1_000;

/// Sixteen round trips of 200 ms: long enough to be met in the middle.
const SLOW: &str = "mode: request-response, chunk: 128KiB, depth: 1,";

pub(super) fn in_the_middle(place: Where, peer: Peer) {
    let mut world = World::new(place, peer, "{ rtt: 200ms }", &place.step("slow", SLOW), &[]);
    let mut running = world.run().start();
    running.wait_for_line("  slow");
    let since_start = since_start(&running.directory());
    match &mut world.attached {
        Some(attached) => attached.kill_owner(),
        None => {
            let owner = running.daemon_of(place.names()[0]);
            rustix::process::kill_process(owner, Signal::KILL).expect("it is alive");
        }
    }
    let ended = running.finish();
    let result = ended.result(4);
    assert_eq!(result["outcome"], "error");
    let event = ended_event(&ended.directory);
    let killed_ms = u64::try_from(since_start.as_millis()).expect("a short run");
    let ended_ms = event["t_ms"].as_u64().expect("a time");
    let took_ms = ended_ms.saturating_sub(killed_ms);
    eprintln!("{} with {peer:?}: ended {took_ms} ms after the kill", place.name());
    assert!(took_ms <= NOTICED_WITHIN_MS, "the run ended {took_ms} ms after the kill");
    let reasons = result["reasons"].to_string();
    match place {
        // Nobody tells an attached run how a peer ended: what it asked has failed.
        Where::Attach => assert!(reasons.contains("step `slow`"), "{reasons}"),
        Where::Process | Where::Docker => {
            assert!(
                reasons.contains(&format!("{} ended by itself", place.names()[0])),
                "{reasons}"
            );
            let signal = if place == Where::Docker { "signal 9" } else { "SIGKILL" };
            assert!(reasons.contains(signal), "{reasons}");
            assert!(reasons.contains("ready"), "its last log lines are shown: {reasons}");
        }
    }
    ended.assert_nothing_left();
}

/// An exit code is told as one.
#[test]
fn a_peer_that_ends_by_itself() {
    for place in [Where::Process, Where::Docker] {
        if place == Where::Docker && !has(Need::Docker) {
            continue;
        }
        let fault = [("REFERENCE_FAULT", "exit=7")];
        let steps = place.step("push", "mode: push,");
        let world = World::new(place, Peer::Reference, "{ rtt: 0ms }", &steps, &fault);
        let ended = world.run().finish();
        let reasons = ended.result(4)["reasons"].to_string();
        assert!(reasons.contains("exit code 7"), "{reasons}");
        assert!(reasons.contains("as REFERENCE_FAULT says"), "its last words: {reasons}");
        ended.assert_nothing_left();
    }
}

/// How long the run has lasted, by its own clock's zero: the history is begun with
/// the file of the run's id.
fn since_start(directory: &Path) -> Duration {
    let begun = std::fs::metadata(directory.join("run-id")).and_then(|found| found.modified());
    let begun = begun.expect("a live run has an id");
    SystemTime::now().duration_since(begun).expect("the clock goes on")
}

fn ended_event(directory: &Path) -> Value {
    let events = std::fs::read_to_string(directory.join("events.ndjson")).expect("events");
    let mut events =
        events.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON lines"));
    events.find(|event| event["event"] == "ended").expect("a run that ends early says so")
}
