use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use rustix::io::Errno;
use tokio::sync::Semaphore;
use tracing::Span;

use super::memory::{Behaviour, MemoryShare};
use super::*;

mod listing;
mod model;
mod spans;

const OWNER: Owner = Owner { user: 1000, group: 100 };
const BIG: u32 = 3 * REMOTE_READ_BYTES_MAX + 77;

/// A tree with one peer, "anna".
struct Tree {
    fs: FileSystem,
    anna: Arc<MemoryShare>,
}

impl Tree {
    fn new() -> Self {
        let anna = Arc::new(MemoryShare::new("anna"));
        let shares = Shares::new();
        shares.insert("anna", anna.clone()).unwrap();
        Self { fs: FileSystem::new(shares, OWNER, SystemTime::UNIX_EPOCH), anna }
    }

    /// Looks up each component, as the kernel does, and gives the last one's.
    async fn walk(&self, path: &str) -> Result<Attributes, FsError> {
        let mut at = self.fs.getattr(ROOT).await?;
        for name in path.split('/') {
            let found = self.fs.lookup(at.number, OsStr::new(name)).await;
            self.fs.forget(at.number, 1);
            at = found?;
        }
        Ok(at)
    }

    async fn open(&self, path: &str) -> Result<u64, FsError> {
        let found = self.walk(path).await?;
        let opened = self.fs.open(found.number, Access::Read, Span::none()).await;
        self.fs.forget(found.number, 1);
        opened
    }
}

fn pattern(length: u32) -> Bytes {
    (0..length).map(|i| u8::try_from(i % 251).unwrap()).collect()
}

fn errno<T: std::fmt::Debug>(result: Result<T, FsError>) -> Errno {
    result.unwrap_err().errno()
}

#[tokio::test]
async fn attributes_are_read_only_and_ours() {
    let tree = Tree::new();
    tree.anna.put_file("docs/a.txt", "hello");
    let file = tree.walk("anna/docs/a.txt").await.unwrap();
    assert_eq!((file.kind, file.size_bytes, file.mode), (FileKind::Regular, 5, 0o444));
    assert_eq!((file.owner, file.links), (OWNER, 1));
    let directory = tree.walk("anna/docs").await.unwrap();
    assert_eq!((directory.kind, directory.mode), (FileKind::Directory, 0o555));
    assert_eq!(tree.fs.getattr(directory.number).await.unwrap(), directory);
    assert_eq!(tree.fs.getattr(file.number).await.unwrap(), file);
}

#[tokio::test]
async fn times_of_a_peer_cannot_overflow() {
    let mut version = crate::transfer::Version { mtime_s: -1, ..Default::default() };
    let of = |version| Attributes::file(2, &version, 0o600, OWNER).modified;
    assert_eq!(of(version), SystemTime::UNIX_EPOCH - Duration::from_secs(1));
    version.mtime_s = i64::MIN;
    version.mtime_ns = u32::MAX;
    of(version);
    version.mtime_s = i64::MAX;
    assert_eq!(of(version), SystemTime::UNIX_EPOCH);
}

#[tokio::test]
async fn a_number_is_held_until_every_lookup_is_forgotten() {
    let tree = Tree::new();
    tree.anna.put_file("a", "x");
    let share = tree.fs.lookup(ROOT, OsStr::new("anna")).await.unwrap().number;
    let first = tree.fs.lookup(share, OsStr::new("a")).await.unwrap().number;
    let second = tree.fs.lookup(share, OsStr::new("a")).await.unwrap().number;
    assert_eq!(first, second);
    assert_eq!(tree.fs.held(), Held { inodes: 2, handles: 0 });
    tree.fs.forget(first, 1);
    assert!(tree.fs.getattr(first).await.is_ok());
    tree.fs.forget(first, 1);
    assert_eq!(errno(tree.fs.getattr(first).await), Errno::STALE);
    // Once forgotten, never used again.
    assert!(tree.fs.lookup(share, OsStr::new("a")).await.unwrap().number > first);
    tree.fs.forget(share, 5);
    tree.fs.forget(ROOT, 5);
    assert!(tree.fs.getattr(ROOT).await.is_ok());
}

#[tokio::test]
async fn reads_are_exact_and_clipped_to_the_file() {
    let tree = Tree::new();
    let data = pattern(BIG);
    tree.anna.put_file("big", data.clone());
    let handle = tree.open("anna/big").await.unwrap();
    let cases = [
        (0, BIG),
        (0, u32::MAX),
        (1, REMOTE_READ_BYTES_MAX),
        (7, REMOTE_READ_BYTES_MAX + 1),
        (u64::from(BIG) - 1, 10),
    ];
    for (offset, length) in cases {
        let got = tree.fs.read(handle, offset, length).await.unwrap();
        let start = usize::try_from(offset).unwrap();
        let end = data.len().min(start + length as usize);
        assert!(got == data[start..end], "{length} bytes at {offset}");
    }
    for offset in [u64::from(BIG), u64::MAX] {
        assert!(tree.fs.read(handle, offset, 10).await.unwrap().is_empty());
    }
    tree.fs.release(handle).unwrap();
    assert_eq!(errno(tree.fs.read(handle, 0, 1).await), Errno::BADF);
}

#[tokio::test]
async fn a_peer_that_sends_the_wrong_number_of_bytes_is_an_error() {
    let tree = Tree::new();
    tree.anna.put_file("big", pattern(BIG));
    let handle = tree.open("anna/big").await.unwrap();
    for excess_bytes in [-1, 1] {
        tree.anna.set_behaviour("big", Behaviour { excess_bytes, ..Behaviour::default() });
        for length in [100, BIG] {
            let result = tree.fs.read(handle, 0, length).await;
            assert!(matches!(&result, Err(FsError::WrongLength { .. })), "{result:?}");
            assert_eq!(errno(result), Errno::IO);
        }
    }
}

#[tokio::test]
async fn every_failure_of_a_peer_has_its_errno() {
    let (peer, path, reason) = (|| "anna".to_owned(), || "a".to_owned(), || "why".to_owned());
    let cases = [
        (FetchError::Denied { peer: peer(), path: path(), reason: reason() }, Errno::ACCESS),
        (FetchError::Invalid { peer: peer(), path: path(), reason: reason() }, Errno::INVAL),
        (FetchError::Changed { peer: peer(), path: path() }, Errno::STALE),
        (FetchError::Failed { peer: peer(), path: path(), reason: reason() }, Errno::IO),
        (FetchError::Unreachable { peer: peer(), reason: reason() }, Errno::IO),
        (FetchError::Busy { peer: peer(), path: path(), reason: reason() }, Errno::AGAIN),
        (FetchError::TimedOut { peer: peer(), path: path(), deadline_ms: 1 }, Errno::TIMEDOUT),
        // What was opened is gone: not ENOENT, which read(2) does not know.
        (FetchError::NotFound { peer: peer(), path: path() }, Errno::STALE),
    ];
    let tree = Tree::new();
    tree.anna.put_file("a", "text");
    let handle = tree.open("anna/a").await.unwrap();
    for (failure, expected) in cases {
        let behaviour = Behaviour { failure: Some(failure.clone()), ..Behaviour::default() };
        tree.anna.set_behaviour("a", behaviour);
        assert_eq!(errno(tree.fs.read(handle, 0, 4).await), expected, "{failure}");
    }
    assert_eq!(FsError::from(tree.anna.stat("gone").await.unwrap_err()).errno(), Errno::NOENT);
}

#[tokio::test]
async fn a_changed_file_is_stale_and_another_number() {
    let tree = Tree::new();
    tree.anna.put_file("a", "old text");
    let old = tree.walk("anna/a").await.unwrap();
    let handle = tree.fs.open(old.number, Access::Read, Span::none()).await.unwrap();
    tree.anna.put_file("a", "new text");
    assert_eq!(errno(tree.fs.read(handle, 0, 4).await), Errno::STALE);
    assert_eq!(
        errno(tree.fs.open(old.number, Access::Read, Span::none()).await),
        Errno::STALE,
        "the kernel then looks the name up again"
    );
    // The old number keeps the attributes it was given.
    assert_eq!(tree.fs.getattr(old.number).await.unwrap(), old);
    let new = tree.walk("anna/a").await.unwrap();
    assert_ne!(new.number, old.number);
    let handle = tree.fs.open(new.number, Access::Read, Span::none()).await.unwrap();
    assert_eq!(tree.fs.read(handle, 0, 100).await.unwrap(), "new text");
}

#[tokio::test]
async fn wrong_uses_have_their_errno() {
    let tree = Tree::new();
    tree.anna.put_file("d/a", "x");
    let directory = tree.walk("anna/d").await.unwrap().number;
    let file = tree.walk("anna/d/a").await.unwrap().number;
    let fs = &tree.fs;
    let open = |number, access| fs.open(number, access, Span::none());
    assert_eq!(errno(fs.lookup(ROOT, OsStr::new("bert")).await), Errno::NOENT);
    assert_eq!(errno(fs.lookup(directory, OsStr::new("b")).await), Errno::NOENT);
    assert_eq!(errno(fs.lookup(file, OsStr::new("b")).await), Errno::NOTDIR);
    assert_eq!(errno(fs.lookup(directory, OsStr::new(&"n".repeat(256))).await), Errno::NAMETOOLONG);
    assert_eq!(errno(open(directory, Access::Read).await), Errno::ISDIR);
    assert_eq!(errno(open(ROOT, Access::Read).await), Errno::ISDIR);
    assert_eq!(errno(open(file, Access::Write).await), Errno::ROFS);
    assert_eq!(errno(fs.access(file, Access::Write)), Errno::ROFS);
    assert_eq!(fs.access(file, Access::Read), Ok(()));
    assert_eq!(errno(fs.open_directory(file).await), Errno::NOTDIR);
    assert_eq!(errno(fs.release(99)), Errno::BADF);
}

#[tokio::test]
async fn a_directory_that_became_a_file_is_stale() {
    let tree = Tree::new();
    tree.anna.put_directory("d");
    let number = tree.walk("anna/d").await.unwrap().number;
    tree.anna.remove("d");
    assert_eq!(errno(tree.fs.getattr(number).await), Errno::NOENT);
    tree.anna.put_file("d", "x");
    assert_eq!(errno(tree.fs.getattr(number).await), Errno::STALE);
}

#[tokio::test]
async fn peers_come_and_go_while_files_stay_open() {
    let tree = Tree::new();
    tree.anna.put_file("a", "first");
    let handle = tree.open("anna/a").await.unwrap();
    let bert = Arc::new(MemoryShare::new("bert"));
    bert.put_file("b", "x");
    tree.fs.shares.insert("bert", bert).unwrap();
    assert!(tree.walk("bert/b").await.is_ok());
    assert!(tree.fs.shares.remove("anna"));
    assert_eq!(errno(tree.walk("anna/a").await), Errno::NOENT);
    assert_eq!(tree.fs.read(handle, 0, 10).await.unwrap(), "first");
}

#[test]
fn names_of_peers_are_names_of_directories() {
    let shares = Shares::new();
    let share: Arc<dyn Remote> = Arc::new(MemoryShare::new("x"));
    for name in ["", ".", "..", "a/b", "a\0", &"n".repeat(256)] {
        assert!(shares.insert(name, share.clone()).is_err(), "{name:?}");
    }
    assert_eq!(shares.names(), Vec::<String>::new());
}

#[tokio::test]
async fn a_waiting_read_holds_up_nobody() {
    let tree = Arc::new(Tree::new());
    tree.anna.put_file("slow", "slow");
    tree.anna.put_file("fast", "fast");
    let gate = Arc::new(Semaphore::new(0));
    let behaviour = Behaviour { gate: Some(gate.clone()), ..Behaviour::default() };
    tree.anna.set_behaviour("slow", behaviour);
    let handle = tree.open("anna/slow").await.unwrap();
    let reading = tokio::spawn({
        let tree = tree.clone();
        async move { tree.fs.read(handle, 0, 4).await }
    });
    tree.anna.reads().wait_for(|&reads| reads == 1).await.unwrap();
    let other = tree.open("anna/fast").await.unwrap();
    assert_eq!(tree.fs.read(other, 0, 4).await.unwrap(), "fast");
    assert!(!reading.is_finished());
    gate.add_permits(1);
    assert_eq!(reading.await.unwrap().unwrap(), "slow");
}
