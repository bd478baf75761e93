//! Bring-up, two transfers, take-down; and a transfer that goes wrong.

use serde_json::Value;

use super::world::{FILE_BYTES, Where, World};
use crate::support::Peer;

const CHUNK_BYTES: u64 = 256 << 10;

pub(super) fn both_ways_of_asking(place: Where, peer: Peer) {
    let push = place.step("push", "mode: push,");
    let asked =
        place.step("asked", "mode: request-response, chunk: 256KiB, depth: 2, to_file: true,");
    let world = World::new(place, peer, "{ rtt: 20ms }", &format!("{push}, {asked}"), &[]);
    let ended = world.run().finish();
    let result = ended.result(0);
    assert_eq!(result["outcome"], "pass");
    assert_eq!(result["runtime"], place.name());
    let steps = result["turns"][0]["steps"].as_array().expect("steps");
    assert_eq!(steps.len(), 2);
    for step in steps {
        assert_eq!(step["digest_equal"], true, "{step}");
        assert_eq!(step["bytes"], FILE_BYTES);
        let on_link = step["link_bytes"].as_u64().expect("the bundled proxy counts");
        assert!((FILE_BYTES..FILE_BYTES + FILE_BYTES / 20).contains(&on_link), "{step}");
    }
    // Two requests are under way at a time, and each pair waits for a round trip.
    let round_trips = FILE_BYTES / CHUNK_BYTES / 2;
    let wall_ns = steps[1]["wall_ns"].as_u64().expect("a time");
    assert!(wall_ns >= round_trips * 20_000_000, "the link's delay is in it: {}", steps[1]);
    check_telling(&result, peer);
    ended.assert_nothing_left();
}

/// A peer that lacks telemetry and counters is told to, and gets no made-up figures.
fn check_telling(result: &Value, peer: Peer) {
    let warnings = result["warnings"].to_string();
    let steps = result["turns"][0]["steps"].as_array().expect("steps");
    for step in steps {
        let has_layers = step["layers"].is_object();
        let has_epochs = step["before"].is_object();
        assert_eq!((has_layers, has_epochs), (peer == Peer::Dropd, peer == Peer::Dropd), "{step}");
    }
    let is_told = warnings.contains("no FlushTelemetry");
    assert_eq!(is_told, peer == Peer::Reference, "{warnings}");
}

pub(super) fn over_lanes(place: Where) {
    let shared = place.step("shared", "mode: push, lanes: 4, chunk: 64KiB,");
    let alone = place.step("alone", "mode: push,");
    let world = World::new(place, Peer::Dropd, "{ rtt: 20ms }", &format!("{shared}, {alone}"), &[]);
    let ended = world.run().finish();
    let result = ended.result(0);
    let steps = result["turns"][0]["steps"].as_array().expect("steps");
    for (step, lanes) in steps.iter().zip([4, 1]) {
        assert_eq!(
            (&step["lanes"], &step["digest_equal"]),
            (&lanes.into(), &true.into()),
            "{step}"
        );
        assert!(step["layers"].is_object(), "{step}");
        assert!(step["before"].is_object(), "{step}");
        assert_eq!(step["before"], step["after"], "a new lane's fold is none of the step: {step}");
    }
    ended.assert_nothing_left();
}

/// The daemon's own parts are 512 KiB: 2 MiB are two parts for two streams.
#[test]
fn a_file_that_is_too_small_for_its_lanes() {
    let steps = Where::Process.step("push", "mode: push, lanes: 8,");
    let world = World::new(Where::Process, Peer::Dropd, "{ rtt: 0ms }", &steps, &[]);
    let ended = world.run().finish();
    let reasons = ended.result(1)["reasons"].to_string();
    assert!(reasons.contains("8 lanes were to share the transfer, it had 2"), "{reasons}");
    ended.assert_nothing_left();
}
