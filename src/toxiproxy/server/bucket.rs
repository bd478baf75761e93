//! The rate of a link, shared by whoever sends over it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// How far behind its rate a bucket may fall and still catch up. A timer that
/// wakes late is made up for by a burst of at most this much of the rate; what
/// nobody asked for is not saved, so an idle link has no burst at all.
pub(super) const CATCH_UP_NS_MAX: u64 = 20_000_000;

const NS_PER_S: u128 = 1_000_000_000;

/// When a link's direction is free again. Pure but for the lock, which is held for
/// a few instructions.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    free_ns: Mutex<u64>,
}

impl Bucket {
    /// Puts `bytes` on the link, behind everything that others put there, no
    /// sooner than they were ready. Returns when the last of them has passed.
    pub(super) fn reserve(
        &self,
        bytes: usize,
        rate_bytes_per_s: u64,
        ready_ns: u64,
        now_ns: u64,
    ) -> u64 {
        let takes_ns = (bytes as u128 * NS_PER_S).div_ceil(u128::from(rate_bytes_per_s.max(1)));
        // A panic while the lock was held is impossible: it only adds.
        let mut free_ns = self.free_ns.lock().unwrap_or_else(PoisonError::into_inner);
        let start_ns = (*free_ns).max(ready_ns).max(now_ns.saturating_sub(CATCH_UP_NS_MAX));
        *free_ns = start_ns.saturating_add(u64::try_from(takes_ns).unwrap_or(u64::MAX));
        *free_ns
    }

    /// Forgets what is on the link, as its rate has changed: what was reserved at
    /// the old one must not hold up the new one.
    pub(super) fn clear(&self) {
        *self.free_ns.lock().unwrap_or_else(PoisonError::into_inner) = 0;
    }
}

/// Buckets that toxics of several proxies share by name; one that no toxic has any
/// more is forgotten.
#[derive(Clone, Debug, Default)]
pub(super) struct Buckets {
    named: Arc<Mutex<HashMap<String, Weak<Bucket>>>>,
}

impl Buckets {
    /// The bucket of that name.
    pub(super) fn named(&self, name: &str) -> Arc<Bucket> {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = named.get(name).and_then(Weak::upgrade) {
            return bucket;
        }
        named.retain(|_, bucket| bucket.strong_count() > 0);
        let bucket = Arc::default();
        named.insert(name.to_owned(), Arc::downgrade(&bucket));
        bucket
    }
}

#[cfg(test)]
mod tests;
