use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
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

fn claim(owner: Option<&str>) -> Claim<'_> {
    Claim { owner, run_id: "r1", directory: None }
}

#[test]
fn only_what_a_dead_owner_left_is_removed() {
    let living = Owner::current().to_string();
    let gone = gone().to_string();
    let elsewhere = Owner { pid_namespace: "1".to_owned(), ..Owner::current() }.to_string();
    for all in [false, true] {
        assert_eq!(judge(claim(Some(&living)), all), Verdict::Living);
        assert_eq!(judge(claim(Some(&gone)), all), Verdict::Remove);
    }
    for unknown in [Some(elsewhere.as_str()), Some("nonsense"), None] {
        assert_eq!(judge(claim(unknown), false), Verdict::Unknown);
        assert_eq!(judge(claim(unknown), true), Verdict::Remove);
    }
}

/// A run's directory with that `live.json`.
fn run_directory(live: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("live.json"), live).unwrap();
    directory
}

#[test]
fn what_was_kept_up_on_purpose_outlives_its_owner() {
    let gone = gone().to_string();
    let living = Owner::current().to_string();
    let up = run_directory(r#"{"schema": 9, "run_id": "r1", "phase": "up", "peers": []}"#);
    let claim = |owner, run_id| Claim { owner, run_id, directory: Some(up.path()) };
    for all in [false, true] {
        assert_eq!(judge(claim(Some(gone.as_str()), "r1"), all), Verdict::Up);
        assert_eq!(judge(claim(None, "r1"), all), Verdict::Up);
        assert_eq!(judge(claim(Some(gone.as_str()), "r2"), all), Verdict::Remove);
        assert_eq!(judge(claim(Some(living.as_str()), "r1"), all), Verdict::Living);
    }
}

#[test]
fn only_an_intact_file_that_says_up_keeps_anything() {
    for text in [
        r#"{"run_id": "r1", "phase": "held"}"#,
        r#"{"run_id": "r2", "phase": "up"}"#,
        r#"{"run_id": "r1"}"#,
        r#"{"run_id": "r1", "phase": "up""#,
        "",
    ] {
        assert!(!kept(run_directory(text).path(), "r1"), "{text}");
    }
    for (owner, is_kept) in [(Owner::current(), true), (gone(), false)] {
        let ending = format!(r#"{{"run_id": "r1", "phase": "ending", "owner": "{owner}"}}"#);
        assert_eq!(kept(run_directory(&ending).path(), "r1"), is_kept, "{ending}");
    }
    for (boot_id, is_kept) in [(Owner::current().boot_id, true), ("another".to_owned(), false)] {
        let owner = Owner { boot_id, ..gone() };
        let up = format!(r#"{{"run_id": "r1", "phase": "up", "owner": "{owner}"}}"#);
        assert_eq!(kept(run_directory(&up).path(), "r1"), is_kept, "{up}");
    }
    let directory = run_directory(r#"{"run_id": "r1", "phase": "up"}"#);
    assert!(kept(directory.path(), "r1"));
    assert!(!kept(&directory.path().join("nothing"), "r1"));
    assert!(!kept(Path::new("."), "r1"), "only an absolute path can be of the run");

    // A pipe that nobody writes to holds nobody up.
    std::fs::remove_file(directory.path().join("live.json")).unwrap();
    let made = Command::new("mkfifo").arg(directory.path().join("live.json")).status().unwrap();
    assert!(made.success() && !kept(directory.path(), "r1"));
}

#[test]
fn a_killed_runs_tokens_are_removed_and_no_others() {
    let ours = run_directory(r#"{"run_id": "r1", "phase": "measuring"}"#);
    let other = run_directory(r#"{"run_id": "r2", "phase": "measuring"}"#);
    let swept = || {
        let mut swept = Swept::default();
        // Several things of one run name the same directory.
        swept.add(Some(ours.path()), "r1");
        swept.add(Some(ours.path()), "r1");
        swept.add(Some(other.path()), "r1");
        swept.add(None, "r1");
        swept
    };
    for dry_run in [true, false] {
        let mut report = Report { dry_run, ..Report::default() };
        swept().remove_tokens(&mut report);
        let names: Vec<_> = report.removed.iter().map(|left| left.name.as_str()).collect();
        assert_eq!(names, [ours.path().join("live.json").to_str().unwrap()], "{report}");
        assert_eq!(ours.path().join("live.json").exists(), dry_run);
    }
    assert!(other.path().join("live.json").exists());
}

#[test]
fn a_process_in_a_container_is_not_ours_to_end() {
    assert_eq!(processes::owned(b"DROPBED_RUN_ID=r\0PATH=/\0"), None);
    let said = processes::Said {
        run_id: "r".to_owned(),
        owner: "1:2:b:3".to_owned(),
        directory: Some("/runs/x".into()),
    };
    let environ = b"DROPBED_OWNER=1:2:b:3\0DROPBED_RUN_ID=r\0DROPBED_DIRECTORY=/runs/x\0";
    assert_eq!(processes::owned(environ), Some(said));
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
    let mut swept = Swept::default();
    processes::sweep(Options { dry_run: true, ..Options::default() }, &mut dry, &mut swept).await;
    assert!(dry.removed.iter().any(|left| left.run_id == "gc-test-gone"), "{dry}");
    assert!(procfs::start_ticks(children[0].id()).is_some());

    // A stopped one too, and without waiting for the force that it takes otherwise.
    let pid = rustix::process::Pid::from_child(&children[0]);
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    let mut report = Report::default();
    processes::sweep(Options::default(), &mut report, &mut swept).await;
    let ended = |run_id: &str| report.removed.iter().any(|left| left.run_id == run_id);
    assert!(ended("gc-test-gone") && !ended("gc-test-alive"), "{report}");
    assert!(report.living.iter().any(|left| left.run_id == "gc-test-alive"), "{report}");
    let how = children[0].wait().unwrap();
    assert_eq!(how.signal(), Some(rustix::process::Signal::TERM.as_raw()), "{how}");
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
            std::fs::write(path.join(".owner"), owner).unwrap();
        }
        path
    };
    let owner = Owner::current();
    make("other-1", Some(&format!("{owner}\nr1\n")));
    make("dropbed-none", None);
    make("dropbed-foreign", Some("the owner of this\nis somebody else\n"));
    let old = make("dropbed-1", Some(&format!("{owner}\nr1\n")));
    let new = make("dropbed-2", Some(&format!("{owner}\nr2\n/runs/two words\n")));
    std::os::unix::fs::symlink(&old, parent.path().join("dropbed-link")).unwrap();

    let mut found = directories::find(parent.path());
    found.sort_by(|left, right| left.path.cmp(&right.path));
    let facts: Vec<_> = found
        .iter()
        .map(|owned| (&owned.path, owned.run_id.as_str(), owned.directory.as_deref()))
        .collect();
    assert_eq!(facts, [(&old, "r1", None), (&new, "r2", Some(Path::new("/runs/two words")))]);
    directories::remove(&old).unwrap();
    assert!(!old.exists());
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
    let kept = Report { up: report.removed, ..Report::default() };
    let said = "kept, up: network r1-net-bob (run r1)\nnothing to remove\n";
    assert_eq!(kept.to_string(), said);
    assert_eq!(Report::default().to_string(), "nothing to remove\n");
}

/// Two that clean up at once: the second finds nothing, or half of it.
#[test]
fn a_directory_that_somebody_else_removed_is_no_failure() {
    let parent = tempfile::tempdir().unwrap();
    directories::remove(&parent.path().join("gone")).unwrap();
}

#[test]
fn a_directory_that_was_only_begun_is_judged_by_its_name() {
    let parent = tempfile::tempdir().unwrap();
    let named = |owner: &Owner, end: &str| {
        let path = parent.path().join(format!("dropbed-{}-{}-{end}", owner.pid, owner.start_ticks));
        std::fs::create_dir(&path).unwrap();
        path
    };
    let (gone, living) = (named(&gone(), "a"), named(&Owner::current(), "b"));
    std::fs::write(named(&Owner::current(), "c").join("file"), "").unwrap();
    std::fs::create_dir(parent.path().join("dropbed-xyz")).unwrap();
    let mut found = directories::find(parent.path());
    found.sort_by(|left, right| left.path.cmp(&right.path));
    let verdicts: Vec<_> = found
        .iter()
        .map(|one| {
            let claim = Claim { owner: Some(&one.owner), run_id: &one.run_id, directory: None };
            (one.path.clone(), judge(claim, false))
        })
        .collect();
    assert_eq!(verdicts.len(), 2, "{verdicts:?}");
    assert!(verdicts.contains(&(gone, Verdict::Remove)), "{verdicts:?}");
    assert!(verdicts.contains(&(living, Verdict::Living)), "{verdicts:?}");
}
