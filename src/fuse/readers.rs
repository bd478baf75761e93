//! Which trace a reader of the mount belongs to.

use std::collections::HashMap;
use std::fs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::Span;

/// Processes whose reads through the mount belong to a span.
///
/// The kernel names the reading process and nothing else, so a trace through the
/// mount needs this table: reads of a file that a registered process opened get
/// that process's span as parent. Register before the process opens the file.
/// Clones are the same table; its size is that of its living registrations.
#[derive(Clone, Debug, Default)]
pub struct Readers(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    spans: HashMap<u32, (u64, Span)>,
    registrations: u64,
}

/// A process is registered as long as this lives.
#[derive(Debug)]
pub struct Registration {
    readers: Readers,
    process_id: u32,
    registration: u64,
}

impl Readers {
    /// Nobody registered.
    pub fn new() -> Self {
        Self::default()
    }

    /// Files that `process_id` opens from now on are read under `span`. A later
    /// registration of the same process takes over.
    #[must_use = "the registration ends when it is dropped"]
    pub fn register(&self, process_id: u32, span: Span) -> Registration {
        let mut table = self.table();
        table.registrations += 1;
        let registration = table.registrations;
        table.spans.insert(process_id, (registration, span));
        Registration { readers: self.clone(), process_id, registration }
    }

    /// The span of the thread that opens a file, [`Span::none`] if nobody
    /// registered it or its process.
    pub(super) fn span_of(&self, thread_id: u32) -> Span {
        let direct = {
            let table = self.table();
            if table.spans.is_empty() {
                return Span::none();
            }
            table.span(thread_id)
        };
        // The kernel sends the thread's id: the process's own for its first thread.
        let through_process = || self.table().span(process_of(thread_id)?);
        direct.or_else(through_process).unwrap_or_else(Span::none)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn span(&self, id: u32) -> Option<Span> {
        self.spans.get(&id).map(|(_, span)| span.clone())
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut table = self.readers.table();
        let current = table.spans.get(&self.process_id).map(|(registration, _)| *registration);
        if current == Some(self.registration) {
            table.spans.remove(&self.process_id);
        }
    }
}

/// The process that a thread belongs to.
fn process_of(thread_id: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{thread_id}/status")).ok()?;
    let group = status.lines().find_map(|line| line.strip_prefix("Tgid:"))?;
    group.trim().parse().ok()
}
