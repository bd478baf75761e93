//! Exclusive time per layer of one session, on one clock.
//!
//! Layers overlap: while the record layer opens a record, the fetch that wants
//! its bytes is under way too. To make parts that add up, every instant belongs
//! to the deepest layer at work, and layers that are at work at the same instant
//! on different threads share it equally. What no layer claims is
//! [`Layer::Idle`], so the times of any interval add up to its length exactly.
//!
//! This answers DESIGN section 7 ("exclusive self-time ... never publish sums as
//! wall time"); the report splits the receiver's [`Layer::TcpWait`] further.

use std::sync::{Arc, Mutex, PoisonError};

use super::clock;

/// Where the time of a transfer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(usize)]
pub enum Layer {
    /// Reading the source file, or writing the destination.
    Disk,
    /// A read through the mount is under way and the daemon has no part of it in
    /// hand: the kernel and the application have it.
    Fuse,
    /// The daemon's own part between its callers and gRPC.
    Fetch,
    /// HTTP/2 and protobuf, with bytes at hand: neither waiting nor ciphering.
    Grpc,
    /// Sealing records.
    Seal,
    /// Opening records.
    Open,
    /// The socket had nothing to read (the side that dialled) or no room to
    /// write (the side that serves).
    TcpWait,
    /// Nothing under way.
    Idle,
}

impl Layer {
    /// Every layer, in the order of the data path.
    pub const ALL: [Self; 8] = [
        Self::Disk,
        Self::Fuse,
        Self::Fetch,
        Self::Grpc,
        Self::Seal,
        Self::Open,
        Self::TcpWait,
        Self::Idle,
    ];

    /// Name in telemetry and in tables, stable.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::Fuse => "fuse",
            Self::Fetch => "fetch",
            Self::Grpc => "grpc",
            Self::Seal => "seal",
            Self::Open => "open",
            Self::TcpWait => "tcp_wait",
            Self::Idle => "idle",
        }
    }
}

const LAYERS: usize = Layer::ALL.len();

/// Exclusive nanoseconds by layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LayerTimes([u64; LAYERS]);

impl LayerTimes {
    /// Nanoseconds that `layer` had to itself.
    pub fn self_ns(&self, layer: Layer) -> u64 {
        self.0[layer as usize]
    }

    /// Every layer with its nanoseconds, in the order of [`Layer::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Layer, u64)> + '_ {
        Layer::ALL.into_iter().map(|layer| (layer, self.self_ns(layer)))
    }

    /// What was added since `earlier`, a snapshot of the same account.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut delta = Self::default();
        for (i, slot) in delta.0.iter_mut().enumerate() {
            *slot = self.0[i].saturating_sub(earlier.0[i]);
        }
        delta
    }

    /// The same with `less_ns` taken off `layer`, as far as it has them: an interval
    /// that is shorter at its ends, where only that layer was at work.
    #[must_use]
    pub fn shortened(mut self, layer: Layer, less_ns: u64) -> Self {
        let slot = &mut self.0[layer as usize];
        *slot = slot.saturating_sub(less_ns);
        self
    }

    /// Sum over all layers: the length of the interval.
    pub fn total_ns(&self) -> u64 {
        self.0.iter().sum()
    }
}

/// The pure part: who is at work, and what each layer has had so far.
#[derive(Clone, Debug)]
pub struct Ledger {
    at_work: [u32; LAYERS],
    times: LayerTimes,
    until_ns: u64,
}

impl Ledger {
    /// A ledger that starts counting at `now_ns`.
    pub fn new(now_ns: u64) -> Self {
        Self { at_work: [0; LAYERS], times: LayerTimes::default(), until_ns: now_ns }
    }

    /// `layer` goes to work. Enter as often as there are workers; leave as often.
    pub fn enter(&mut self, layer: Layer, now_ns: u64) {
        self.settle(now_ns);
        self.at_work[layer as usize] += 1;
    }

    /// One worker of `layer` is done.
    pub fn leave(&mut self, layer: Layer, now_ns: u64) {
        self.settle(now_ns);
        let workers = &mut self.at_work[layer as usize];
        debug_assert!(*workers > 0, "left {layer:?} without entering it");
        *workers = workers.saturating_sub(1);
    }

    /// The times up to `now_ns`.
    pub fn times(&mut self, now_ns: u64) -> LayerTimes {
        self.settle(now_ns);
        self.times
    }

    /// Gives the time since the last change to those who were at work.
    fn settle(&mut self, now_ns: u64) {
        // Threads may take their stamps in another order than the lock.
        let elapsed_ns = now_ns.saturating_sub(self.until_ns);
        self.until_ns = self.until_ns.max(now_ns);
        if elapsed_ns == 0 {
            return;
        }
        let busy = [Layer::Disk, Layer::Seal, Layer::Open];
        let workers = busy.iter().filter(|&&l| self.is_at_work(l)).count() as u64;
        if workers == 0 {
            self.times.0[self.waiting_owner() as usize] += elapsed_ns;
            return;
        }
        let mut rest_ns = elapsed_ns % workers;
        for layer in busy {
            if self.is_at_work(layer) {
                self.times.0[layer as usize] += elapsed_ns / workers + rest_ns;
                rest_ns = 0;
            }
        }
    }

    /// Who owns an instant in which nobody computes or reads disk.
    fn waiting_owner(&self) -> Layer {
        // A session always waits for its socket; that only explains time when
        // somebody waits for the session.
        if self.is_at_work(Layer::Grpc) {
            return if self.is_at_work(Layer::TcpWait) { Layer::TcpWait } else { Layer::Grpc };
        }
        [Layer::Fetch, Layer::Fuse].into_iter().find(|&l| self.is_at_work(l)).unwrap_or(Layer::Idle)
    }

    fn is_at_work(&self, layer: Layer) -> bool {
        self.at_work[layer as usize] > 0
    }
}

/// A [`Ledger`] on the process clock, shared by the tasks of one session.
///
/// Each change takes a lock for some tens of nanoseconds; layers change a few
/// times per record, never per byte.
#[derive(Clone, Debug)]
pub struct Account(Arc<Mutex<Ledger>>);

impl Account {
    /// An account that starts counting now.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Ledger::new(clock::now_ns()))))
    }

    /// `layer` is at work until the returned guard is dropped.
    #[must_use = "the layer is left when the guard is dropped"]
    pub fn enter(&self, layer: Layer) -> Entered {
        self.with(|ledger, now_ns| ledger.enter(layer, now_ns));
        Entered { account: self.clone(), layer }
    }

    /// The times from the account's start to now.
    pub fn times(&self) -> LayerTimes {
        self.with(Ledger::times)
    }

    fn with<T>(&self, change: impl FnOnce(&mut Ledger, u64) -> T) -> T {
        // A panic between two additions loses at most one interval.
        let mut ledger = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut ledger, clock::now_ns())
    }
}

impl Default for Account {
    fn default() -> Self {
        Self::new()
    }
}

/// A layer at work; dropping it leaves the layer.
#[derive(Debug)]
pub struct Entered {
    account: Account,
    layer: Layer,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.account.with(|ledger, now_ns| ledger.leave(self.layer, now_ns));
    }
}

#[cfg(test)]
mod tests;
