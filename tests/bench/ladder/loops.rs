//! The baselines: what a careful engineer writes by hand, and the hardest we know.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use anyhow::Context as _;
use rustix::event::{PollFd, PollFlags, poll};
use socket2::SockRef;

use super::aead::{Cipher, Key, TAG_BYTES};
use super::arm::{Arm, Naive, Way};

pub(crate) const BLOCK_BYTES: usize = 256 << 10;
const LENGTH_BYTES: usize = 4;
/// A record in one buffer: length, ciphertext, tag.
const RECORD_BYTES: usize = LENGTH_BYTES + BLOCK_BYTES + TAG_BYTES;

/// So small that what is in flight stays in the processor's cache.
const SEND_BUFFER_BYTES: usize = 256 << 10;
const RECEIVE_BUFFER_BYTES: usize = 512 << 10;

/// Answers orders on a connection: so many blocks each.
pub(crate) fn send(arm: Arm, socket: TcpStream) -> anyhow::Result<()> {
    let mut wire = Wire::new(arm, socket)?;
    let mut buffer = vec![0x5a; RECORD_BYTES];
    let mut sealing = arm.cipher.map(|cipher| Sealing::new(arm, cipher)).transpose()?;
    loop {
        let mut order = [0; 8];
        match wire.read_exact(&mut order) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            read => read.context("cannot read an order")?,
        }
        for _ in 0..u64::from_le_bytes(order) {
            match &mut sealing {
                Some(sealing) => sealing.send(&mut buffer, &mut wire)?,
                None => wire.write_all(&buffer[..BLOCK_BYTES])?,
            }
        }
    }
}

/// Orders blocks and discards them.
pub(crate) struct Receiver {
    wire: Wire,
    buffer: Vec<u8>,
    sealing: Option<Sealing>,
}

impl Receiver {
    pub(crate) fn new(arm: Arm, socket: TcpStream) -> anyhow::Result<Self> {
        let sealing = arm.cipher.map(|cipher| Sealing::new(arm, cipher)).transpose()?;
        Ok(Self { wire: Wire::new(arm, socket)?, buffer: vec![0; RECORD_BYTES], sealing })
    }

    pub(crate) fn receive(&mut self, bytes: u64) -> anyhow::Result<()> {
        let blocks = bytes / BLOCK_BYTES as u64;
        self.wire.write_all(&blocks.to_le_bytes()).context("cannot order")?;
        for _ in 0..blocks {
            match &mut self.sealing {
                Some(sealing) => sealing.receive(&mut self.buffer, &mut self.wire)?,
                None => self.wire.read_exact(&mut self.buffer[..BLOCK_BYTES])?,
            }
        }
        Ok(())
    }
}

/// A key and its counter.
struct Sealing {
    cipher: Cipher,
    key: Key,
    counter: u64,
    naive: Option<Naive>,
}

impl Sealing {
    fn new(arm: Arm, cipher: Cipher) -> anyhow::Result<Self> {
        Ok(Self { cipher, key: Key::new(cipher)?, counter: 0, naive: arm.naive })
    }

    /// What is in the buffer is sealed again and again: no copy, the least there is.
    fn send(&mut self, buffer: &mut [u8], wire: &mut Wire) -> anyhow::Result<()> {
        self.renew()?;
        let (length, rest) = buffer.split_at_mut(LENGTH_BYTES);
        let (text, tag) = rest.split_at_mut(BLOCK_BYTES);
        let sealed_bytes = u32::try_from(text.len() + tag.len()).context("a record is small")?;
        length.copy_from_slice(&sealed_bytes.to_le_bytes());
        if self.naive == Some(Naive::Buffers) {
            let mut sealed = text.to_vec();
            let tag = self.key.seal(self.counter, &mut sealed)?;
            sealed.extend_from_slice(&tag);
            let mut record = length.to_vec();
            record.extend_from_slice(&sealed);
            self.counter += 1;
            return Ok(wire.write_all(&record)?);
        }
        tag.copy_from_slice(&self.key.seal(self.counter, text)?);
        self.counter += 1;
        if self.naive == Some(Naive::Writes) {
            for part in [length, text, tag] {
                wire.write_all(part)?;
            }
            return Ok(());
        }
        Ok(wire.write_all(buffer)?)
    }

    fn receive(&mut self, buffer: &mut [u8], wire: &mut Wire) -> anyhow::Result<()> {
        self.renew()?;
        wire.read_exact(buffer)?;
        let (text, tag) = buffer[LENGTH_BYTES..].split_at_mut(BLOCK_BYTES);
        let tag = (&*tag).try_into().context("a tag has 16 bytes")?;
        if self.naive == Some(Naive::Buffers) {
            let mut opened = text.to_vec();
            self.key.open(self.counter, &mut opened, tag)?;
            std::hint::black_box(&opened);
        } else {
            self.key.open(self.counter, text, tag)?;
        }
        self.counter += 1;
        Ok(())
    }

    fn renew(&mut self) -> anyhow::Result<()> {
        if self.naive == Some(Naive::Cipher) {
            self.key = Key::new(self.cipher)?;
        }
        Ok(())
    }
}

/// A socket, blocking or polled.
struct Wire {
    socket: TcpStream,
    is_polled: bool,
}

impl Wire {
    fn new(arm: Arm, socket: TcpStream) -> anyhow::Result<Self> {
        let is_polled = arm.way == Way::Tuned;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(is_polled)?;
        if is_polled {
            let reference = SockRef::from(&socket);
            reference.set_send_buffer_size(SEND_BUFFER_BYTES)?;
            reference.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
        }
        Ok(Self { socket, is_polled })
    }

    fn wait(&self, flags: PollFlags) -> io::Result<()> {
        poll(&mut [PollFd::new(&self.socket, flags)], None)?;
        Ok(())
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.socket.read(buffer) {
                Err(error) if self.is_polled && error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait(PollFlags::IN)?;
                }
                read => return read,
            }
        }
    }
}

impl Write for Wire {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        loop {
            match self.socket.write(buffer) {
                Err(error) if self.is_polled && error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait(PollFlags::OUT)?;
                }
                wrote => return wrote,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}
