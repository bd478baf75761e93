use super::{GOOD, parse};
use crate::telemetry::clock;
use crate::testbed::plan::load;
use crate::testbed::topology::tree::{DEPTH_MAX, FILE_BYTES_MAX, NODES_MAX, SCALAR_BYTES_MAX};

/// Far above what refusing takes on a slow machine, far below what reading on
/// would.
const QUICKLY_NS: u64 = 5_000_000_000;

fn refused(text: &str) -> String {
    let start_ns = clock::now_ns();
    let said = parse(text).unwrap_err().to_string();
    let took_ns = clock::now_ns() - start_ns;
    assert!(took_ns < QUICKLY_NS, "{took_ns} ns for: {said}");
    said
}

#[test]
fn a_file_of_10_mb_is_refused_by_its_size() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("big.yaml");
    // A character of two bytes across the limit must not make another error of it.
    let text = format!("{GOOD}#{}", "\u{fc}".repeat(5_000_000));
    std::fs::write(&path, &text).unwrap();
    let start_ns = clock::now_ns();
    let said = load(&path, &[]).unwrap_err();
    assert!(clock::now_ns() - start_ns < QUICKLY_NS);
    assert!(said.to_string().contains(&FILE_BYTES_MAX.to_string()), "{said}");
    assert!(said.excerpts(false).contains("big.yaml"));
    assert!(refused(&text).contains(&FILE_BYTES_MAX.to_string()));
}

#[test]
fn bytes_that_are_no_text_are_told_with_their_place() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("latin1.yaml");
    std::fs::write(&path, b"version: 1\nname: \xfc\n").unwrap();
    let said = load(&path, &[]).unwrap_err();
    assert!(said.to_string().contains("latin1.yaml:2:7: from here on this is not UTF-8"), "{said}");
    assert!(said.excerpts(false).contains("name: "));
}

#[test]
fn nesting_is_bounded() {
    for (open, close) in [("[", "]"), ("{a: ", "}"), ("- ", "")] {
        for depth in [DEPTH_MAX + 2, 100_000] {
            let text = format!("x-deep: {}1{}", open.repeat(depth), close.repeat(depth));
            refused(&text);
        }
    }
    let deep = format!("x-deep: {}1{}", "[".repeat(40), "]".repeat(40));
    assert!(refused(&deep).contains(&DEPTH_MAX.to_string()));
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut text = String::from("x-0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..20 {
        let repeated = vec![format!("*a{}", level - 1); 10].join(", ");
        text.push_str(&format!("x-{level}: &a{level} [{repeated}]\n"));
    }
    assert!(refused(&text).contains(&NODES_MAX.to_string()));
}

#[test]
fn scalars_are_bounded_with_and_without_their_variables() {
    let long = "x".repeat(SCALAR_BYTES_MAX + 1);
    let limit = SCALAR_BYTES_MAX.to_string();
    assert!(refused(&GOOD.replace("name: two", &format!("name: {long}"))).contains(&limit));
    let doubling = "${rtt}".repeat(600);
    let text = GOOD.replace("rtt: 50ms", &format!("rtt: {}", "5".repeat(4000)));
    assert!(refused(&text.replace("${rtt}", &doubling)).contains(&limit));
    refused(&format!("? {long}{long}\n: 1\n"));
}

#[test]
fn a_long_chain_of_profiles_is_followed_no_deeper_than_there_may_be() {
    let chain = |count: usize| -> String {
        let each = (1..count).map(|i| format!("  p{i}: {{ profile: p{} }}\n", i - 1));
        let chain: String = each.collect();
        let peers = format!("peers:\n  carol: {{ profile: p{} }}", count - 1);
        let profiles = format!("profiles:\n  p0: {{ mount: false }}\n{chain}{peers}");
        GOOD.replace("peers:", &profiles)
    };
    let topology = parse(&chain(256)).unwrap();
    assert!(!topology.base().peers[0].mount, "from the other end of the chain");
    assert!(refused(&chain(10_000)).contains("at most 256"));
}
