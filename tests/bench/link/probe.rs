//! Small messages that carry the time of their sending.
//!
//! The load must cost little, as everything shares the machine's cores: the
//! sender is one thread that sleeps between messages, the receiver one thread
//! that sleeps until some come.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use clap::Args;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt as _;
use tokio::task::JoinSet;

use super::bulk::{Listening, START_DEADLINE};
use super::child::{Child, say, wait_for_go};
use super::clock::{NS_PER_MS, NS_PER_S, now_ns, sleep_until};

const MESSAGE_BYTES: usize = 64;
/// Some messages; one never waits for more room than this.
const BUFFER_BYTES: usize = 64 * MESSAGE_BYTES;
/// In place of the time, in a message that is not measured.
const NO_TIME: u64 = 0;
/// From the last message to its arrival and all closes, the largest delay and a
/// busy machine included.
const DRAIN_DEADLINE: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct SenderArgs {
    #[arg(long)]
    pub(crate) to: SocketAddr,
    #[arg(long)]
    pub(crate) connections: usize,
    #[arg(long)]
    pub(crate) messages: u64,
    /// Mean time between two messages, whatever their connections
    #[arg(long)]
    pub(crate) gap_us: u64,
    /// Each gap is the mean; else they are exponential
    #[arg(long)]
    pub(crate) fixed: bool,
    #[arg(long)]
    pub(crate) seed: u64,
}

/// All warm-up messages have come.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Ready {
    ready: usize,
}

/// From sending to arrival of every message, in the order of arrival.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Delays {
    delays_ns: Vec<u64>,
}

/// Opens the connections, sends one message on each that is not measured, then the
/// measured ones on connections drawn at random.
///
/// With exponential gaps every connection has its own Poisson stream: times of
/// sending keep no step with any timer, and meet a queue as it is on average.
pub(crate) fn sender(args: &SenderArgs) -> anyhow::Result<()> {
    let connect = || format!("cannot open {} connections to {}", args.connections, args.to);
    let mut streams = Vec::new();
    for _ in 0..args.connections {
        let mut stream = TcpStream::connect(args.to).with_context(connect)?;
        stream.set_nodelay(true).with_context(connect)?;
        send(&mut stream, NO_TIME)?;
        streams.push(stream);
    }
    wait_for_go()?;
    let mut random = ChaCha8Rng::seed_from_u64(args.seed);
    let mut next = now_ns();
    for _ in 0..args.messages {
        let mean = args.gap_us as f64 * 1_000.0;
        let gap = match args.fixed {
            true => mean,
            false => -mean * (1.0 - random.random::<f64>()).ln(),
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "not negative, and at most 37 means of some milliseconds"
        )]
        let gap_ns = gap as u64;
        next += gap_ns;
        // The time of sending is part of what is measured.
        sleep_until(next);
        let which = random.random_range(0..streams.len());
        send(&mut streams[which], now_ns())?;
    }
    for stream in &mut streams {
        stream.shutdown(Shutdown::Write).context("cannot close")?;
    }
    for stream in &mut streams {
        // The receiver's close, or the proxy's: an early end here might reset.
        let _ = stream.read(&mut [0]);
    }
    Ok(())
}

fn send(stream: &mut TcpStream, sent_ns: u64) -> anyhow::Result<()> {
    let mut message = [0; MESSAGE_BYTES];
    message[..8].copy_from_slice(&sent_ns.to_le_bytes());
    stream.write_all(&message).context("cannot send a message")
}

/// Takes the connections of one sender, and says how long its messages took.
pub(crate) fn receiver(connections: usize) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        say(&Listening { address: listener.local_addr()? })?;
        let warm = Arc::new(AtomicUsize::new(0));
        let mut readers = JoinSet::new();
        for _ in 0..connections {
            let (stream, _) = listener.accept().await.context("cannot accept")?;
            readers.spawn(receive(stream, Arc::clone(&warm), connections));
        }
        let mut delays_ns = Vec::new();
        while let Some(read) = readers.join_next().await {
            delays_ns.extend(read??);
        }
        say(&Delays { delays_ns })
    })
}

async fn receive(
    mut stream: tokio::net::TcpStream,
    warm: Arc<AtomicUsize>,
    connections: usize,
) -> anyhow::Result<Vec<u64>> {
    let mut buffer = [0; BUFFER_BYTES];
    let (mut held, mut delays_ns) = (0, Vec::new());
    loop {
        let read = stream.read(&mut buffer[held..]).await.context("cannot receive")?;
        if read == 0 {
            ensure!(held == 0, "a connection ended within a message");
            return Ok(delays_ns);
        }
        let arrived_ns = now_ns();
        held += read;
        let whole = held - held % MESSAGE_BYTES;
        for message in buffer[..whole].as_chunks::<MESSAGE_BYTES>().0 {
            let (time, _) = message.split_first_chunk().context("a message has a time")?;
            match u64::from_le_bytes(*time) {
                NO_TIME => {
                    let ready = warm.fetch_add(1, Ordering::Relaxed) + 1;
                    if ready == connections {
                        say(&Ready { ready })?;
                    }
                }
                sent_ns => delays_ns.push(arrived_ns.saturating_sub(sent_ns)),
            }
        }
        buffer.copy_within(whole..held, 0);
        held -= whole;
    }
}

/// A receiver and, once [`Probe::send`] was called, its sender.
#[derive(Debug)]
pub(crate) struct Probe {
    receiver: Child,
    connections: usize,
    sender: Option<(Child, SenderArgs)>,
    pub(crate) address: SocketAddr,
}

impl Probe {
    pub(crate) fn start(connections: usize) -> anyhow::Result<Self> {
        let receiver = Child::role(&["receiver", "--connections", &connections.to_string()])?;
        let Listening { address } = receiver.hear(START_DEADLINE)?;
        Ok(Self { receiver, connections, sender: None, address })
    }

    /// Opens all connections, and begins to send when each has carried a message.
    pub(crate) fn send(&mut self, args: SenderArgs) -> anyhow::Result<()> {
        let numbers = [
            ("--connections", args.connections as u64),
            ("--messages", args.messages),
            ("--gap-us", args.gap_us),
            ("--seed", args.seed),
        ];
        let mut words = vec!["sender".to_owned(), format!("--to={}", args.to)];
        words.extend(numbers.map(|(flag, value)| format!("{flag}={value}")));
        words.extend(args.fixed.then(|| "--fixed".to_owned()));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut sender = Child::role(&words)?;
        let Ready { ready } = self.receiver.hear(START_DEADLINE)?;
        ensure!(ready == self.connections, "{ready} of {} connections came", self.connections);
        sender.go()?;
        self.sender = Some((sender, args));
        Ok(())
    }

    /// How long each message was under way, in milliseconds; an error when one was
    /// lost.
    pub(crate) fn finish(self) -> anyhow::Result<Vec<f64>> {
        let (_sender, args) = self.sender.ok_or_else(|| anyhow!("nothing was sent"))?;
        // The gaps' sum is within a fifth of its mean for a hundred messages.
        let sending_s = args.messages * args.gap_us * 1_000 / NS_PER_S * 2;
        let within = DRAIN_DEADLINE + Duration::from_secs(sending_s);
        let Delays { delays_ns } = self.receiver.hear(within)?;
        let came = delays_ns.len() as u64;
        ensure!(came == args.messages, "{came} of {} messages arrived", args.messages);
        Ok(delays_ns.into_iter().map(|ns| ns as f64 / NS_PER_MS).collect())
    }
}
