//! The claim that the project exists to measure, in round trips, not in seconds.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::{Run, shipped};

/// Request-response at depth 1 pays about one RTT for each chunk; push does not.
/// Both are read from the growth of wall time with the measured RTT.
#[test]
fn request_response_pays_a_round_trip_per_chunk_and_push_does_not() {
    let ended = Run::new(&shipped("latency-sweep.yaml"), "process")
        .set("matrix.rtt=[0ms, 50ms, 100ms]")
        .set("run.repetitions=1")
        .set("run.warmup=0")
        .set("defaults.peer.mount=false")
        .finish();
    let result = ended.result(0);
    let mut by_mode: BTreeMap<String, BTreeMap<u64, (f64, f64)>> = BTreeMap::new();
    let mut chunks = 0;
    for turn in result["turns"].as_array().expect("turns") {
        for link in turn["links"].as_array().expect("links") {
            check_rtt(link);
        }
        for step in turn["steps"].as_array().expect("steps") {
            let mode = step["mode"].as_str().expect("a mode").to_owned();
            let bytes = step["bytes"].as_u64().expect("bytes");
            if mode == "request-response" {
                assert_eq!(
                    (step["chunk_bytes"].as_u64(), step["depth"].as_u64()),
                    (Some(512 << 10), Some(1))
                );
                chunks = bytes.div_ceil(512 << 10);
            }
            let rtt_us = step["rtt_measured_us"].as_f64().expect("a measured RTT");
            let asked = turn["links"][0]["rtt_asked_us"].as_u64().expect("an RTT");
            let wall_us = step["wall_ns"].as_f64().expect("wall") / 1e3;
            by_mode.entry(mode).or_default().insert(asked, (rtt_us, wall_us));
        }
    }
    let trips = |mode: &str, asked: u64| {
        let (rtt0, wall0) = by_mode[mode][&0];
        let (rtt, wall) = by_mode[mode][&asked];
        (wall - wall0) / (rtt - rtt0)
    };
    for asked in [50_000, 100_000] {
        let request_response = trips("request-response", asked) / chunks as f64;
        assert!((0.9..1.3).contains(&request_response), "{request_response} RTT per chunk");
        // Push asks once: stat, the stream, and what a busy machine adds.
        let push = trips("push", asked);
        assert!(push < 6.0, "{push} RTT in a push");
    }
    ended.assert_nothing_left();
}

fn check_rtt(link: &Value) {
    let of = |key: &str| link[key].as_u64().expect("microseconds");
    let (asked, measured) = (of("rtt_asked_us"), of("rtt_measured_us"));
    assert!(measured.abs_diff(asked) <= 1_000.max(asked / 50), "{link}");
}
