//! `up` again, when something else than the file changed since.

use super::*;

/// Standard output of a command that ends well.
fn said(place: &Place, verb: &str, arguments: &[&str]) -> String {
    let output = place.run(verb, arguments);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{verb} {arguments:?}: {error}");
    String::from_utf8(output.stdout).expect("it prints text")
}

/// Who a peer knows, as its own client says.
fn known_to(place: &Place, peer: &str) -> String {
    said(place, "exec", &[peer, "--", "dropd", "peers"])
}

/// Those that stay no longer know who was removed, and who still has a link stays known.
#[test]
fn peers_that_stay_forget_those_that_go() {
    for runtime in runtimes() {
        let place = Place::new(runtime);
        let three = TOPOLOGY
            .replace("  bob: {}\n", "  bob: {}\n  carol: {}\n")
            .replace("dataset:", "  - { a: alice, b: carol, both: { rtt: 200ms } }\ndataset:");
        place.write(&three);
        let run_id = place.told("up", &[])["run_id"].as_str().expect("text").to_owned();
        assert!(known_to(&place, "alice").contains("carol"));

        place.write(TOPOLOGY);
        let told = place.told("up", &[]);
        assert_eq!(told["warnings"], serde_json::json!([]), "{told}");
        let known = known_to(&place, "alice");
        assert!(!known.contains("carol") && known.contains("bob"), "{known}");

        // By the daemon's own client; `up` makes them known to each other again.
        said(&place, "exec", &["bob", "--", "dropd", "peer", "remove", "alice"]);
        assert_eq!(known_to(&place, "bob"), "");
        let refused = place.run("exec", &["bob", "--", "dropd", "peer", "remove", "alice"]);
        let told = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && told.contains("no peer is called `alice`"), "{told}");
        place.told("down", &[]);
        let left = leftovers(&run_id);
        assert!(left.is_empty(), "{runtime}: {left:#?}");
    }
}

#[test]
fn a_link_that_was_changed_is_set_to_what_the_file_says() {
    for runtime in runtimes() {
        let place = Place::new(runtime);
        let run_id = place.told("up", &[])["run_id"].as_str().expect("text").to_owned();
        let out = place.out();
        let set = |arguments: &[&str]| {
            let output = dropbed(["link", "--out"]).arg(&out).args(arguments).output();
            let output = output.expect("the executable was just built");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        };
        set(&["set", "alice:bob", "--latency", "1ms"]);
        let before = place.live();
        let dry = place.told("up", &["--dry-run"]);
        let told = place.told("up", &[]);
        for told in [&dry, &told] {
            let changed: Vec<String> =
                actions(told).into_iter().filter(|line| !line.starts_with("keep")).collect();
            assert_eq!(changed, ["replace link alice:bob"], "{told}");
            assert!(told.to_string().contains("changed from outside"), "{told}");
        }
        assert_eq!(told["links"].as_array().expect("a list").len(), 1, "it was measured");
        for part in ["proxy", "alice", "bob"] {
            assert_eq!(place_of(&place.live(), part), place_of(&before, part));
        }
        let again = place.told("up", &[]);
        assert!(actions(&again).iter().all(|line| line.starts_with("keep ")), "{again}");
        place.told("down", &[]);
        let left = leftovers(&run_id);
        assert!(left.is_empty(), "{runtime}: {left:#?}");
    }
}

/// The same executable with a byte more: it runs as well, and is another.
#[test]
fn another_executable_replaces_the_peers() {
    if !has(Need::Fuse) {
        return;
    }
    let place = Place::new("process");
    let other = place.directory.path().join("other-peer");
    std::fs::copy(dropbed([""]).get_program(), &other).expect("it can be copied");
    let mut file = std::fs::OpenOptions::new().append(true).open(&other).expect("it is ours");
    std::io::Write::write_all(&mut file, b"\n").expect("there is room");
    drop(file);
    let first = place.told("up", &[]);
    let other = other.to_str().expect("the path is text");
    let replaced = place.told("up", &["--peer-executable", other]);
    let lines = actions(&replaced);
    assert!(lines.contains(&"replace peer alice".to_owned()), "{lines:?}");
    assert!(lines.contains(&"replace peer bob".to_owned()), "{lines:?}");
    assert_eq!(first["run_id"], replaced["run_id"], "it is the same topology");
    let again = place.told("up", &["--peer-executable", other]);
    assert!(actions(&again).iter().all(|line| line.starts_with("keep ")), "{again}");
    place.told("down", &[]);
    let left = leftovers(first["run_id"].as_str().expect("text"));
    assert!(left.is_empty(), "{left:#?}");
}

#[test]
fn another_range_of_networks_wants_down_first() {
    if !has(Need::Docker) || !has(Need::Fuse) {
        return;
    }
    let place = Place::new("docker");
    let run_id = place.told("up", &[])["run_id"].as_str().expect("text").to_owned();
    let before = place.live();
    place.write(&format!("{TOPOLOGY}network: {{ range: 10.99.0.0/24 }}\n"));
    let refused = place.run("up", &[]);
    let told = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{told}");
    assert!(told.contains("10.99.0.0/24") && told.contains("dropbed down --run stand"), "{told}");
    assert_eq!(place.live(), before);
    place.told("down", &[]);
    let left = leftovers(&run_id);
    assert!(left.is_empty(), "{left:#?}");
}

#[test]
fn a_dry_run_leaves_nothing() {
    if !has(Need::Fuse) {
        return;
    }
    let place = Place::new("process");
    let told = place.told("up", &["--dry-run"]);
    assert!(actions(&told).contains(&"create peer alice".to_owned()), "{told}");
    assert!(!place.out().exists(), "not even its directory of runs");
}

/// What another version left is nobody's to guess at.
#[test]
fn a_live_file_of_another_schema_is_told_by_every_verb() {
    let place = Place::new("process");
    let run = place.out().join("20260101-000000-stand");
    std::fs::create_dir_all(&run).expect("the directory is ours");
    let text = r#"{"schema": 99, "name": "stand", "run_id": "20260101-000000-stand-0"}"#;
    std::fs::write(run.join("live.json"), text).expect("the directory is ours");
    let verbs: [(&str, &[&str], i32); 5] = [
        ("up", &["--dry-run"], 3),
        ("down", &[], 3),
        ("down", &["--all"], 3),
        ("inspect", &[], 3),
        ("ls", &[], 0),
    ];
    for (verb, arguments, code) in verbs {
        let output = place.run(verb, arguments);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{verb} {arguments:?}: {told}");
        let parts = ["live.json", "schema 99", "this dropbed knows", "dropbed gc"];
        assert!(parts.iter().all(|part| told.contains(part)), "{verb} {arguments:?}: {told}");
    }
}
