//! Who gives way when all places for handshakes are taken. Pure: chance is an argument.
//!
//! Whoever was refused goes first. Then somebody whose handshake is under way, of the
//! network that holds most places, by lot: were it the oldest, a stranger who connects
//! fast enough would outlast every honest handshake. What somebody has said so far does
//! not count: a recorded first message says it as well. Who has a session goes only when
//! there is nobody else.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::task::AbortHandle;

/// How far somebody has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Stage {
    /// Has no session, and is kept to hear nothing.
    Refused,
    /// Has not shown yet who it is.
    UnderWay,
    /// Has a session that waits to be served.
    Agreed,
}

/// The stage of one place, told by the task that has it.
#[derive(Clone, Debug)]
pub(super) struct Progress(Arc<AtomicU8>);

impl Progress {
    fn new() -> Self {
        Self(Arc::new(AtomicU8::new(Stage::UnderWay as u8)))
    }

    pub(super) fn reach(&self, stage: Stage) {
        self.0.store(stage as u8, Ordering::Relaxed);
    }

    fn stage(&self) -> Stage {
        let stage = self.0.load(Ordering::Relaxed);
        let all = [Stage::Refused, Stage::UnderWay, Stage::Agreed];
        all.into_iter().find(|one| *one as u8 == stage).expect("only stages are stored")
    }
}

/// The places that are taken, in the order in which they were.
#[derive(Debug, Default)]
pub(super) struct Places(Vec<Place>);

#[derive(Debug)]
struct Place {
    network: IpAddr,
    progress: Progress,
    task: AbortHandle,
}

impl Places {
    pub(super) fn taken(&self) -> usize {
        self.0.len()
    }

    /// Frees the places of tasks that have ended.
    pub(super) fn sweep(&mut self) {
        self.0.retain(|place| !place.task.is_finished());
    }

    /// A place for what `start` does.
    pub(super) fn take(&mut self, from: SocketAddr, start: impl FnOnce(Progress) -> AbortHandle) {
        let progress = Progress::new();
        let task = start(progress.clone());
        self.0.push(Place { network: network(from.ip()), progress, task });
    }

    /// Ends one of them, by the number that was drawn where chance decides.
    pub(super) fn free_one(&mut self, drawn: usize) {
        let seen: Vec<(IpAddr, Stage)> =
            self.0.iter().map(|place| (place.network, place.progress.stage())).collect();
        if let Some(index) = gives_way(&seen, drawn) {
            self.0.remove(index).task.abort();
        }
    }
}

/// Which of these gives way; they are in the order in which they came.
fn gives_way(seen: &[(IpAddr, Stage)], drawn: usize) -> Option<usize> {
    let (oldest, &(_, stage)) = seen.iter().enumerate().min_by_key(|(_, (_, stage))| *stage)?;
    if stage != Stage::UnderWay {
        return Some(oldest);
    }
    let under_way = || seen.iter().enumerate().filter(|(_, (_, stage))| *stage == Stage::UnderWay);
    let mut held: HashMap<IpAddr, usize> = HashMap::new();
    under_way().for_each(|(_, (network, _))| *held.entry(*network).or_default() += 1);
    let most = held.values().max()?;
    let of_a_crowd = |network: &IpAddr| held[network] == *most;
    let crowd: Vec<usize> = under_way()
        .filter(|(_, (network, _))| of_a_crowd(network))
        .map(|(index, _)| index)
        .collect();
    Some(crowd[drawn % crowd.len()])
}

/// What one host has for itself: an address, or a network of 64 bits (RFC 6177).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests;
