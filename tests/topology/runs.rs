//! Runs that end well, in both runtimes.

use serde_json::Value;

use crate::support::{Ended, Need, Run, has, shipped};

/// One test for each runtime, of the same body.
macro_rules! in_both_runtimes {
    ($name:ident, $body:path) => {
        mod $name {
            #[test]
            fn as_processes() {
                if super::has(super::Need::Fuse) {
                    $body("process");
                }
            }

            #[test]
            fn in_containers() {
                if super::has(super::Need::Fuse) && super::has(super::Need::Docker) {
                    $body("docker");
                }
            }
        }
    };
}

in_both_runtimes!(two_peers, super::two_peer_demo);
in_both_runtimes!(bulk, super::bulk_with_rekeys);
in_both_runtimes!(three_peers, super::three_peer_mesh);
in_both_runtimes!(star_of_eight, super::star_of_eight);

fn two_peer_demo(runtime: &str) {
    let ended = Run::new(&shipped("two-peer.yaml"), runtime).finish();
    let result = ended.result(0);
    assert_eq!(result["outcome"], "pass");
    let steps = transfers(&result);
    let modes: Vec<&str> = steps.iter().filter_map(|step| step["mode"].as_str()).collect();
    for mode in ["push", "request-response", "mount"] {
        assert!(modes.contains(&mode), "the demo shows {mode}, has {modes:?}");
    }
    assert!(steps.iter().any(|step| rekeys(step) >= 2), "a rekey in the middle of a transfer");
    for step in &steps {
        check_transfer(step);
    }
    check_one_trace(&ended, &result);
    for file in ["resolved.yaml", "plan.json", "events.ndjson", "spans.ndjson", "result.json"] {
        assert!(ended.directory.join(file).is_file(), "{file} is in the run directory");
    }
    assert!(ended.directory.join("logs/alice.log").is_file(), "the logs are there");
    ended.assert_nothing_left();
}

/// 256 MiB by every way, two rekeys at least in each, no long pause at any.
fn bulk_with_rekeys(runtime: &str) {
    let ended = Run::new(&shipped("bulk.yaml"), runtime).finish();
    let result = ended.result(0);
    let steps = transfers(&result);
    assert_eq!(steps.len(), 3);
    for step in &steps {
        check_transfer(step);
        assert_eq!(step["bytes"], 256 << 20);
        let received = |when: &str| step[when]["received"].as_u64().expect("an epoch");
        assert!(received("after") >= received("before") + 2, "two rekeys of the data: {step}");
        assert!(step["rekey_gap_ns_max"].is_u64(), "the pause at a rekey was measured: {step}");
    }
    ended.assert_nothing_left();
}

fn three_peer_mesh(runtime: &str) {
    let ended = Run::new(&shipped("three-peer.yaml"), runtime).finish();
    let result = ended.result(0);
    let steps = transfers(&result);
    let links: std::collections::BTreeSet<&str> =
        steps.iter().filter_map(|step| step["link"].as_str()).collect();
    assert!(links.len() >= 3, "transfers over several links: {links:?}");
    for step in &steps {
        check_transfer(step);
    }
    ended.assert_nothing_left();
}

/// The hub's file at all seven rays at the same time, through seven mounts.
fn star_of_eight(runtime: &str) {
    let ended = Run::new(&shipped("star-8.yaml"), runtime).finish();
    let result = ended.result(0);
    let steps = transfers(&result);
    let links: Vec<&str> = steps.iter().filter_map(|step| step["link"].as_str()).collect();
    let wanted: Vec<String> = (0..7).map(|ray| format!("ray-{ray}:hub")).collect();
    assert_eq!(links, wanted, "in the order of the file, whoever was done first");
    for step in &steps {
        check_transfer(step);
        assert_eq!((&step["mode"], &step["bytes"]), (&"mount".into(), &(4 << 20).into()));
    }
    check_at_once(&steps);
    ended.assert_nothing_left();
}

/// The small ones that need no mount.
#[test]
fn shapes_as_processes() {
    for (topology, steps_wanted) in [("ring-5", 3), ("line-4", 3), ("full-mesh-4", 5)] {
        let ended = Run::new(&shipped(&format!("{topology}.yaml")), "process").finish();
        let result = ended.result(0);
        let steps = transfers(&result);
        assert_eq!(steps.len(), steps_wanted, "{topology}");
        for step in &steps {
            assert_eq!(step["digest_equal"], true, "{topology}: {step}");
            let [payload, on_link] = ["bytes", "link_bytes"].map(|key| step[key].as_u64());
            assert!(on_link > payload && payload > Some(0), "{topology}: {step}");
        }
        if topology == "line-4" {
            check_at_once(&steps);
        }
        ended.assert_nothing_left();
    }
}

/// By the clock of the proxy: before any of them had all its bytes, every other had
/// begun. So no two came one after the other.
fn check_at_once(steps: &[&Value]) {
    let us = |step: &Value, key: &str| {
        step["traffic"]["down"][key].as_u64().expect("the bundled proxy counts")
    };
    let wall_us = |step: &Value| step["wall_ns"].as_u64().expect("wall") / 1000;
    let ends: Vec<u64> = steps.iter().map(|step| us(step, "last_unix_us")).collect();
    let begins = steps.iter().zip(&ends).map(|(step, end)| end - wall_us(step));
    let (last_begin, first_end) = (begins.max(), ends.iter().copied().min());
    assert!(last_begin < first_end, "one after the other: {steps:?}");
}

fn transfers(result: &Value) -> Vec<&Value> {
    let turns = result["turns"].as_array().expect("turns");
    let steps = turns.iter().flat_map(|turn| turn["steps"].as_array().expect("steps"));
    steps.filter(|step| step["step"] == "transfer").collect()
}

fn rekeys(step: &Value) -> u64 {
    let sum = |when: &str| {
        let epochs = &step[when];
        epochs["sent"].as_u64().expect("an epoch") + epochs["received"].as_u64().expect("an epoch")
    };
    sum("after") - sum("before")
}

/// What holds of every transfer, read from the result as a user would.
fn check_transfer(step: &Value) {
    assert_eq!(step["digest_equal"], true, "{step}");
    let payload = step["bytes"].as_u64().expect("bytes");
    let on_link = step["link_bytes"].as_u64().expect("the bundled proxy counts");
    assert!(on_link >= payload, "went round the proxy: {step}");
    assert!((on_link as f64) < payload as f64 * 1.02, "sent twice: {step}");
    let layers = &step["layers"];
    let parts = layers["rows"].as_array().expect("layers");
    let sum: u64 = parts.iter().map(|row| row["total_ns"].as_u64().expect("time")).sum();
    assert_eq!(
        sum,
        step["wall_ns"].as_u64().expect("wall"),
        "layers and rest are the wall: {step}"
    );
    let of = |layer: &str| {
        let row = parts.iter().find(|row| row["part"] == layer);
        row.unwrap_or_else(|| panic!("a row for {layer}: {layers}"))["total_ns"].as_u64()
    };
    assert!(of("open") > Some(0), "opening records takes time: {layers}");
    assert!(of("seal") > Some(0), "sealing records takes time: {layers}");
}

/// One read through the mount is one trace with spans of both peers.
fn check_one_trace(ended: &Ended, result: &Value) {
    let spans = std::fs::read_to_string(ended.directory.join("spans.ndjson")).expect("spans");
    let spans: Vec<Value> =
        spans.lines().map(|line| serde_json::from_str(line).expect("JSON lines")).collect();
    let mount = transfers(result).into_iter().find(|step| step["mode"] == "mount");
    let trace_id = &mount.expect("a read through the mount")["trace_id"];
    let of_trace: Vec<&Value> = spans.iter().filter(|span| &span["trace_id"] == trace_id).collect();
    for (name, service) in [
        ("scenario.step", "dropbed"),
        ("mount.read", "bob"),
        ("fuse.read", "bob"),
        ("transfer.fetch", "bob"),
        ("transfer.serve", "alice"),
        ("disk.read", "alice"),
    ] {
        let found =
            of_trace.iter().any(|span| span["name"] == name && span["service_instance"] == service);
        assert!(found, "{name} of {service} in the trace");
    }
    let known: std::collections::HashSet<&Value> =
        of_trace.iter().map(|span| &span["span_id"]).collect();
    for span in &of_trace {
        let parent = &span["parent_id"];
        let is_root = parent.is_null() && span["name"] == "scenario.step";
        assert!(is_root || known.contains(parent), "a parent within the trace: {span}");
    }
}
