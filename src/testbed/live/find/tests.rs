use super::*;
use crate::cli::exit::Exit;
use crate::testbed::live::LiveFile;
use crate::testbed::live::tests::live;
use crate::testbed::runtime::owner::Owner;

/// A run's directory in `out`, of this process unless `owner` is another.
fn run(out: &Path, name: &str, owner: Owner) -> LiveFile {
    let directory = out.join(name);
    std::fs::create_dir(&directory).unwrap();
    LiveFile::create(&directory, Live { owner: owner.to_string(), ..live() }).unwrap()
}

fn ended() -> Owner {
    let own = Owner::current();
    Owner { start_ticks: own.start_ticks + 1, ..own }
}

fn elsewhere() -> Owner {
    Owner { pid_namespace: "1".into(), ..Owner::current() }
}

#[test]
fn the_only_live_run_is_found_among_others() {
    let out = tempfile::tempdir().unwrap();
    let _files = [
        run(out.path(), "1-killed", ended()),
        run(out.path(), "2-live", Owner::current()),
        run(out.path(), "3-elsewhere", elsewhere()),
    ];
    std::fs::create_dir(out.path().join("4-over")).unwrap();
    assert_eq!(below(out.path()).unwrap().directory, out.path().join("2-live"));
}

#[test]
fn an_owner_that_cannot_be_judged_is_believed_where_there_is_no_other() {
    let out = tempfile::tempdir().unwrap();
    let _files = [run(out.path(), "1-killed", ended()), run(out.path(), "2-else", elsewhere())];
    assert_eq!(below(out.path()).unwrap().directory, out.path().join("2-else"));
}

#[test]
fn none_and_several_say_what_to_do() {
    let out = tempfile::tempdir().unwrap();
    for nothing in [out.path().to_owned(), out.path().join("missing")] {
        let error = below(&nothing).unwrap_err();
        assert_eq!(error.exit(), Exit::Environment);
        assert!(error.to_string().contains("dropbed run FILE --hold"), "{error}");
    }
    let _files =
        [run(out.path(), "1-old", Owner::current()), run(out.path(), "2-new", Owner::current())];
    let error = below(out.path()).unwrap_err();
    assert_eq!(error.exit(), Exit::BadInput);
    let text = error.to_string();
    let (new, old) = (text.find("2-new`").unwrap(), text.find("1-old`").unwrap());
    assert!(new < old && text.contains("--run"), "the newest first: {text}");
}

#[test]
fn a_named_directory_says_why_it_is_none_of_a_live_run() {
    let out = tempfile::tempdir().unwrap();
    let _killed = run(out.path(), "killed", ended());
    let broken = out.path().join("broken");
    std::fs::create_dir(&broken).unwrap();
    std::fs::write(broken.join(FILE), "{").unwrap();
    let over = out.path().join("over");
    std::fs::create_dir(&over).unwrap();
    for (name, why) in [
        ("killed", "dropbed gc"),
        ("broken", "cannot be read"),
        ("over", "run is over"),
        ("missing", "no such directory"),
    ] {
        let error = at(&out.path().join(name)).unwrap_err();
        assert_eq!(error.exit(), Exit::Environment);
        assert!(error.to_string().contains(why), "{error}");
    }
    let _live = run(out.path(), "live", Owner::current());
    assert_eq!(at(&out.path().join("live")).unwrap().live, live());
}
