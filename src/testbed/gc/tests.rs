use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use super::*;
use crate::testbed::runtime::environment::RUN_ID_VARIABLE;
use crate::testbed::runtime::owner::OWNER_VARIABLE;
use crate::testbed::runtime::procfs;

/// A process that has ended and was waited for.
fn gone() -> Owner {
    let mut child = Command::new("/bin/sh").args(["-c", "exit 0"]).spawn().unwrap();
    let owner = Owner { pid: child.id(), start_ticks: 1, ..Owner::current() };
    child.wait().unwrap();
    owner
}

#[test]
fn only_what_a_dead_owner_left_is_removed() {
    let living = Owner::current().to_string();
    let gone = gone().to_string();
    let elsewhere = Owner { pid_namespace: "1".to_owned(), ..Owner::current() }.to_string();
    for all in [false, true] {
        assert_eq!(judge(Some(&living), all), Verdict::Living);
        assert_eq!(judge(Some(&gone), all), Verdict::Remove);
    }
    for unknown in [Some(elsewhere.as_str()), Some("nonsense"), None] {
        assert_eq!(judge(unknown, false), Verdict::Unknown);
        assert_eq!(judge(unknown, true), Verdict::Remove);
    }
}

#[test]
fn a_process_in_a_container_is_not_ours_to_end() {
    assert_eq!(processes::owned(b"DROPBED_RUN_ID=r\0PATH=/\0"), None);
    let both = processes::owned(b"DROPBED_OWNER=1:2:b:3\0DROPBED_RUN_ID=r\0");
    assert_eq!(both, Some(("r".to_owned(), "1:2:b:3".to_owned())));
}

fn orphan(owner: &Owner, run_id: &str) -> std::process::Child {
    Command::new("/bin/sh")
        .arg0("dropd")
        .args(["-c", "read forever"])
        .env(OWNER_VARIABLE, owner.to_string())
        .env(RUN_ID_VARIABLE, run_id)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn a_process_is_ended_only_when_its_owner_is_gone() {
    let owners = [("gc-test-gone", gone()), ("gc-test-alive", Owner::current())];
    let mut children: Vec<_> = owners.iter().map(|(run_id, owner)| orphan(owner, run_id)).collect();

    // A process that is being executed shows no environment yet.
    let shown = async {
        while children.iter().any(|child| !processes::find().iter().any(|p| p.pid == child.id())) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), shown).await.unwrap();

    let mut dry = Report { dry_run: true, ..Report::default() };
    processes::sweep(Options { dry_run: true, ..Options::default() }, &mut dry).await;
    assert!(dry.removed.iter().any(|left| left.run_id == "gc-test-gone"), "{dry}");
    assert!(procfs::start_ticks(children[0].id()).is_some());

    let mut report = Report::default();
    processes::sweep(Options::default(), &mut report).await;
    let ended = |run_id: &str| report.removed.iter().any(|left| left.run_id == run_id);
    assert!(ended("gc-test-gone") && !ended("gc-test-alive"), "{report}");
    assert!(report.living.iter().any(|left| left.run_id == "gc-test-alive"), "{report}");
    assert!(!children[0].wait().unwrap().success());
    assert_eq!(children[1].try_wait().unwrap(), None);
    children[1].kill().unwrap();
    children[1].wait().unwrap();
}

#[test]
fn a_directory_is_believed_by_its_owner_file_only() {
    let parent = tempfile::tempdir().unwrap();
    let make = |name: &str, owner: Option<&str>| {
        let path = parent.path().join(name);
        std::fs::create_dir_all(path.join("alice/state")).unwrap();
        if let Some(owner) = owner {
            std::fs::write(path.join(".owner"), format!("{owner}\nr1\n")).unwrap();
        }
        path
    };
    make("other-1", Some("o"));
    make("dropbed-none", None);
    let run = make("dropbed-1", Some("o"));
    std::os::unix::fs::symlink(&run, parent.path().join("dropbed-link")).unwrap();

    let found = directories::find(parent.path());
    let names: Vec<_> = found.iter().map(|owned| (&owned.path, owned.run_id.as_str())).collect();
    assert_eq!(names, [(&run, "r1")]);
    directories::remove(&run).unwrap();
    assert!(!run.exists());
}

#[test]
fn the_text_says_what_and_why() {
    let leftover =
        Leftover { kind: "network", name: "r1-net-bob".to_owned(), run_id: "r1".to_owned() };
    let report = Report {
        removed: vec![leftover],
        notes: vec!["no engine".to_owned()],
        ..Report::default()
    };
    assert_eq!(report.to_string(), "removed network r1-net-bob (run r1)\nnote: no engine\n");
    assert_eq!(Report::default().to_string(), "nothing to remove\n");
}
