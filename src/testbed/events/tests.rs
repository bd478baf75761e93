use super::*;

/// Lines of two processes stand whole, one after the other, in one time.
#[test]
fn another_process_adds_to_a_history() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.ndjson");
    let own = Events::create(&path).unwrap();
    own.add("first", json!({}));
    let began_before_ns = 5_000_000_000;
    let other = Events::join(&path, clock::unix_ns() - began_before_ns).unwrap();
    other.add("second", json!({"of": "another"}));
    own.add("third", json!({}));
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<&str> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(names, ["first", "second", "third"]);
    assert_eq!(lines[1]["of"], "another");
    assert!(lines[1]["t_ms"].as_u64().unwrap() >= 5_000, "{text}");
}

#[test]
fn a_history_is_never_begun_twice() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.ndjson");
    let missing = Events::join(&path, 0).unwrap_err();
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    Events::create(&path).unwrap();
    assert_eq!(Events::create(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
}
