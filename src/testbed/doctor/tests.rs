use super::*;

fn diagnosis(process_works: bool, docker_works: bool) -> Diagnosis {
    let checks = vec![
        Check::ok("processors", "2"),
        Check::fail("/dev/fuse", "cannot be opened", "modprobe fuse"),
    ];
    Diagnosis { checks, process_works, docker_works }
}

#[test]
fn one_runtime_is_enough() {
    assert!(diagnosis(true, false).can_run());
    assert!(diagnosis(false, true).can_run());
    assert!(!diagnosis(false, false).can_run());
}

#[test]
fn the_text_holds_every_hint() {
    let text = diagnosis(true, false).to_string();
    assert_eq!(
        text,
        "ok    processors: 2\n\
         FAIL  /dev/fuse: cannot be opened\n      hint: modprobe fuse\n\
         --runtime process works here\n--runtime docker does not work here\n"
    );
    let json = serde_json::to_value(diagnosis(true, false)).unwrap();
    assert_eq!(json["checks"][1]["verdict"], "fail");
}

#[tokio::test]
async fn a_tool_that_fails_or_is_missing_has_no_version() {
    assert_eq!(checks::version_of("/bin/sh", &["-c", "echo 1.2; exit 1"]).await, None);
    assert_eq!(checks::version_of("/nonexistent/tool", &[]).await, None);
    let version = checks::version_of("/bin/sh", &["-c", "echo ' 1.2 '; echo more"]).await;
    assert_eq!(version.as_deref(), Some("1.2"));
}

#[test]
fn a_directory_that_is_missing_is_told() {
    let check = checks::disk_space(std::path::Path::new("/nonexistent"));
    assert_eq!(check.verdict, Verdict::Warn);
    assert!(check.detail.contains("/nonexistent"));
}
