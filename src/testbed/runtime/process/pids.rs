//! Processes that are not our children: by a descriptor, so that an id that is
//! used again cannot hit a stranger.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::timeout;

use crate::testbed::contract;
use crate::testbed::runtime::environment::RUN_ID_VARIABLE;
use crate::testbed::runtime::owner::OWNER_VARIABLE;
use crate::testbed::runtime::procfs;

/// From SIGTERM to SIGKILL, and from SIGKILL to giving up: a daemon closes its
/// sessions and unmounts; the kernel may still be aborting FUSE requests.
const END_DEADLINE: Duration = Duration::from_secs(5);

/// A process that still ran when this was made.
#[derive(Debug)]
pub(in crate::testbed) struct Foreign(AsyncFd<OwnedFd>);

impl Foreign {
    /// None when it has ended. Needs a tokio runtime around it.
    pub(in crate::testbed) fn open(pid: u32, start_ticks: u64) -> Result<Option<Self>, String> {
        let id = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let id = id.ok_or_else(|| format!("{pid} is no process id"))?;
        let descriptor = match pidfd_open(id, PidfdFlags::empty()) {
            Ok(descriptor) => descriptor,
            Err(Errno::SRCH) => return Ok(None),
            Err(error) => return Err(format!("opening process {pid}: {error}")),
        };
        // The descriptor is of whoever had the id just now: is it still the same?
        if procfs::has_ended(pid, start_ticks) {
            return Ok(None);
        }
        let descriptor =
            watch(descriptor).map_err(|error| format!("watching process {pid}: {error}"))?;
        Ok(Some(Self(descriptor)))
    }

    /// False when it has ended already.
    pub(in crate::testbed) fn signal(&self, signal: Signal) -> Result<bool, String> {
        match pidfd_send_signal(self.0.get_ref(), signal) {
            Ok(()) => Ok(true),
            Err(Errno::SRCH) => Ok(false),
            Err(error) => Err(format!("sending {signal:?}: {error}")),
        }
    }

    /// Resolves when it has ended. Cancel-safe.
    pub(in crate::testbed) async fn ended(&self) {
        // An error means that it cannot be watched; it counts as ended then.
        let _readable = self.0.readable().await;
    }
}

/// Tells when a descriptor can be read from; a pidfd can when the process has ended.
#[expect(
    deprecated,
    reason = "its successor is unsafe, for types whose descriptor may change or close while \
              registered; an OwnedFd that is never moved out does neither"
)]
pub(in crate::testbed) fn watch(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(descriptor, Interest::READABLE)
}

/// Processes of a run on this machine, by their environment: id and start time. With
/// `peer`, only that peer's. What runs in containers is the engine's, and is not told.
pub(in crate::testbed) fn of_run(run_id: &str, peer: Option<&str>) -> Vec<(u32, u64)> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| *pid != std::process::id())
        .filter_map(|pid: u32| {
            let start_ticks = procfs::start_ticks(pid)?;
            let environ = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
            let value = |wanted: &str| {
                let mut all = procfs::parse_environ(&environ);
                all.find(|(name, _)| *name == wanted).map(|(_, value)| value)
            };
            value(OWNER_VARIABLE)?;
            let is_wanted = value(RUN_ID_VARIABLE) == Some(run_id)
                && (peer.is_none() || value(contract::env::NAME) == peer);
            is_wanted.then_some((pid, start_ticks))
        })
        .collect()
}

/// Why a process still runs.
#[derive(Debug, thiserror::Error)]
pub(in crate::testbed) enum EndError {
    /// The kernel refused, in words.
    #[error("{0}")]
    Refused(String),
    /// SIGKILL did not end it in time.
    #[error("process {0} outlives SIGKILL")]
    Outlives(u32),
}

/// Ends a process: SIGTERM, and SIGKILL after a while. What has ended is no error.
pub(in crate::testbed) async fn end(pid: u32, start_ticks: u64) -> Result<(), EndError> {
    let Some(process) = Foreign::open(pid, start_ticks).map_err(EndError::Refused)? else {
        return Ok(());
    };
    // A stopped process heeds SIGTERM only when it goes on.
    for signals in [[Signal::TERM, Signal::CONT], [Signal::KILL, Signal::CONT]] {
        for signal in signals {
            let is_there = process.signal(signal);
            let is_there = is_there
                .map_err(|error| EndError::Refused(format!("ending process {pid}: {error}")))?;
            if !is_there {
                return Ok(());
            }
        }
        if timeout(END_DEADLINE, process.ended()).await.is_ok() {
            return Ok(());
        }
    }
    Err(EndError::Outlives(pid))
}
