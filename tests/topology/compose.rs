//! `compose/two-peer.yaml` is what the plan renders.

use std::fs;
use std::path::Path;

use crate::support::dropbed;

/// Regenerate with
/// `cargo run --release -- export compose topologies/two-peer.yaml > compose/two-peer.yaml`.
#[test]
fn the_shipped_compose_file_is_the_rendered_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = dropbed(["export", "compose", "topologies/two-peer.yaml"])
        .current_dir(root)
        .output()
        .expect("it runs");
    let rendered = String::from_utf8(output.stdout).expect("UTF-8");
    let shipped = fs::read_to_string(root.join("compose/two-peer.yaml")).expect("it ships");
    assert_eq!(rendered, shipped, "run the command in this test's doc comment");
}

/// No key and no token is in any file that ships.
#[test]
fn no_secret_is_in_the_compose_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shipped = fs::read_to_string(root.join("compose/two-peer.yaml")).expect("it ships");
    for word in ["secret", "private", "Bearer"] {
        assert!(!shipped.contains(word), "{word}");
    }
}
