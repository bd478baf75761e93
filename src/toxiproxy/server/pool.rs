//! Memory, pipes and timers that connections share, so that an idle one holds none.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};

use super::alarm::Alarm;

/// Most bytes of one read: some loopback segments at once.
pub(super) const READ_BYTES_MAX: usize = 128 * 1024;
/// A read of no more than this is copied to memory of its own size. So one byte
/// that is delayed never holds a whole read buffer, and no chunk more than four
/// times its size.
const COPY_BYTES_MAX: usize = READ_BYTES_MAX / 4;
/// Read buffers kept for reuse: 16 MiB. In steady state every write frees what the
/// next read takes; more would only be memory that is not used.
const BUFFERS_SPARE_MAX: usize = 128;
/// Pipes kept for reuse, two descriptors each.
const PIPES_SPARE_MAX: usize = 64;
/// What a pipe may hold; the most that the kernel gives an ordinary user.
const PIPE_BYTES: usize = 1024 * 1024;
/// Most that all connections may have queued together. Past it a connection is
/// read only while it holds less than [`HELD_SHARE_MIN`]. Pipes are the kernel's:
/// at most [`PIPE_BYTES`] for a direction without toxics whose receiver is full.
const HELD_BYTES_MAX: usize = 2 * 1024 * 1024 * 1024;
/// Always allowed, so that no connection stops for good: half of what an undelayed
/// one may hold.
const HELD_SHARE_MIN: usize = 256 * 1024;

/// Alarms kept for reuse, a descriptor each: for as many connections with bytes
/// under way opening a timer is not part of a delay.
const ALARMS_SPARE_MAX: usize = 1024;

/// One server's.
#[derive(Debug)]
pub(super) struct Pool {
    buffers: Spares<Vec<u8>>,
    pipes: Spares<Pipe>,
    alarms: Spares<Alarm>,
    held_bytes: AtomicUsize,
}

/// A pipe that is empty whenever it is in the pool.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) read: OwnedFd,
    pub(super) write: OwnedFd,
    pub(super) capacity_bytes: usize,
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            buffers: Spares::new(BUFFERS_SPARE_MAX),
            pipes: Spares::new(PIPES_SPARE_MAX),
            alarms: Spares::new(ALARMS_SPARE_MAX),
            held_bytes: AtomicUsize::new(0),
        }
    }
}

impl Pool {
    /// A buffer to read into, [`READ_BYTES_MAX`] long.
    pub(super) fn buffer(&self) -> Vec<u8> {
        self.buffers.take().unwrap_or_else(|| vec![0; READ_BYTES_MAX])
    }

    /// Takes a buffer back.
    pub(super) fn put_back(&self, buffer: Vec<u8>) {
        self.buffers.put_back(buffer);
    }

    /// The first `bytes` of `buffer`, which comes back once nobody holds them.
    pub(super) fn fill(self: &Arc<Self>, buffer: Vec<u8>, bytes: usize) -> Bytes {
        if bytes <= COPY_BYTES_MAX {
            let copy = Bytes::copy_from_slice(&buffer[..bytes]);
            self.put_back(buffer);
            return copy;
        }
        Bytes::from_owner(Filled { buffer, bytes, pool: Arc::clone(self) })
    }

    /// An empty pipe.
    ///
    /// # Errors
    /// When descriptors are used up.
    pub(super) fn pipe(&self) -> rustix::io::Result<Pipe> {
        if let Some(pipe) = self.pipes.take() {
            return Ok(pipe);
        }
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let capacity_bytes = match fcntl_setpipe_size(&write, PIPE_BYTES) {
            Ok(bytes) => bytes,
            // The user has used up the memory for pipes: the default still works.
            Err(Errno::PERM | Errno::BUSY) => rustix::pipe::fcntl_getpipe_size(&write)?,
            Err(error) => return Err(error),
        };
        Ok(Pipe { read, write, capacity_bytes })
    }

    /// Takes an empty pipe back. A small one is closed: a later one may be larger.
    pub(super) fn put_back_pipe(&self, pipe: Pipe) {
        if pipe.capacity_bytes >= PIPE_BYTES {
            self.pipes.put_back(pipe);
        }
    }

    /// An alarm, set to whatever it was last set to.
    ///
    /// # Errors
    /// Those of [`Alarm::open`].
    pub(super) fn alarm(&self) -> io::Result<Alarm> {
        self.alarms.take().map_or_else(Alarm::open, Ok)
    }

    /// Takes an alarm back.
    pub(super) fn put_back_alarm(&self, alarm: Alarm) {
        self.alarms.put_back(alarm);
    }

    /// A connection that held `before_bytes` holds `now_bytes`.
    pub(super) fn held(&self, before_bytes: usize, now_bytes: usize) {
        // Wraps around in between, and comes out right.
        self.held_bytes.fetch_add(now_bytes.wrapping_sub(before_bytes), Relaxed);
    }

    /// Whether a connection that holds `own_bytes` may be read.
    pub(super) fn has_room(&self, own_bytes: usize) -> bool {
        own_bytes < HELD_SHARE_MIN || self.held_bytes.load(Relaxed) < HELD_BYTES_MAX
    }
}

#[derive(Debug)]
struct Filled {
    buffer: Vec<u8>,
    bytes: usize,
    pool: Arc<Pool>,
}

impl AsRef<[u8]> for Filled {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.bytes]
    }
}

impl Drop for Filled {
    fn drop(&mut self) {
        self.pool.put_back(std::mem::take(&mut self.buffer));
    }
}

/// What is not in use, up to a number of them.
#[derive(Debug)]
struct Spares<T> {
    items: Mutex<Vec<T>>,
    max: usize,
}

impl<T> Spares<T> {
    const fn new(max: usize) -> Self {
        Self { items: Mutex::new(Vec::new()), max }
    }

    fn take(&self) -> Option<T> {
        self.items().pop()
    }

    fn put_back(&self, item: T) {
        let mut items = self.items();
        if items.len() < self.max {
            items.push(item);
        }
    }

    /// Nothing that panics is done under the lock.
    fn items(&self) -> MutexGuard<'_, Vec<T>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
