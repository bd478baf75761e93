//! Files and topologies that change, by the kernel's notices.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;

use crate::testbed::live::{Live, Phase};
use crate::testbed::runtime::owner::{Liveness, Owner};
use crate::testbed::runtime::process::pids::{Foreign, watch};

/// Room for some notices; what they say is looked up by whoever waits.
const NOTICE_BYTES: usize = 4096;

/// One file or directory that is watched.
#[derive(Debug)]
pub(super) struct Watch(AsyncFd<OwnedFd>);

impl Watch {
    /// Of what is written to a file. Needs a tokio runtime around it.
    pub(super) fn file(path: &Path) -> io::Result<Self> {
        Self::on(path, WatchFlags::MODIFY | WatchFlags::DELETE_SELF | WatchFlags::ATTRIB)
    }

    /// Of files that come, go and are replaced in a directory.
    pub(super) fn directory(path: &Path) -> io::Result<Self> {
        let moved = WatchFlags::MOVED_FROM | WatchFlags::MOVED_TO;
        Self::on(path, WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::DELETE_SELF | moved)
    }

    fn on(path: &Path, flags: WatchFlags) -> io::Result<Self> {
        let descriptor = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        inotify::add_watch(&descriptor, path, flags)?;
        watch(descriptor).map(Self)
    }

    /// Resolves when something changed since this was made, or since it last did.
    /// Cancel-safe.
    pub(super) async fn changed(&self) -> io::Result<()> {
        let mut ready = self.0.readable().await?;
        let mut notices = [0; NOTICE_BYTES];
        loop {
            match rustix::io::read(self.0.get_ref(), &mut notices) {
                Ok(1..) => {}
                Ok(0) | Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        ready.clear_ready();
        Ok(())
    }
}

/// Resolves when the topology of this directory is no longer live. Cancel-safe.
///
/// # Errors
/// The directory cannot be watched.
pub(crate) async fn over(directory: &Path) -> io::Result<()> {
    let watch = match Watch::directory(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        watch => watch?,
    };
    loop {
        let live = match Live::read(directory) {
            Ok(live) if live.liveness() != Liveness::Gone => live,
            // Replaced by a rename, so it is whole whenever it is there.
            _ => return Ok(()),
        };
        tokio::select! {
            changed = watch.changed() => changed?,
            () = owner_ended(&live) => return Ok(()),
        }
    }
}

/// Resolves when whoever has to be there is not; never for what stands by itself.
pub(crate) async fn owner_ended(live: &Live) {
    if live.phase != Phase::Up
        && let Ok(owner) = live.owner.parse::<Owner>()
        && owner.liveness() != Liveness::Unknown
        && let Ok(process) = Foreign::open(owner.pid, owner.start_ticks)
    {
        if let Some(process) = process {
            process.ended().await;
        }
        return;
    }
    std::future::pending().await
}

#[cfg(test)]
mod tests;
