//! What handles ask of a stream, and the waking of whoever carries it out.
//!
//! The tests try all orders of its steps that the memory model allows: for that, the
//! primitives come from a module beside.

use std::task::Waker;

use super::sync::{AtomicBool, AtomicWaker, Ordering};

pub(in crate::secure) struct Wishes {
    rekey: AtomicBool,
    fold: AtomicBool,
    /// The tasks that poll the two halves of the stream. Either can carry out what is
    /// pending, so both are woken.
    reader: AtomicWaker,
    writer: AtomicWaker,
}

impl Wishes {
    pub(in crate::secure) fn new() -> Self {
        Self {
            rekey: AtomicBool::new(false),
            fold: AtomicBool::new(false),
            reader: AtomicWaker::new(),
            writer: AtomicWaker::new(),
        }
    }

    pub(in crate::secure) fn ask_rekey(&self) {
        self.rekey.store(true, Ordering::Release);
        self.wake();
    }

    pub(in crate::secure) fn ask_fold(&self) {
        self.fold.store(true, Ordering::Release);
        self.wake();
    }

    /// Has both halves polled.
    pub(in crate::secure) fn wake(&self) {
        self.reader.wake();
        self.writer.wake();
    }

    /// The reading half is polled. Before it looks at anything: what is asked from here
    /// on wakes it.
    pub(in crate::secure) fn register_reader(&self, waker: &Waker) {
        self.reader.register(waker);
    }

    /// The writing half likewise.
    pub(in crate::secure) fn register_writer(&self, waker: &Waker) {
        self.writer.register(waker);
    }

    /// Whether a rekey was asked for since this was last so.
    pub(in crate::secure) fn take_rekey(&self) -> bool {
        take(&self.rekey)
    }

    /// Whether a fold was.
    pub(in crate::secure) fn take_fold(&self) -> bool {
        take(&self.fold)
    }
}

fn take(flag: &AtomicBool) -> bool {
    // The plain load keeps the cache line shared on the hot path.
    flag.load(Ordering::Acquire) && flag.swap(false, Ordering::AcqRel)
}
