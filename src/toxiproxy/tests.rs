//! The proxy could be a package of its own.

use std::fs;
use std::path::{Path, PathBuf};

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The names that follow `prefix` in a line.
fn names_after<'a>(line: &'a str, prefix: &str) -> Vec<&'a str> {
    let parts = line.split(prefix).skip(1);
    parts
        .map(|part| part.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap())
        .collect()
}

#[test]
fn no_other_room_of_the_package_is_used() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let library = fs::read_to_string(root.join("lib.rs")).unwrap();
    let rooms: Vec<&str> = library
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .filter(|room| *room != "toxiproxy")
        .collect();
    assert!(rooms.contains(&"testbed") && rooms.len() > 5, "{rooms:?}");
    let mut files = vec![root.join("toxiproxy.rs")];
    sources(&root.join("toxiproxy"), &mut files);
    assert!(files.len() > 20);
    // Split, so that this file does not find itself.
    let (package, public) = (concat!("crate", "::"), concat!("dropbed", "::"));
    let parent = concat!("super", "::");
    for file in &files {
        for (i, line) in fs::read_to_string(file).unwrap().lines().enumerate() {
            let what = format!("{}:{}: {line}", file.display(), i + 1);
            assert!(names_after(line, parent).iter().all(|name| !rooms.contains(name)), "{what}");
            let rooted = [names_after(line, package), names_after(line, public)].concat();
            assert!(rooted.iter().all(|name| *name == "toxiproxy"), "{what}");
        }
    }
}
