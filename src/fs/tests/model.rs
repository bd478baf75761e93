//! Random operations against a model of a few lines.

use super::*;

#[derive(Clone, Debug)]
enum Operation {
    Put { path: usize, length: u32 },
    Remove { path: usize },
    Open { path: usize },
    Read { handle: usize, offset: u64, length: u32 },
    Release { handle: usize },
    List { directory: usize },
}

const FILES: [&str; 5] = ["a", "b", "d/a", "d/b", "d/e/a"];
const DIRECTORIES: [&str; 3] = ["", "d", "d/e"];

fn operation() -> impl Strategy<Value = Operation> {
    // Around the size of one request, and around nothing.
    let length = prop_oneof![
        3 => 0_u32..20,
        1 => REMOTE_READ_BYTES_MAX - 2..REMOTE_READ_BYTES_MAX + 3,
        1 => 2 * REMOTE_READ_BYTES_MAX..2 * REMOTE_READ_BYTES_MAX + 9,
    ];
    let path = 0..FILES.len();
    prop_oneof![
        3 => (path.clone(), length.clone()).prop_map(|(path, length)| Operation::Put { path, length }),
        1 => path.clone().prop_map(|path| Operation::Remove { path }),
        4 => path.prop_map(|path| Operation::Open { path }),
        6 => (0_usize..8, length.clone(), length)
            .prop_map(|(handle, offset, length)| Operation::Read { handle, offset: offset.into(), length }),
        1 => (0_usize..8).prop_map(|handle| Operation::Release { handle }),
        2 => (0..DIRECTORIES.len()).prop_map(|directory| Operation::List { directory }),
    ]
}

/// What the share holds, and what each handle was opened at: contents and the
/// number of the change that made them.
#[derive(Default)]
struct Model {
    files: BTreeMap<&'static str, (Bytes, usize)>,
    handles: Vec<(u64, &'static str, (Bytes, usize))>,
    changes: usize,
}

impl Model {
    async fn step(&mut self, tree: &Tree, operation: Operation) {
        match operation {
            Operation::Put { path, length } => {
                self.changes += 1;
                // Each version has bytes of its own, so a mix would show.
                let salt = u8::try_from(self.changes % 250).unwrap();
                let data: Bytes = pattern(length).iter().map(|b| b.wrapping_add(salt)).collect();
                self.files.insert(FILES[path], (data.clone(), self.changes));
                tree.anna.put_file(FILES[path], data);
            }
            Operation::Remove { path } => {
                self.files.remove(FILES[path]);
                tree.anna.remove(FILES[path]);
            }
            Operation::Open { path } => {
                let opened = tree.open(&format!("anna/{}", FILES[path])).await;
                match self.files.get(FILES[path]) {
                    Some(file) => self.handles.push((opened.unwrap(), FILES[path], file.clone())),
                    None => assert_eq!(errno(opened), Errno::NOENT),
                }
            }
            Operation::Read { handle, offset, length } => {
                let Some((handle, path, (data, change))) = self.handles.get(handle) else { return };
                let got = tree.fs.read(*handle, offset, length).await;
                let start = data.len().min(usize::try_from(offset).unwrap());
                let end = data.len().min(start + length as usize);
                let current = self.files.get(path).map(|(_, change)| *change);
                if start == end || current == Some(*change) {
                    assert!(
                        got.unwrap() == data[start..end],
                        "{length} bytes at {offset} of {path}"
                    );
                } else {
                    assert_eq!(errno(got), Errno::STALE);
                }
            }
            Operation::Release { handle } => {
                if handle < self.handles.len() {
                    tree.fs.release(self.handles.remove(handle).0).unwrap();
                }
            }
            Operation::List { directory } => self.list(tree, DIRECTORIES[directory]).await,
        }
    }

    async fn list(&self, tree: &Tree, directory: &str) {
        let below = if directory.is_empty() { String::new() } else { format!("{directory}/") };
        let path = format!("anna/{directory}");
        let Ok(found) = tree.walk(path.trim_end_matches('/')).await else {
            assert!(!self.files.keys().any(|file| file.starts_with(&below)), "{directory}");
            return;
        };
        let handle = tree.fs.open_directory(found.number).await.unwrap();
        let mut listed = Vec::new();
        let add = |entry: DirectoryEntry<'_>| {
            if entry.attributes.kind == FileKind::Regular {
                listed.push((entry.name.to_owned(), entry.attributes.size_bytes));
            }
            Room::Taken
        };
        tree.fs.read_directory(handle, 0, add).unwrap();
        tree.fs.release_directory(handle).unwrap();
        tree.fs.forget(found.number, 1);
        let files = self.files.iter().filter_map(|(path, (data, _))| {
            let name = path.strip_prefix(&below).filter(|name| !name.contains('/'))?;
            Some((name.to_owned(), data.len() as u64))
        });
        assert_eq!(listed, files.collect::<Vec<_>>());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens to the share, a handle reads slices of what was opened or
    /// fails, and in the end the kernel holds nothing.
    #[test]
    fn handles_read_what_was_opened(operations in prop::collection::vec(operation(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let tree = Tree::new();
            let mut model = Model::default();
            for operation in operations {
                model.step(&tree, operation).await;
            }
            assert_eq!(tree.fs.held(), Held { inodes: 0, handles: model.handles.len() });
            for (handle, ..) in model.handles {
                tree.fs.release(handle).unwrap();
            }
            assert_eq!(tree.fs.held().handles, 0);
        });
    }
}
