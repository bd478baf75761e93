//! Many connections that are open and say nothing.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use socket2::{Domain, Socket, Type};

use super::bulk::listen;
use super::child::{say, wait_for_go};

/// Opened at a time: fewer than any listen queue holds.
const BATCH: usize = 100;
/// Source addresses, so that ports of 127.0.0.1 that earlier connections still
/// block do not run out.
const SOURCES: usize = 8;
/// Of one byte there and back.
const BYTE_DEADLINE: Duration = Duration::from_secs(10);

/// What a crowd came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Crowd {
    /// Connections that carried a byte each way, and are open.
    pub(crate) open: usize,
    /// Why there are no more, if there should be.
    pub(crate) why: Option<String>,
}

/// Answers the first byte of each connection, in the order of their coming.
pub(crate) fn server() -> anyhow::Result<()> {
    let listener = listen()?;
    let mut kept = Vec::new();
    loop {
        let (mut stream, _) = listener.accept().context("cannot accept")?;
        stream.set_read_timeout(Some(BYTE_DEADLINE))?;
        let mut byte = [0];
        // The clients say what failed.
        if stream.read_exact(&mut byte).and_then(|()| stream.write_all(&byte)).is_ok() {
            kept.push(stream);
        }
    }
}

/// Opens the connections, says how many there are, and keeps them until told.
pub(crate) fn clients(to: SocketAddr, connections: usize) -> anyhow::Result<()> {
    let mut kept: Vec<TcpStream> = Vec::new();
    let mut why = None;
    while kept.len() < connections && why.is_none() {
        let size = BATCH.min(connections - kept.len());
        match batch(to, kept.len(), size) {
            Ok(batch) => kept.extend(batch),
            Err(error) => why = Some(format!("{error:#}")),
        }
    }
    say(&Crowd { open: kept.len(), why })?;
    wait_for_go()
}

fn batch(to: SocketAddr, first: usize, size: usize) -> anyhow::Result<Vec<TcpStream>> {
    let mut batch = Vec::with_capacity(size);
    for number in first..first + size {
        let mut stream = connect(to, number)
            .with_context(|| format!("cannot open connection {number} to {to}"))?;
        stream.write_all(b"?").context("cannot send a byte")?;
        batch.push(stream);
    }
    for stream in &mut batch {
        stream.read_exact(&mut [0]).with_context(|| {
            format!(
                "no byte came back within {} s on a connection after the first {first}",
                BYTE_DEADLINE.as_secs()
            )
        })?;
    }
    Ok(batch)
}

fn connect(to: SocketAddr, number: usize) -> anyhow::Result<TcpStream> {
    let last = u8::try_from(number % SOURCES + 1)?;
    let from = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)), 0);
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&from.into())?;
    socket.connect(&to.into())?;
    socket.set_read_timeout(Some(BYTE_DEADLINE))?;
    Ok(socket.into())
}
