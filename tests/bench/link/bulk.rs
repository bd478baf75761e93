//! Both ends of a transfer, with blocking sockets: the least that can be in the way.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use serde::{Deserialize, Serialize};

use super::child::{Child, say};
use super::clock::now_ns;
use super::curve::{Curve, Received, received};

/// Of one write, and of the room for one read.
const BLOCK_BYTES: usize = 256 * 1024;

/// A process of this program is up well within it, the machine being busy.
pub(crate) const START_DEADLINE: Duration = Duration::from_secs(20);

/// Where a role listens.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Listening {
    pub(crate) address: SocketAddr,
}

/// When a source was about to write its first byte.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Started {
    started_ns: u64,
}

/// One transfer, as its receiver saw it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transfer {
    pub(crate) received: Received,
    /// When the source was about to send.
    pub(crate) started_ns: u64,
}

/// Listens on loopback, any port, and says where.
pub(crate) fn listen() -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen on 127.0.0.1")?;
    say(&Listening { address: listener.local_addr()? })?;
    Ok(listener)
}

/// Takes so many connections together, says a line for all, and begins again.
pub(crate) fn sink(rate: Option<u64>, together: usize) -> anyhow::Result<()> {
    let listener = listen()?;
    loop {
        let readers: Vec<_> = (0..together)
            .map(|_| listener.accept().map(|(stream, _)| thread::spawn(|| drain(stream))))
            .collect::<Result<_, _>>()
            .context("cannot accept")?;
        let curves: Vec<Curve> = readers
            .into_iter()
            .map(|reader| reader.join().map_err(|_| anyhow!("a reader panicked"))?)
            .collect::<anyhow::Result<_>>()?;
        say(&received(&curves, rate))?;
    }
}

fn drain(mut stream: TcpStream) -> anyhow::Result<Curve> {
    let mut block = vec![0; BLOCK_BYTES];
    let mut curve = Curve::default();
    let mut bytes = 0;
    loop {
        let read = stream.read(&mut block).context("cannot receive")?;
        if read == 0 {
            return Ok(curve);
        }
        bytes += read as u64;
        curve.reads.push((now_ns(), bytes));
    }
}

pub(crate) fn source(to: SocketAddr, bytes: u64) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(to).with_context(|| format!("cannot connect to {to}"))?;
    let block = vec![0x5a; BLOCK_BYTES];
    say(&Started { started_ns: now_ns() })?;
    let mut rest = bytes;
    while rest > 0 {
        let size = usize::try_from(rest).map_or(BLOCK_BYTES, |rest| rest.min(BLOCK_BYTES));
        stream.write_all(&block[..size]).with_context(|| format!("cannot send to {to}"))?;
        rest -= size as u64;
    }
    stream.shutdown(Shutdown::Write).context("cannot close")?;
    // The peer's close: with an early end of this process its kernel might reset.
    let _ = stream.read(&mut [0]);
    Ok(())
}

/// A sink and where it listens.
#[derive(Debug)]
pub(crate) struct Sink {
    child: Child,
    pub(crate) address: SocketAddr,
    together: usize,
}

impl Sink {
    pub(crate) fn start(rate: Option<u64>, together: usize) -> anyhow::Result<Self> {
        let together_text = together.to_string();
        let rate_text = rate.map(|rate| rate.to_string());
        let mut arguments = vec!["sink", "--together", &together_text];
        if let Some(rate) = &rate_text {
            arguments.extend(["--rate", rate]);
        }
        let child = Child::role(&arguments)?;
        let Listening { address } = child.hear(START_DEADLINE)?;
        Ok(Self { child, address, together })
    }

    /// Sends so many bytes to `to`, from as many sources as the sink takes together.
    pub(crate) fn transfer(
        &self,
        to: SocketAddr,
        bytes: u64,
        within: Duration,
    ) -> anyhow::Result<Vec<Transfer>> {
        let (to, bytes_text) = (to.to_string(), bytes.to_string());
        let arguments = ["source", "--to", &to, "--bytes", &bytes_text];
        let sources: Vec<Child> =
            (0..self.together).map(|_| Child::role(&arguments)).collect::<Result<_, _>>()?;
        let mut started = Vec::new();
        for source in &sources {
            started.push(source.hear::<Started>(START_DEADLINE)?.started_ns);
        }
        let received: Vec<Option<Received>> = self.child.hear(within)?;
        started
            .into_iter()
            .zip(received)
            .map(|(started_ns, received)| match received {
                Some(received) if received.bytes == bytes => Ok(Transfer { received, started_ns }),
                other => Err(anyhow!(
                    "{} of {bytes} bytes arrived through {to}",
                    other.map_or(0, |received| received.bytes)
                )),
            })
            .collect()
    }
}
