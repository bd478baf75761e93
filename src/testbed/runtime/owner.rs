//! Who a run belongs to, written so that another process can tell whether that
//! owner still lives: on labels, in environments, in run directories.

use std::fmt;
use std::str::FromStr;

use super::procfs;

/// Label of containers, networks and volumes, beside those of the contract.
pub const OWNER_LABEL: &str = "dropbed.owner";

/// Variable of processes that a run starts on this machine.
pub const OWNER_VARIABLE: &str = "DROPBED_OWNER";

/// One process, told apart from any other that ever had its id: text form
/// `<pid>:<start ticks>:<boot id>:<pid namespace>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Process id, in its own namespace.
    pub pid: u32,
    /// When it started, in clock ticks since boot.
    pub start_ticks: u64,
    /// Which boot of which machine.
    pub boot_id: String,
    /// Inode of its pid namespace: the same id means another process elsewhere.
    pub pid_namespace: String,
}

/// What can be said about an owner from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// It runs.
    Alive,
    /// It has ended: what it left may be removed.
    Gone,
    /// Another pid namespace: not for us to judge.
    Unknown,
}

impl Owner {
    /// This process. Fields that the kernel does not show stay empty, which
    /// makes the owner [`Liveness::Unknown`] to everybody else.
    pub fn current() -> Self {
        let pid = std::process::id();
        Self {
            pid,
            start_ticks: procfs::start_ticks(pid).unwrap_or_default(),
            boot_id: boot_id(),
            pid_namespace: pid_namespace(),
        }
    }

    /// Whether the owner runs.
    pub fn liveness(&self) -> Liveness {
        let here = Self::current();
        self.liveness_seen_from(&here, procfs::start_ticks(self.pid))
    }

    /// Whether it ran since this machine was last started: what it left standing
    /// may still stand.
    pub fn is_of_this_boot(&self) -> bool {
        !self.boot_id.is_empty() && self.boot_id == boot_id()
    }

    /// `seen` is the start time of the process that has our id now. An owner from
    /// another boot is gone: ask only about things that cannot come from another
    /// machine.
    pub fn liveness_seen_from(&self, here: &Self, seen: Option<u64>) -> Liveness {
        let known = [&self.boot_id, &self.pid_namespace, &here.boot_id, &here.pid_namespace];
        if known.iter().any(|field| field.is_empty()) {
            return Liveness::Unknown;
        }
        if self.boot_id != here.boot_id {
            // Whoever asks has made sure that it was this machine.
            return Liveness::Gone;
        }
        if self.pid_namespace != here.pid_namespace {
            return Liveness::Unknown;
        }
        match seen {
            Some(ticks) if ticks == self.start_ticks => Liveness::Alive,
            _ => Liveness::Gone,
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, start_ticks, boot_id, pid_namespace } = self;
        write!(formatter, "{pid}:{start_ticks}:{boot_id}:{pid_namespace}")
    }
}

/// Text that no [`Owner`] wrote.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} does not name an owner; expected <pid>:<start ticks>:<boot id>:<pid namespace>")]
pub struct OwnerSyntax(String);

impl FromStr for Owner {
    type Err = OwnerSyntax;

    fn from_str(text: &str) -> Result<Self, OwnerSyntax> {
        let syntax = || OwnerSyntax(text.to_owned());
        let mut fields = text.trim().splitn(4, ':');
        let mut field = || fields.next().ok_or_else(syntax);
        Ok(Self {
            pid: field()?.parse().map_err(|_| syntax())?,
            start_ticks: field()?.parse().map_err(|_| syntax())?,
            boot_id: field()?.to_owned(),
            pid_namespace: field()?.to_owned(),
        })
    }
}

fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .unwrap_or_default()
}

fn pid_namespace() -> String {
    // The link reads "pid:[4026531836]".
    std::fs::read_link("/proc/self/ns/pid")
        .map(|link| link.to_string_lossy().chars().filter(char::is_ascii_digit).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
