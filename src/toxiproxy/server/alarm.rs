//! Waiting for an absolute time, to the precision of the kernel's timers.

use std::io;
use std::os::fd::OwnedFd;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;

use super::clock;

const NS_PER_S: u64 = 1_000_000_000;

/// A longer wait wakes this much early and waits anew. A processor that has slept
/// for milliseconds takes its time to wake; one that has just done so does not.
/// Measured on two virtual cores, 100 waits of 5 ms and of 25 ms: median error
/// 0.1 ms without, 0.03 ms with a lead of 0.1 to 0.3 ms, more again beyond.
const LEAD_NS: u64 = 200_000;

/// An exact wait wakes this much early once more and spins to its end, since a
/// timer's wake-up takes about as long even then. Measured here, one message at a
/// time: the median error of a delay is 0.22 ms without; see ARCHITECTURE.md. At
/// 2000 messages a second it costs a tenth of a processor at most.
const SPIN_NS: u64 = 60_000;

/// How well a time is to be met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Precision {
    /// By the kernel's timer alone.
    Timer,
    /// Better, for some processor time.
    Exact,
}

/// A timerfd on CLOCK_MONOTONIC.
///
/// Tokio's own timer counts milliseconds and rounds up: half of a link's
/// half-millisecond delay would be its error.
#[derive(Debug)]
pub(super) struct Alarm {
    timer: AsyncFd<OwnedFd>,
    armed_ns: Option<u64>,
}

impl Alarm {
    /// An alarm that is not set.
    ///
    /// # Errors
    /// When the process is out of file descriptors or the runtime is ending.
    pub(super) fn open() -> io::Result<Self> {
        Ok(Self { timer: open()?, armed_ns: None })
    }

    /// Returns at `due_ns` of CLOCK_MONOTONIC, at once if that is past.
    /// Cancel-safe.
    ///
    /// # Errors
    /// When the runtime is ending.
    pub(super) async fn until(&mut self, due_ns: u64, precision: Precision) -> io::Result<()> {
        let early_ns = due_ns.saturating_sub(LEAD_NS);
        if clock::now_ns() < early_ns {
            self.fire(early_ns).await?;
        }
        if precision == Precision::Timer {
            return self.fire(due_ns).await;
        }
        let early_ns = due_ns.saturating_sub(SPIN_NS);
        if clock::now_ns() < early_ns {
            self.fire(early_ns).await?;
        }
        while clock::now_ns() < due_ns {
            std::hint::spin_loop();
        }
        Ok(())
    }

    async fn fire(&mut self, at_ns: u64) -> io::Result<()> {
        if self.armed_ns != Some(at_ns) {
            arm(self.timer.get_ref(), at_ns)?;
            self.armed_ns = Some(at_ns);
        }
        loop {
            let mut guard = self.timer.readable().await?;
            let mut expirations = [0; 8];
            let read =
                |fd: &AsyncFd<OwnedFd>| Ok(rustix::io::read(fd.get_ref(), &mut expirations)?);
            if let Ok(read) = guard.try_io(read) {
                self.armed_ns = None;
                return read.map(drop);
            }
        }
    }
}

#[expect(
    deprecated,
    reason = "its successor is unsafe, for types whose descriptor may change or close while \
              registered; an OwnedFd that is never moved out does neither"
)]
fn open() -> io::Result<AsyncFd<OwnedFd>> {
    let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
    AsyncFd::new(timerfd_create(TimerfdClockId::Monotonic, flags)?)
}

fn arm(timer: &OwnedFd, due_ns: u64) -> io::Result<()> {
    // 0 would disarm; any past time fires at once.
    let due_ns = due_ns.max(1);
    let value = Timespec {
        tv_sec: i64::try_from(due_ns / NS_PER_S).unwrap_or(i64::MAX),
        tv_nsec: i64::try_from(due_ns % NS_PER_S).unwrap_or(0),
    };
    let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
    timerfd_settime(timer, TimerfdTimerFlags::ABSTIME, &once)?;
    Ok(())
}

#[cfg(test)]
mod tests;
