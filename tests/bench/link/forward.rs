//! What a proxy that does nothing costs: the two plain ways to carry a connection.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

use anyhow::Context as _;
use rustix::io::Errno;
use rustix::pipe::{SpliceFlags, fcntl_setpipe_size, pipe};

use super::bulk::listen;

/// Of the pipe that splice needs: the most that a process may have unprivileged.
const PIPE_BYTES: usize = 1024 * 1024;
/// Of the buffer of the plain loop.
const BUFFER_BYTES: usize = 64 * 1024;

/// Carries one direction to its end.
type Carry = fn(&TcpStream, &TcpStream) -> anyhow::Result<()>;

/// Carries connections to `to`, one thread per direction, until killed.
pub(crate) fn run(to: SocketAddr, carry: Carry) -> anyhow::Result<()> {
    let listener: TcpListener = listen()?;
    loop {
        let (near, _) = listener.accept().context("cannot accept")?;
        let far = TcpStream::connect(to).with_context(|| format!("cannot connect to {to}"))?;
        for stream in [&near, &far] {
            stream.set_nodelay(true).context("cannot turn Nagle's algorithm off")?;
        }
        let back = (far.try_clone()?, near.try_clone()?);
        for (from, onto) in [(near, far), back] {
            thread::spawn(move || {
                if let Err(error) = carry(&from, &onto) {
                    eprintln!("cannot carry a connection to {to}: {error:#}");
                }
                // The other side may have closed already.
                let _ = onto.shutdown(Shutdown::Write);
            });
        }
    }
}

/// From socket to pipe to socket; no byte comes to user space.
pub(crate) fn splice(from: &TcpStream, to: &TcpStream) -> anyhow::Result<()> {
    let (outlet, inlet) = pipe().context("cannot make a pipe")?;
    let room = fcntl_setpipe_size(&inlet, PIPE_BYTES).context("cannot widen a pipe")?;
    loop {
        let mut held = match spliced(from, &inlet, room)? {
            0 => return Ok(()),
            taken => taken,
        };
        while held > 0 {
            held -= spliced(&outlet, to, held)?;
        }
    }
}

fn spliced(
    from: impl std::os::fd::AsFd,
    to: impl std::os::fd::AsFd,
    bytes_max: usize,
) -> anyhow::Result<usize> {
    loop {
        match rustix::pipe::splice(&from, None, &to, None, bytes_max, SpliceFlags::MOVE) {
            Err(Errno::INTR) => (),
            other => return other.context("cannot splice"),
        }
    }
}

/// Through a buffer.
pub(crate) fn read_write(mut from: &TcpStream, mut to: &TcpStream) -> anyhow::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match from.read(&mut buffer).context("cannot read")? {
            0 => return Ok(()),
            read => to.write_all(&buffer[..read]).context("cannot write")?,
        }
    }
}
