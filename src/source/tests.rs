use std::os::unix::fs::symlink;

use super::*;
use crate::transfer::FileKind;

/// A share with a neighbour that must never be served.
struct World {
    base: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let base = tempfile::tempdir().unwrap();
        let share = base.path().join("share");
        std::fs::create_dir_all(share.join("dir/sub")).unwrap();
        std::fs::write(share.join("file"), "served").unwrap();
        std::fs::write(share.join("dir/sub/deep"), "deep").unwrap();
        std::fs::create_dir(base.path().join("outside")).unwrap();
        std::fs::write(base.path().join("outside/secret"), "secret").unwrap();
        Self { base }
    }

    fn share(&self) -> PathBuf {
        self.base.path().join("share")
    }

    fn source(&self) -> Source {
        Source::open(&self.share()).unwrap()
    }
}

fn path(text: &str) -> SharePath {
    SharePath::parse(text).unwrap()
}

fn read(source: &Source, text: &str) -> Result<String, SourceError> {
    let file = source.open_file(&path(text))?;
    let data = file.read(&file.version(), 0, 1024)?;
    Ok(String::from_utf8(data.to_vec()).unwrap())
}

#[test]
fn malformed_paths_are_refused() {
    let long_name = "n".repeat(NAME_BYTES_MAX + 1);
    let long_path = "n/".repeat(PATH_BYTES_MAX / 2) + "nn";
    for (text, error) in [
        ("..", PathError::DotName),
        ("a/../../x", PathError::DotName),
        (".", PathError::DotName),
        ("a/./b", PathError::DotName),
        ("/etc/passwd", PathError::EmptyName),
        ("a//b", PathError::EmptyName),
        ("a/", PathError::EmptyName),
        ("/", PathError::EmptyName),
        ("a\0b", PathError::Nul),
        (&long_name, PathError::TooLong),
        (&long_path, PathError::TooLong),
    ] {
        assert_eq!(SharePath::parse(text), Err(error), "{text:?}");
    }
    assert_eq!(check_name("a/b"), Err(PathError::Slash));
}

#[test]
fn files_and_inner_symlinks_are_served() {
    let world = World::new();
    symlink("dir/sub/deep", world.share().join("inner")).unwrap();
    symlink("../file", world.share().join("dir/up")).unwrap();
    let source = world.source();
    assert_eq!(read(&source, "file").unwrap(), "served");
    assert_eq!(read(&source, "dir/sub/deep").unwrap(), "deep");
    assert_eq!(read(&source, "inner").unwrap(), "deep");
    assert_eq!(read(&source, "dir/up").unwrap(), "served");
    assert_eq!(source.stat(&SharePath::ROOT).unwrap().kind, FileKind::Directory);
    assert_eq!(source.stat(&path("dir/sub/deep")).unwrap().name, "deep");
}

#[test]
fn nothing_leads_outside() {
    let world = World::new();
    let links = [
        ("absolute", world.base.path().join("outside/secret")),
        ("up", PathBuf::from("..")),
        ("relative", PathBuf::from("../outside/secret")),
        ("deep-up", PathBuf::from("dir/../../outside/secret")),
        ("root", PathBuf::from("/")),
        ("loop", PathBuf::from("loop")),
    ];
    for (name, target) in &links {
        symlink(target, world.share().join(name)).unwrap();
    }
    symlink("..", world.share().join("dir/escape")).unwrap();
    symlink("../../..", world.share().join("dir/sub/escape")).unwrap();
    let source = world.source();
    for text in [
        "absolute",
        "up",
        "up/outside/secret",
        "relative",
        "deep-up",
        "root",
        "root/proc/self/root",
        "loop",
        "dir/sub/escape/outside/secret",
    ] {
        for result in [
            source.open_file(&path(text)).map(drop),
            source.stat(&path(text)).map(drop),
            source.list(&path(text)).map(drop),
        ] {
            assert!(matches!(result, Err(SourceError::Denied { .. })), "{text}: {result:?}");
        }
    }
    assert_eq!(read(&source, "dir/escape/file").unwrap(), "served", "stays beneath");
}

#[test]
fn magic_links_are_not_followed() {
    let source = Source::open(Path::new("/proc")).unwrap();
    for text in ["self/root/etc", "self/cwd", "self/fd/0", "self/exe"] {
        let result = source.stat(&path(text));
        assert!(matches!(result, Err(SourceError::Denied { .. })), "{text}: {result:?}");
    }
}

#[test]
fn directory_swapped_for_a_symlink_leads_nowhere() {
    let world = World::new();
    let source = world.source();
    assert_eq!(read(&source, "dir/sub/deep").unwrap(), "deep");
    std::fs::rename(world.share().join("dir"), world.share().join("was")).unwrap();
    symlink("../outside", world.share().join("dir")).unwrap();
    assert!(matches!(read(&source, "dir/secret"), Err(SourceError::Denied { .. })));
}

#[test]
fn share_itself_swapped_stays_the_opened_one() {
    let world = World::new();
    let source = world.source();
    std::fs::rename(world.share(), world.base.path().join("moved")).unwrap();
    symlink("outside", world.share()).unwrap();
    assert!(matches!(read(&source, "secret"), Err(SourceError::NotFound)));
    assert_eq!(read(&source, "file").unwrap(), "served");
}

#[test]
fn other_kinds_are_refused_without_waiting() {
    let world = World::new();
    let fifo = world.share().join("fifo");
    rustix::fs::mknodat(CWD, &fifo, rustix::fs::FileType::Fifo, Mode::RWXU, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(world.share().join("socket")).unwrap();
    let source = world.source();
    for text in ["fifo", "socket"] {
        let result = source.open_file(&path(text));
        assert!(matches!(result, Err(SourceError::Denied { .. })), "{text}: {result:?}");
        assert!(matches!(source.stat(&path(text)), Err(SourceError::Denied { .. })));
    }
    assert!(matches!(source.open_file(&path("dir")), Err(SourceError::Invalid { .. })));
    assert!(matches!(source.list(&path("file")), Err(SourceError::NotFound)));
    assert!(matches!(source.stat(&path("none")), Err(SourceError::NotFound)));
    assert!(matches!(source.stat(&path("file/below")), Err(SourceError::NotFound)));
}

#[test]
fn listing_is_ordered_batched_and_shared_kinds_only() {
    use std::os::unix::ffi::OsStrExt as _;
    let world = World::new();
    symlink("/etc", world.share().join("out")).unwrap();
    std::fs::write(world.share().join(std::ffi::OsStr::from_bytes(b"\xff")), "").unwrap();
    std::fs::write(world.share().join("a"), "").unwrap();
    let source = world.source();
    let mut listing = source.list(&SharePath::ROOT).unwrap();
    let names = |batch: Vec<Entry>| batch.into_iter().map(|e| e.name).collect::<Vec<_>>();
    assert_eq!(names(listing.next_batch(2)), ["a", "dir"]);
    assert_eq!(names(listing.next_batch(2)), ["file"]);
    assert!(listing.next_batch(2).is_empty());
}

#[test]
fn reads_are_positioned_and_of_one_version() {
    let world = World::new();
    let source = world.source();
    let file = source.open_file(&path("file")).unwrap();
    let version = file.version();
    assert_eq!(file.read(&version, 2, 3).unwrap(), "rve");
    assert_eq!(file.read(&version, 4, 100).unwrap(), "ed");
    assert_eq!(file.read(&version, 6, 1).unwrap(), "");
    assert_eq!(file.read(&version, u64::MAX, 1).unwrap(), "");
    let grown = std::fs::OpenOptions::new().append(true).open(world.share().join("file")).unwrap();
    io::Write::write_all(&mut &grown, b"!").unwrap();
    assert!(matches!(file.read(&version, 0, 1), Err(SourceError::Changed)));
}

#[test]
fn replaced_file_of_same_size_and_time_is_another_version() {
    let world = World::new();
    let source = world.source();
    let before = source.open_file(&path("file")).unwrap();
    let times = std::fs::metadata(world.share().join("file")).unwrap().modified().unwrap();
    let new = world.share().join("new");
    std::fs::write(&new, "SERVED").unwrap();
    File::options().write(true).open(&new).unwrap().set_modified(times).unwrap();
    std::fs::rename(&new, world.share().join("file")).unwrap();
    let after = source.open_file(&path("file")).unwrap();
    assert_ne!(before.version(), after.version());
    assert!(matches!(after.read(&before.version(), 0, 6), Err(SourceError::Changed)));
}

#[test]
fn missing_share_is_a_clear_error() {
    let base = tempfile::tempdir().unwrap();
    let error = Source::open(&base.path().join("none")).unwrap_err();
    assert!(error.to_string().contains("cannot open this directory"), "{error}");
}
