//! What this program does when it is started from itself.

use std::env;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::anyhow;
use clap::Subcommand;

use super::{bulk, crowd, forward, probe};

/// A process of a measurement. Roles speak JSON lines on stdout; those that wait
/// for a word take a line on stdin.
#[derive(Clone, Copy, Debug, Subcommand)]
#[command(hide = true)]
pub(crate) enum Role {
    /// Becomes the proxy server
    Serve {
        #[arg(long)]
        seed: u64,
    },
    /// Takes connections until killed, and tells how their bytes came
    Sink {
        /// Of the connection in bytes per second, for the bursts
        #[arg(long)]
        rate: Option<u64>,
        /// Connections measured in their common time
        #[arg(long, default_value_t = 1)]
        together: usize,
    },
    /// Sends as fast as it can
    Source {
        #[arg(long)]
        to: SocketAddr,
        #[arg(long)]
        bytes: u64,
    },
    /// Carries connections with splice(2)
    Splice {
        #[arg(long)]
        to: SocketAddr,
    },
    /// Carries connections with read and write
    ReadWrite {
        #[arg(long)]
        to: SocketAddr,
    },
    /// Takes small messages and tells how long each was under way
    Receiver {
        #[arg(long)]
        connections: usize,
    },
    /// Sends small messages with the time of sending
    Sender(probe::SenderArgs),
    /// Answers one byte on each connection and keeps them
    CrowdServer,
    /// Opens connections, exchanges a byte on each and keeps them
    Crowd {
        #[arg(long)]
        to: SocketAddr,
        #[arg(long)]
        connections: usize,
    },
}

impl Role {
    pub(crate) fn play(self) -> anyhow::Result<()> {
        match self {
            Self::Serve { seed } => Err(serve(seed)),
            Self::Sink { rate, together } => bulk::sink(rate, together),
            Self::Source { to, bytes } => bulk::source(to, bytes),
            Self::Splice { to } => forward::run(to, forward::splice),
            Self::ReadWrite { to } => forward::run(to, forward::read_write),
            Self::Receiver { connections } => probe::receiver(connections),
            Self::Sender(args) => probe::sender(&args),
            Self::CrowdServer => crowd::server(),
            Self::Crowd { to, connections } => crowd::clients(to, connections),
        }
    }
}

/// Returns only the reason why it could not. The process stays the same, so the
/// server, too, dies with this program.
fn serve(seed: u64) -> anyhow::Error {
    let program = env!("CARGO_BIN_EXE_dropbed");
    let arguments = ["toxiproxy", "--host", "127.0.0.1", "--port", "0", "--seed"];
    let error = Command::new(program).args(arguments).arg(seed.to_string()).exec();
    anyhow!("cannot start the proxy server {program}: {error}; was it built?")
}
