//! What holds for the room as a whole.

use std::fs;
use std::path::{Path, PathBuf};

/// Words of whoever does I/O, waits, or reads a clock or the system's randomness.
const FORBIDDEN: [&str; 9] = [
    "tokio::",
    "std::net",
    "async ",
    ".await",
    "clock::",
    "Instant",
    "SystemTime",
    "getrandom",
    "AsyncRead",
];

/// The stream does I/O, the session is what other tasks see of it, an identity is a
/// file, and entropy is where randomness comes from.
const EXEMPT: [&str; 6] =
    ["stream.rs", "stream", "session.rs", "identity.rs", "identity", "entropy.rs"];

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if EXEMPT.contains(&name.as_str()) || name.starts_with("tests") {
            continue;
        }
        if path.is_dir() {
            sources(&path, found);
        } else {
            found.push(path);
        }
    }
}

#[test]
fn only_the_stream_does_io() {
    let mut found = Vec::new();
    sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/secure")), &mut found);
    assert!(found.len() > 10, "looked in the wrong place");
    for path in found {
        let text = fs::read_to_string(&path).unwrap();
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            let word = FORBIDDEN.iter().find(|word| line.contains(**word));
            assert!(word.is_none(), "{}: {line}", path.display());
        }
    }
}
