use super::*;

fn packed(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    pack(path, &mut bytes).unwrap();
    bytes
}

/// What is in a directory, hidden files too.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap().map(Result::unwrap);
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_tree_keeps_bytes_modes_and_links() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let tree = from.path().join("tree");
    fs::create_dir_all(tree.join("deep").join("x".repeat(200))).unwrap();
    let odd = tree.join("deep").join("odd \u{e9} name\n");
    fs::write(&odd, b"bytes \0 of it").unwrap();
    fs::set_permissions(&odd, Permissions::from_mode(0o640)).unwrap();
    fs::set_permissions(tree.join("deep"), Permissions::from_mode(0o555)).unwrap();
    std::os::unix::fs::symlink("deep", tree.join("link")).unwrap();

    unpack(&packed(&tree)[..], to.path(), "copy").unwrap();
    let copy = to.path().join("copy");
    assert_eq!(names(to.path()), ["copy"]);
    assert_eq!(names(&copy), ["deep", "link"]);
    let file = copy.join("deep").join("odd \u{e9} name\n");
    assert_eq!(fs::read(&file).unwrap(), b"bytes \0 of it");
    assert_eq!((mode(&file), mode(&copy.join("deep"))), (0o640, 0o555));
    assert_eq!(fs::read_link(copy.join("link")).unwrap(), Path::new("deep"));
    for tree in [&tree, &copy] {
        fs::set_permissions(tree.join("deep"), Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn a_file_goes_to_a_name_or_into_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("f");
    fs::write(&file, b"new").unwrap();
    let bytes = packed(&file);
    let (named, within) = (directory.path().join("named"), directory.path().join("within"));
    fs::write(&named, b"old, and longer").unwrap();
    fs::create_dir(&within).unwrap();
    unpack(&bytes[..], &named, "f").unwrap();
    unpack(&bytes[..], &within, "f").unwrap();
    assert_eq!(fs::read(&named).unwrap(), b"new");
    assert_eq!(fs::read(within.join("f")).unwrap(), b"new");
    assert_eq!(names(directory.path()), ["f", "named", "within"]);
}

/// However much of it comes: nothing appears, and what was there stays.
#[test]
fn a_cut_archive_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("f");
    fs::write(&file, vec![7; 3_000]).unwrap();
    let bytes = packed(&file);
    // The archive's own end is two empty blocks, which come after ours.
    const BLOCK: usize = 512;
    for length in (0..bytes.len() - 3 * BLOCK).step_by(BLOCK / 2) {
        let goal = directory.path().join("goal");
        fs::write(&goal, b"old").unwrap();
        unpack(&bytes[..length], &goal, "f").unwrap_err();
        assert_eq!(fs::read(&goal).unwrap(), b"old", "{length} of {}", bytes.len());
        assert_eq!(names(directory.path()), ["f", "goal"]);
    }
}

#[test]
fn what_cannot_be_says_where() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    let error = pack(&missing, io::sink()).unwrap_err();
    assert!(is_input(&error) && error.to_string().contains("missing"), "{error}");
    let file = directory.path().join("f");
    fs::write(&file, b"x").unwrap();
    for above in [&missing, &file] {
        let error = unpack(&packed(&file)[..], &above.join("g"), "f").unwrap_err();
        assert!(is_input(&error), "{error}");
        assert!(error.to_string().contains(&above.join("g").display().to_string()), "{error}");
    }
    // A directory that has something in it is not replaced.
    let full = directory.path().join("full");
    fs::create_dir_all(full.join("within").join("x")).unwrap();
    let error = unpack(&packed(&full)[..], directory.path(), "full").unwrap_err();
    assert!(!is_input(&error), "{error}");
    assert!(error.to_string().contains("full") && full.join("within").exists(), "{error}");
}
