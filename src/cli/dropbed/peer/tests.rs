use super::*;

#[test]
fn only_an_executable_file_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("peer");
    let text = file.display().to_string();
    assert!(executable(&text).unwrap_err().contains("No such file"));
    std::fs::write(&file, "#!/bin/sh").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(executable(&text).unwrap_err().contains("chmod +x"));
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert!(executable(&text).unwrap().is_absolute());
    assert!(executable(&directory.path().display().to_string()).unwrap_err().contains("no file"));
}
