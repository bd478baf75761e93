use super::*;

#[test]
fn the_second_one_is_told_who_has_it() {
    let out = tempfile::tempdir().unwrap();
    let runs = out.path().join("runs");
    let first = Lock::take(&runs, "x").unwrap();
    let error = Lock::take(&runs, "x").unwrap_err().to_string();
    assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
    Lock::take(&runs, "y").unwrap();
    drop(first);
    Lock::take(&runs, "x").unwrap();
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = Lock::take(&file.path().join("runs"), "x").unwrap_err().to_string();
    assert!(error.contains("--out"), "{error}");
}
