//! Bytes that go past the queue: from socket to socket through a pipe, without
//! being copied to this process.

use std::io;
use std::sync::Arc;

use rustix::pipe::{SpliceFlags, splice};
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::super::pool::{Pipe, Pool};

/// A pipe while there is something in it.
#[derive(Debug)]
pub(super) struct Bypass {
    pool: Arc<Pool>,
    pipe: Option<Pipe>,
    bytes: usize,
}

impl Bypass {
    pub(super) fn new(pool: Arc<Pool>) -> Self {
        Self { pool, pipe: None, bytes: 0 }
    }

    /// Bytes in the pipe.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes what the socket has, when the pipe is empty; 0 is the end of the
    /// stream. A pipe is taken only for bytes, and given back by [`Self::rest`].
    ///
    /// # Errors
    /// `WouldBlock` when the socket has nothing; else that of the connection, or
    /// that there is no pipe ([`io::ErrorKind::InvalidInput`]).
    pub(super) fn fill(&mut self, from: &TcpStream) -> io::Result<usize> {
        debug_assert_eq!(self.bytes, 0, "filled before it was empty");
        let pipe = match &mut self.pipe {
            Some(pipe) => pipe,
            empty => {
                let pipe = self.pool.pipe().map_err(|_| io::ErrorKind::InvalidInput)?;
                empty.insert(pipe)
            }
        };
        let take = || Ok(splice(from, None, &pipe.write, None, pipe.capacity_bytes, FLAGS)?);
        self.bytes = from.try_io(Interest::READABLE, take)?;
        Ok(self.bytes)
    }

    /// Hands on what is in the pipe. Returns how much of it.
    ///
    /// # Errors
    /// `WouldBlock` when the socket is full; else that of the connection.
    pub(super) fn drain(&mut self, to: &TcpStream) -> io::Result<usize> {
        let Some(pipe) = &self.pipe else { return Ok(0) };
        // Exactly what there is: asked for more, the kernel waits for more to come.
        let give = || Ok(splice(&pipe.read, None, to, None, self.bytes, FLAGS)?);
        let given = to.try_io(Interest::WRITABLE, give)?;
        self.bytes -= given;
        Ok(given)
    }

    /// Gives the pipe back if it is empty: an idle connection has none.
    pub(super) fn rest(&mut self) {
        if self.bytes == 0
            && let Some(pipe) = self.pipe.take()
        {
            self.pool.put_back_pipe(pipe);
        }
    }
}

const FLAGS: SpliceFlags = SpliceFlags::NONBLOCK.union(SpliceFlags::MOVE);
