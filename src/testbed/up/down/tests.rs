use super::*;
use crate::testbed::live::tests::live;
use crate::testbed::live::{Live, Phase};
use crate::testbed::runtime::part::{PartPlace, Place};

/// A topology whose only part has ended, as its owner left it.
fn standing(out: &Path, name: &str) -> LiveFile {
    let directory = out.join(name);
    std::fs::create_dir(&directory).unwrap();
    let (home, log) = (out.join("gone").join(name), out.join("gone.log"));
    // No process of this id has started then.
    let place = Place::Process { pid: std::process::id(), start_ticks: 1, home, log };
    let (peers, parts) = (Vec::new(), vec![PartPlace { name: name.to_owned(), place }]);
    let run_id = format!("20260101-000000-{name}-00000000");
    let name = name.to_owned();
    let live = Live { phase: Phase::Up, name, run_id, peers, parts, ..live() };
    LiveFile::create(&directory, live).unwrap()
}

/// What cannot be removed is told beside what was, whichever is tried first.
#[tokio::test]
async fn one_that_fails_keeps_no_other_up() {
    let out = tempfile::tempdir().unwrap();
    let names = ["a", "b", "c"];
    let mut files: Vec<_> = names.iter().map(|name| standing(out.path(), name)).collect();
    files[2].update(|live| live.schema = 99).unwrap();
    // Somebody is at it.
    let lock = Lock::take(out.path(), "b").unwrap();
    let which = Which::AllBelow(out.path().to_owned());
    let downed = down(&which, false, Ui::new(true)).await;
    let removed: Vec<&str> = downed.removed.iter().map(|down| down.name.as_str()).collect();
    assert_eq!(removed, ["a"], "{:?}", downed.failures);
    assert!(!out.path().join("a/live.json").exists());
    let [held, other] = &downed.failures[..] else { panic!("{:?}", downed.failures) };
    assert!(matches!(held, DownError::Lock(LockError::Held { .. })), "{held}");
    assert!(other.to_string().contains("schema 99"), "{other}");
    assert_eq!(downed.exit(), Exit::Environment);

    drop(lock);
    std::fs::remove_file(out.path().join("c/live.json")).unwrap();
    let downed = down(&which, false, Ui::new(true)).await;
    assert_eq!((downed.removed.len(), downed.exit()), (1, Exit::Pass), "{:?}", downed.failures);
}

#[test]
fn a_removal_that_takes_too_long_is_told_from_one_that_fails() {
    let late = DownError::late("r", "it is not gone", CLEAN_UP_DEADLINE);
    assert_eq!(late.exit(), Exit::TimedOut);
    let text = late.to_string();
    assert!(text.contains("removing r: it is not gone within 60s"), "{text}");
    let left = DownError::Left { run_id: "r".into(), reason: "no".into() };
    assert_eq!(left.exit(), Exit::Harness);
}
