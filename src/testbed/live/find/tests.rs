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

/// What `find` sees in `out`, and nowhere else.
fn seen(out: &Path) -> Vec<Seen> {
    let entries = std::fs::read_dir(out).into_iter().flatten().flatten();
    let seen = entries.filter_map(|entry| {
        let directory = entry.path();
        let read = Live::read(&directory);
        let other_schema = read.as_ref().err().and_then(OtherSchema::of);
        let live = read.ok();
        if live.is_none() && other_schema.is_none() {
            return None;
        }
        let of = |field: fn(&Live) -> String| live.as_ref().map(field).unwrap_or_default();
        let (run_id, owner) = (of(|live| live.run_id.clone()), of(|live| live.owner.clone()));
        Some(Seen { directory, run_id, live, has_parts: false, owner, other_schema })
    });
    let mut seen: Vec<Seen> = seen.collect();
    seen.sort_by(|left, right| right.directory.cmp(&left.directory));
    seen
}

fn which(run: Option<&str>) -> Which {
    Which { run: run.map(str::to_owned), out: Some("out".into()), half_removed: false }
}

/// The same run under another name and id.
fn called(out: &Path, name: &str) -> LiveFile {
    let directory = out.join(format!("dir-{name}"));
    std::fs::create_dir(&directory).unwrap();
    let live = Live { name: name.to_owned(), run_id: format!("id-{name}"), ..live() };
    LiveFile::create(&directory, live).unwrap()
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
    let found = choose(seen(out.path()), &which(None)).unwrap();
    assert_eq!(found.directory, out.path().join("2-live"));
}

#[test]
fn an_owner_that_cannot_be_judged_is_believed_where_there_is_no_other() {
    let out = tempfile::tempdir().unwrap();
    let _files = [run(out.path(), "1-killed", ended()), run(out.path(), "2-else", elsewhere())];
    let found = choose(seen(out.path()), &which(None)).unwrap();
    assert_eq!(found.directory, out.path().join("2-else"));
}

/// By the topology's name, by the run's id, by its directory's name.
#[test]
fn a_run_is_found_by_what_it_is_called() {
    let out = tempfile::tempdir().unwrap();
    let _files = [called(out.path(), "one"), called(out.path(), "two")];
    for word in ["two", "id-two", "dir-two"] {
        let found = choose(seen(out.path()), &which(Some(word))).unwrap();
        assert_eq!(found.live.name, "two", "{word}");
    }
    let error = choose(seen(out.path()), &which(Some("tow"))).unwrap_err();
    assert_eq!(error.exit(), Exit::BadInput);
    assert!(error.to_string().contains("did you mean `two`?"), "{error}");
    let error = choose(Vec::new(), &which(Some("two"))).unwrap_err().to_string();
    assert!(error.contains("dropbed up FILE"), "{error}");
}

/// A name beats a directory of the same name that is none of a live run.
#[test]
fn a_killed_run_is_told_by_its_name() {
    let out = tempfile::tempdir().unwrap();
    let _file = run(out.path(), "killed", ended());
    let error = choose(seen(out.path()), &which(Some("x"))).unwrap_err();
    assert!(error.to_string().contains("dropbed gc"), "{error}");
}

#[test]
fn none_and_several_say_what_to_do() {
    let error = choose(Vec::new(), &which(None)).unwrap_err();
    assert_eq!(error.exit(), Exit::Environment);
    assert!(error.to_string().contains("dropbed run FILE --hold"), "{error}");
    let out = tempfile::tempdir().unwrap();
    let same =
        [run(out.path(), "1-old", Owner::current()), run(out.path(), "2-new", Owner::current())];
    let error = choose(seen(out.path()), &which(None)).unwrap_err();
    assert_eq!(error.exit(), Exit::BadInput);
    // Of one name: by id.
    assert!(error.to_string().contains(&format!("--run {}", live().run_id)), "{error}");
    drop(same);
    let _files = [called(out.path(), "old"), called(out.path(), "new")];
    let text = choose(seen(out.path()), &which(None)).unwrap_err().to_string();
    assert!(text.contains("--run old") && text.contains("--run new"), "{text}");
}

#[test]
fn an_engine_that_was_not_asked_is_told_where_nothing_is_found() {
    for run in [None, Some("x")] {
        let error = choose(Vec::new(), &which(run)).unwrap_err();
        let plain = error.to_string();
        assert!(!plain.contains("containers"), "{plain}");
        let told = error.with_unasked(Some("the engine sleeps".into())).to_string();
        assert!(told.contains("containers") && told.contains("the engine sleeps"), "{told}");
    }
}

/// A directory of runs that is named is looked at alone; what processes left below
/// the directory for temporary files tells of others.
#[tokio::test]
async fn what_is_live_is_found_where_it_is() {
    let out = tempfile::tempdir().unwrap();
    let _file = called(out.path(), "one");
    let found = look(Some(out.path())).await.seen;
    assert_eq!(found.iter().map(Seen::name).collect::<Vec<_>>(), ["one"]);
    assert!(!found[0].has_parts, "nothing of it is anywhere else");
    let owned = tempfile::Builder::new().prefix("dropbed-").tempdir().unwrap();
    let directory = out.path().join("dir-one").canonicalize().unwrap();
    let owner = format!("{}\nid-one\n{}\n", Owner::current(), directory.display());
    std::fs::write(owned.path().join(".owner"), owner).unwrap();
    for place in [Some(out.path()), None] {
        let found = look(place).await.seen;
        let one = found.iter().find(|seen| seen.run_id == "id-one").unwrap();
        assert!(one.has_parts && one.directory == directory, "{one:?}");
    }
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
        let error = at(&out.path().join(name), false).unwrap_err();
        assert_eq!(error.exit(), Exit::Environment);
        assert!(error.to_string().contains(why), "{error}");
    }
    let _live = run(out.path(), "live", Owner::current());
    assert_eq!(at(&out.path().join("live"), false).unwrap().live, live());
}

/// Never passed over where it may be what is meant, and never in the way of another.
#[tokio::test]
async fn a_file_of_another_schema_is_told() {
    let out = tempfile::tempdir().unwrap();
    let directory = out.path().join("newer");
    std::fs::create_dir(&directory).unwrap();
    let newer = Live { schema: 99, name: "newer-one".to_owned(), ..live() };
    let _newer = LiveFile::create(&directory, newer).unwrap();
    for word in [None, Some("newer-one"), Some("newer")] {
        let error = choose(seen(out.path()), &which(word)).unwrap_err();
        assert_eq!(error.exit(), Exit::Environment);
        assert!(error.to_string().contains("schema 99"), "{word:?}: {error}");
    }
    let error = at(&directory, true).unwrap_err().to_string();
    assert!(error.contains("schema 99") && error.contains("dropbed gc"), "{error}");
    let error = find(&Which { out: Some(out.path().into()), ..Which::default() }).await;
    assert!(error.unwrap_err().to_string().contains("schema 99"));
    let (found, others) = all(out.path());
    assert!(found.is_empty() && others.len() == 1, "{others:?}");
    assert!(look(Some(out.path())).await.seen.is_empty(), "it is told, and not listed");

    let _live = called(out.path(), "one");
    assert_eq!(choose(seen(out.path()), &which(None)).unwrap().live.name, "one");
    let error = choose(seen(out.path()), &which(Some("newer-one"))).unwrap_err().to_string();
    assert!(error.contains("schema 99"), "{error}");
}
