//! A share in memory: the mount without a network, for tests and benches.
//!
//! Reads of a path can be made to wait at a gate, to fail, or to carry the wrong
//! number of bytes. Nothing here waits on time: whoever holds the gate decides.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use futures::FutureExt as _;
use futures::future::{BoxFuture, ready};
use tokio::sync::{Semaphore, watch};

use crate::telemetry::layers::Account;
use crate::transfer::{Entry, FetchError, FileKind, Remote, Version};

/// How reads of one path behave, other than well.
#[derive(Clone, Debug, Default)]
pub struct Behaviour {
    /// Each read waits for one permit and uses it up.
    pub gate: Option<Arc<Semaphore>>,
    /// Each read fails so, once it is past the gate.
    pub failure: Option<FetchError>,
    /// Bytes too many (zeros are appended) or too few that each read returns.
    pub excess_bytes: isize,
}

/// Files and directories in memory, as one peer's share.
#[derive(Debug)]
pub struct MemoryShare {
    peer: String,
    contents: Mutex<Contents>,
    account: Account,
    reads: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Contents {
    /// By path; parents of every entry are there. The share itself is not.
    nodes: BTreeMap<String, Node>,
    behaviours: BTreeMap<String, Behaviour>,
    changes: u32,
}

#[derive(Clone, Debug)]
struct Node {
    version: Version,
    /// `None` for a directory.
    data: Option<Bytes>,
}

impl MemoryShare {
    /// An empty share of `peer`.
    pub fn new(peer: &str) -> Self {
        Self {
            peer: peer.to_owned(),
            contents: Mutex::default(),
            account: Account::new(),
            reads: watch::Sender::new(0),
        }
    }

    /// Writes a file, with its directories. It is another version each time.
    pub fn put_file(&self, path: &str, data: impl Into<Bytes>) {
        let mut contents = self.contents();
        for (end, _) in path.match_indices('/') {
            contents.put_directory(&path[..end]);
        }
        let data = data.into();
        let version = contents.next_version(data.len() as u64);
        contents.nodes.insert(path.to_owned(), Node { version, data: Some(data) });
    }

    /// Makes a directory; its parent must be there.
    pub fn put_directory(&self, path: &str) {
        self.contents().put_directory(path);
    }

    /// Removes a path and what is below it.
    pub fn remove(&self, path: &str) {
        let below = format!("{path}/");
        self.contents().nodes.retain(|at, _| at != path && !at.starts_with(&below));
    }

    /// From now on, reads of `path` behave so.
    pub fn set_behaviour(&self, path: &str, behaviour: Behaviour) {
        self.contents().behaviours.insert(path.to_owned(), behaviour);
    }

    /// How many reads have arrived, including those that wait at a gate.
    pub fn reads(&self) -> watch::Receiver<u64> {
        self.reads.subscribe()
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn not_found(&self, path: &str) -> FetchError {
        FetchError::NotFound { peer: self.peer.clone(), path: path.to_owned() }
    }

    fn list_now(&self, path: &str) -> Result<Vec<Entry>, FetchError> {
        let contents = self.contents();
        let below = if path.is_empty() {
            String::new()
        } else {
            let node = contents.nodes.get(path).ok_or_else(|| self.not_found(path))?;
            if node.data.is_some() {
                return Err(FetchError::Invalid {
                    peer: self.peer.clone(),
                    path: path.to_owned(),
                    reason: "is not a directory".to_owned(),
                });
            }
            format!("{path}/")
        };
        let entries = contents.nodes.iter().filter_map(|(at, node)| {
            let name = at.strip_prefix(&below)?;
            (!name.contains('/')).then(|| node.entry(name))
        });
        Ok(entries.collect())
    }

    fn stat_now(&self, path: &str) -> Result<Entry, FetchError> {
        if path.is_empty() {
            return Ok(Node { version: Version::default(), data: None }.entry(""));
        }
        let contents = self.contents();
        let node = contents.nodes.get(path).ok_or_else(|| self.not_found(path))?;
        Ok(node.entry(path.rsplit('/').next().unwrap_or(path)))
    }

    fn read_now(
        &self,
        path: &str,
        version: Version,
        offset_bytes: u64,
        length_bytes: u32,
    ) -> Result<Bytes, FetchError> {
        let contents = self.contents();
        let node = contents.nodes.get(path).ok_or_else(|| self.not_found(path))?;
        let Some(data) = node.data.as_ref().filter(|_| node.version == version) else {
            return Err(FetchError::Changed { peer: self.peer.clone(), path: path.to_owned() });
        };
        let start = usize::try_from(offset_bytes).unwrap_or(usize::MAX).min(data.len());
        let end = start.saturating_add(length_bytes as usize).min(data.len());
        Ok(data.slice(start..end))
    }
}

impl Remote for MemoryShare {
    fn list(&self, path: &str) -> BoxFuture<'static, Result<Vec<Entry>, FetchError>> {
        ready(self.list_now(path)).boxed()
    }

    fn stat(&self, path: &str) -> BoxFuture<'static, Result<Entry, FetchError>> {
        ready(self.stat_now(path)).boxed()
    }

    fn read(
        &self,
        path: &str,
        version: Version,
        offset_bytes: u64,
        length_bytes: u32,
    ) -> BoxFuture<'static, Result<Bytes, FetchError>> {
        let answer = self.read_now(path, version, offset_bytes, length_bytes);
        let behaviour = self.contents().behaviours.get(path).cloned();
        self.reads.send_modify(|reads| *reads += 1);
        match behaviour {
            None => ready(answer).boxed(),
            Some(behaviour) => behaviour.apply(answer).boxed(),
        }
    }

    fn account(&self) -> Account {
        self.account.clone()
    }
}

impl Contents {
    fn put_directory(&mut self, path: &str) {
        if !self.nodes.contains_key(path) {
            let version = self.next_version(0);
            self.nodes.insert(path.to_owned(), Node { version, data: None });
        }
    }

    /// A version that no node had before.
    fn next_version(&mut self, size_bytes: u64) -> Version {
        self.changes += 1;
        let stamp = self.changes;
        Version {
            size_bytes,
            mtime_s: stamp.into(),
            ctime_s: stamp.into(),
            inode: stamp.into(),
            ..Version::default()
        }
    }
}

impl Node {
    fn entry(&self, name: &str) -> Entry {
        let (kind, mode) = match self.data {
            Some(_) => (FileKind::Regular, 0o644),
            None => (FileKind::Directory, 0o755),
        };
        Entry { name: name.to_owned(), kind, version: self.version, mode }
    }
}

impl Behaviour {
    async fn apply(self, answer: Result<Bytes, FetchError>) -> Result<Bytes, FetchError> {
        if let Some(gate) = self.gate {
            // A closed gate holds nobody up.
            if let Ok(permit) = gate.acquire().await {
                permit.forget();
            }
        }
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let bytes = answer?;
        let length = bytes.len().saturating_add_signed(self.excess_bytes);
        let mut wrong = BytesMut::from(bytes);
        wrong.resize(length, 0);
        Ok(wrong.freeze())
    }
}
