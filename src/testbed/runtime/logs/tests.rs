use super::*;

#[test]
fn the_end_of_a_long_log_is_bounded() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("a.log");
    let text: String = (0..10_000).map(|n| format!("line {n}\n\n")).collect();
    std::fs::write(&log, text).unwrap();
    let lines = tail(&log);
    assert_eq!(lines.len(), LAST_LOG_LINES_MAX);
    assert_eq!(lines.last().unwrap(), "line 9999");
    assert_eq!(lines.first().unwrap(), "line 9980");
}

#[test]
fn a_log_that_is_missing_is_told() {
    let lines = tail(Path::new("/nonexistent/a.log"));
    assert!(lines[0].contains("/nonexistent/a.log"), "{lines:?}");
}

#[test]
fn ends_are_put_into_words() {
    // wait(2) encodes an exit code in the second byte, a signal in the first.
    assert_eq!(how(ExitStatus::from_raw(3 << 8)), "exit code 3");
    assert_eq!(how(ExitStatus::from_raw(9)), "signal 9 (SIGKILL)");
    assert_eq!(how(ExitStatus::from_raw(40)), "signal 40");
}
