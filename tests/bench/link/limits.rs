//! Descriptors.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What is asked for where the hard limit may be raised, which takes privilege:
/// 10 000 connections at two descriptors each in the proxy, three times over.
const DESCRIPTORS_WANTED: u64 = 65_536;

/// Raises the limit of open files of this process, and so of every one that it
/// starts, as far as it may. What that came to is seen by [`descriptors`].
pub(crate) fn raise_descriptors() {
    let Some(hard) = getrlimit(Resource::Nofile).maximum else { return };
    let wanted = hard.max(DESCRIPTORS_WANTED);
    for limit in [wanted, hard] {
        let raised = Rlimit { current: Some(limit), maximum: Some(limit) };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            return;
        }
    }
}

/// The limit of open files per process.
pub(crate) fn descriptors() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
