//! A command under test that has not been waited for.

use std::process::Child;
use std::time::Duration;

use dropbed::telemetry::clock;
use rustix::process::{Pid, Signal, kill_process};

/// From Ctrl-C to SIGKILL: removing containers takes seconds.
const END_DEADLINE: Duration = Duration::from_secs(60);

/// Between two looks: only a thread of its own could wait with a bound.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(10);

/// Ended when dropped, as Ctrl-C does: a test that fails leaves no topology behind.
#[derive(Debug)]
pub(crate) struct Unfinished(pub(crate) Child);

impl Unfinished {
    pub(crate) fn pid(&self) -> Pid {
        let id = i32::try_from(self.0.id()).expect("process ids fit");
        Pid::from_raw(id).expect("process ids are not 0")
    }

    /// Without waiting for it.
    pub(crate) fn has_ended(&self) -> bool {
        // A zombie has: nobody has waited for it yet.
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id()));
        stat.is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|s| s.starts_with(" Z")))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Once it was waited for, its process id may be another's.
        if !matches!(self.0.try_wait(), Ok(None)) {
            return;
        }
        let _ended_just_now = kill_process(self.pid(), Signal::INT);
        let start_ns = clock::now_ns();
        while matches!(self.0.try_wait(), Ok(None)) {
            if Duration::from_nanos(clock::now_ns() - start_ns) > END_DEADLINE {
                let _ended_just_now = self.0.kill();
                let _status = self.0.wait();
                return;
            }
            std::thread::park_timeout(LOOK_AGAIN_AFTER);
        }
    }
}
