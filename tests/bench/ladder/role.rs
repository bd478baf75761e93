//! What this program does when it is started from itself.

use std::io::BufRead as _;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::thread;

use anyhow::Context as _;
use clap::Subcommand;
use dropbed::daemon::runtime;
use dropbed::secure::{Identity, PeerId, SessionHandle};
use futures::StreamExt as _;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener as AsyncListener;

use super::arm::{Arm, Way};
use super::child::{say, wait_for_go};
use super::clock::{NS_PER_S, now_ns};
use super::{grpc, loops, session};

/// An end of a transfer. Both speak JSON lines on stdout.
#[derive(Clone, Debug, Subcommand)]
#[command(hide = true)]
pub(crate) enum Role {
    /// Serves any number of transfers, and tells its CPU time when asked
    Send {
        #[command(flatten)]
        arm: Arm,
        /// Directory that is served
        #[arg(long)]
        share: Option<PathBuf>,
    },
    /// Fetches once to warm up, waits for a word, fetches and tells
    Receive {
        #[command(flatten)]
        arm: Arm,
        #[arg(long)]
        to: String,
        #[arg(long)]
        id: Option<PeerId>,
        #[arg(long)]
        warm_bytes: u64,
        #[arg(long)]
        bytes: u64,
    },
    /// Makes sessions that stay, and tells what it used as they did nothing
    Idle {
        #[arg(long)]
        to: String,
        #[arg(long)]
        id: PeerId,
        #[arg(long)]
        count: u32,
        #[arg(long)]
        seconds: u64,
    },
    /// Makes sessions one after the other, waits for a word in between
    Shake {
        #[arg(long)]
        to: String,
        #[arg(long)]
        id: PeerId,
        #[arg(long)]
        count: u32,
    },
}

/// Where a sender is.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Listening {
    pub(crate) address: String,
    /// None without encryption.
    pub(crate) id: Option<String>,
}

/// What a process has used so far.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Used {
    pub(crate) cpu_s: f64,
}

/// What a fetch took at the receiver.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Fetched {
    pub(crate) wall_s: f64,
    pub(crate) cpu_s: f64,
}

impl Role {
    pub(crate) fn play(self) -> anyhow::Result<()> {
        match self {
            Self::Send { arm, share } => send(arm, share),
            Self::Receive { arm, to, id, warm_bytes, bytes } => {
                receive(arm, to, id, warm_bytes, bytes)
            }
            Self::Idle { to, id, count, seconds } => idle(to, id, count, seconds),
            Self::Shake { to, id, count } => shake(to, id, count),
        }
    }
}

fn send(arm: Arm, share: Option<PathBuf>) -> anyhow::Result<()> {
    thread::spawn(|| {
        // Each line is a question.
        for _ in std::io::stdin().lock().lines() {
            // Who asks is gone, or hears.
            let _ = say(&Used { cpu_s: cpu_s() });
        }
    });
    if matches!(arm.way, Way::Loop | Way::Tuned) {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        say(&Listening { address: listener.local_addr()?.to_string(), id: None })?;
        loops::send(arm, listener.accept()?.0)?;
        // It is still asked what it used; who started it ends it.
        loop {
            thread::park();
        }
    }
    drive(async move {
        if arm.cipher.is_none() {
            let listener = AsyncListener::bind("127.0.0.1:0").await?;
            say(&Listening { address: listener.local_addr()?.to_string(), id: None })?;
            let (socket, _) = listener.accept().await?;
            socket.set_nodelay(true)?;
            // One connection, and no end of connections, which would end the server.
            let incoming = futures::stream::iter([socket]).chain(futures::stream::pending());
            return grpc::serve(arm.way, share, incoming).await;
        }
        let (address, id, mut incoming) = session::listen(arm).await?;
        say(&Listening { address, id: Some(id.to_string()) })?;
        if arm.way != Way::Stream {
            return grpc::serve(arm.way, share, incoming).await;
        }
        while let Some(session) = incoming.next().await {
            // One that breaks is its receiver's to tell.
            tokio::spawn(session::send(session));
        }
        Ok(())
    })
}

fn receive(
    arm: Arm,
    to: String,
    id: Option<PeerId>,
    warm_bytes: u64,
    bytes: u64,
) -> anyhow::Result<()> {
    if matches!(arm.way, Way::Loop | Way::Tuned) {
        let mut receiver = loops::Receiver::new(arm, TcpStream::connect(&to)?)?;
        receiver.receive(warm_bytes)?;
        let begin = begin()?;
        receiver.receive(bytes)?;
        return begin.tell();
    }
    drive(async move {
        let Some(id) = id else {
            let socket = tokio::net::TcpStream::connect(&to).await?;
            socket.set_nodelay(true)?;
            let mut receiver = grpc::Receiver::over(arm, socket).await?;
            receiver.receive(warm_bytes).await?;
            let begin = begin()?;
            receiver.receive(bytes).await?;
            return begin.tell();
        };
        let identity = Identity::generate()?;
        let mut session = session::connect(arm, &identity, &to, id).await?;
        let handle = session.handle();
        if arm.way == Way::Stream {
            session::receive(&mut session, warm_bytes).await?;
            let begin = begin()?;
            session::receive(&mut session, bytes).await?;
            return begin.tell();
        }
        let mut receiver = grpc::Receiver::over(arm, session).await?;
        for lane in 1..arm.lanes {
            if lane == 1 {
                // The sender has the session when it answers.
                receiver.receive(1).await?;
            }
            receiver.widen(session::join(arm, &identity, &to, &handle).await?).await?;
        }
        receiver.receive(warm_bytes).await?;
        let before = (handle.epochs().1, handle.folds());
        let begin = begin()?;
        receiver.receive(bytes).await?;
        keys_have_changed(arm, &handle, before, bytes, begin.wall_s())?;
        begin.tell()
    })
}

/// An arm that changes keys is one only if it has.
fn keys_have_changed(
    arm: Arm,
    session: &SessionHandle,
    (epochs, folds): (u32, u32),
    bytes: u64,
    wall_s: f64,
) -> anyhow::Result<()> {
    let (epochs, folds) = (session.epochs().1 - epochs, session.folds() - folds);
    let ratchets = arm.rekey_bytes.map_or(0, |under_one| bytes / under_one / 2);
    anyhow::ensure!(u64::from(epochs) >= ratchets, "only {epochs} of {ratchets} ratchets");
    let wanted = arm.fold_ms.map_or(0.0, |ms| wall_s * 1000.0 / ms as f64 - 1.5);
    anyhow::ensure!(f64::from(folds) >= wanted, "only {folds} folds in {wall_s} s");
    Ok(())
}

fn idle(to: String, id: PeerId, count: u32, seconds: u64) -> anyhow::Result<()> {
    let arm = Arm::sealed(Way::Push, super::aead::Cipher::Chacha);
    let identity = Identity::generate()?;
    drive(async move {
        let mut sessions = Vec::new();
        // The first one brings what all have in common.
        for _ in 0..=count {
            if sessions.len() == 1 {
                begin()?;
            }
            let stream = session::connect(arm, &identity, &to, id).await?;
            let mut session = grpc::Receiver::over(arm, stream).await?;
            session.receive(1).await?;
            sessions.push(session);
        }
        let begin = begin()?;
        // To do nothing for a while is what is measured.
        tokio::time::sleep(std::time::Duration::from_secs(seconds)).await;
        begin.tell()?;
        // They stay until their cost is read.
        wait_for_go()
    })
}

fn shake(to: String, id: PeerId, count: u32) -> anyhow::Result<()> {
    let arm = Arm::sealed(Way::Stream, super::aead::Cipher::Chacha);
    let identity = Identity::generate()?;
    drive(async move {
        drop(session::connect(arm, &identity, &to, id).await?);
        let begin = begin()?;
        for _ in 0..count {
            drop(session::connect(arm, &identity, &to, id).await.context("cannot make a session")?);
        }
        begin.tell()
    })
}

/// On a runtime and as a task like the daemon's.
fn drive(end: impl Future<Output = anyhow::Result<()>> + Send + 'static) -> anyhow::Result<()> {
    let runtime = runtime::new()?;
    runtime.block_on(runtime.spawn(end))?
}

/// When a measurement began, and what the process had used.
struct Begin {
    at_ns: u64,
    cpu_s: f64,
}

fn begin() -> anyhow::Result<Begin> {
    say(&())?;
    wait_for_go()?;
    Ok(Begin { cpu_s: cpu_s(), at_ns: now_ns() })
}

impl Begin {
    fn wall_s(&self) -> f64 {
        (now_ns() - self.at_ns) as f64 / NS_PER_S as f64
    }

    fn tell(self) -> anyhow::Result<()> {
        let wall_s = self.wall_s();
        say(&Fetched { wall_s, cpu_s: cpu_s() - self.cpu_s })
    }
}

/// Of all threads of this process, in user and kernel mode.
pub(crate) fn cpu_s() -> f64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    used.tv_sec as f64 + used.tv_nsec as f64 / NS_PER_S as f64
}
