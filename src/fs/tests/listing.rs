use super::*;

/// Reads a directory in pieces of `room` entries.
fn list(fs: &FileSystem, handle: u64, room: usize) -> Vec<(String, Attributes)> {
    let mut listed = Vec::new();
    let mut offset = 0;
    loop {
        let before = listed.len();
        fs.read_directory(handle, offset, |entry| {
            if listed.len() == before + room {
                return Room::Full;
            }
            offset = entry.next_offset;
            listed.push((entry.name.to_owned(), entry.attributes));
            Room::Taken
        })
        .unwrap();
        if listed.len() == before {
            return listed;
        }
    }
}

fn names(listed: &[(String, Attributes)]) -> Vec<&str> {
    listed.iter().map(|(name, _)| name.as_str()).collect()
}

#[tokio::test]
async fn the_root_lists_peers_without_asking_them() {
    let tree = Tree::new();
    tree.fs.shares.insert("bert", Arc::new(MemoryShare::new("bert"))).unwrap();
    let handle = tree.fs.open_directory(ROOT).await.unwrap();
    assert_eq!(names(&list(&tree.fs, handle, 10)), [".", "..", "anna", "bert"]);
    tree.fs.release_directory(handle).unwrap();
    assert_eq!(tree.fs.held(), Held { inodes: 0, handles: 0 });
}

#[tokio::test]
async fn a_listing_in_pieces_is_one_moment() {
    let tree = Tree::new();
    for name in ["a", "b", "c", "d/e"] {
        tree.anna.put_file(name, name);
    }
    let share = tree.walk("anna").await.unwrap().number;
    let handle = tree.fs.open_directory(share).await.unwrap();
    let mut first = Vec::new();
    tree.fs
        .read_directory(handle, 0, |entry| {
            first.push(entry.next_offset);
            Room::Taken
        })
        .unwrap();
    assert_eq!(first, [1, 2, 3, 4, 5, 6]);
    tree.anna.remove("a");
    tree.anna.put_file("z", "z");
    for room in 1..=6 {
        let listed = list(&tree.fs, handle, room);
        assert_eq!(names(&listed), [".", "..", "a", "b", "c", "d"], "{room} at a time");
        assert_eq!(listed[5].1.kind, FileKind::Directory);
        assert_eq!(listed[2].1.number, UNKNOWN_NUMBER);
    }
    let again = tree.fs.open_directory(share).await.unwrap();
    assert_eq!(names(&list(&tree.fs, again, 10)), [".", "..", "b", "c", "d", "z"]);
}

#[tokio::test]
async fn listing_plus_looks_up_what_was_taken() {
    let tree = Tree::new();
    tree.anna.put_file("a", "aa");
    tree.anna.put_file("b", "bb");
    let share = tree.walk("anna").await.unwrap().number;
    let handle = tree.fs.open_directory(share).await.unwrap();
    let mut taken = Vec::new();
    tree.fs
        .read_directory_plus(handle, 0, |entry| {
            if entry.name == "b" {
                return Room::Full;
            }
            taken.push((entry.name.to_owned(), entry.attributes.number));
            Room::Taken
        })
        .unwrap();
    // The share and "a"; "b" had no room, "." and ".." do not count.
    assert_eq!(tree.fs.held().inodes, 2);
    let (name, number) = taken.pop().unwrap();
    assert_eq!(name, "a");
    assert_eq!(tree.fs.lookup(share, OsStr::new("a")).await.unwrap().number, number);
    tree.fs.forget(number, 2);
    assert_eq!(tree.fs.held().inodes, 1);
}

/// A share that lists one entry, whatever its name.
struct Listing(Entry);

impl Remote for Listing {
    fn list(
        &self,
        _path: &str,
    ) -> futures::future::BoxFuture<'static, Result<Vec<Entry>, FetchError>> {
        Box::pin(std::future::ready(Ok(vec![self.0.clone()])))
    }

    fn stat(&self, _path: &str) -> futures::future::BoxFuture<'static, Result<Entry, FetchError>> {
        Box::pin(std::future::ready(Ok(self.0.clone())))
    }

    fn read(
        &self,
        path: &str,
        _version: crate::transfer::Version,
        _offset_bytes: u64,
        _length_bytes: u32,
    ) -> futures::future::BoxFuture<'static, Result<Bytes, FetchError>> {
        let error = FetchError::Changed { peer: "evil".to_owned(), path: path.to_owned() };
        Box::pin(std::future::ready(Err(error)))
    }

    fn account(&self) -> crate::telemetry::layers::Account {
        crate::telemetry::layers::Account::new()
    }
}

#[tokio::test]
async fn impossible_names_of_a_peer_do_not_reach_the_kernel() {
    for name in ["", ".", "..", "../etc", "a\0b"] {
        let entry = Entry {
            name: name.to_owned(),
            kind: FileKind::Regular,
            version: crate::transfer::Version::default(),
            mode: 0o644,
        };
        let shares = Shares::new();
        shares.insert("evil", Arc::new(Listing(entry))).unwrap();
        let fs = FileSystem::new(shares, OWNER, SystemTime::UNIX_EPOCH);
        let share = fs.lookup(ROOT, OsStr::new("evil")).await.unwrap().number;
        assert_eq!(errno(fs.open_directory(share).await), Errno::IO, "{name:?}");
    }
}
