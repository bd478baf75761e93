//! The command line `dropd`: the daemon, and asking one.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::daemon::config::{Defaults, Settings};
use crate::daemon::control_client::ControlAddress;
use crate::daemon::reader;
use crate::secure::lane::LANES_MAX;

mod ask;
mod run;

/// Exit codes: 0 done, 1 failed, 2 wrong input, 3 this machine lacks something,
/// 130 interrupted.
const FAILED: u8 = 1;
const WRONG_INPUT: u8 = 2;
const INTERRUPTED: u8 = 130;

/// Shares files with known peers over encrypted sessions.
#[derive(Debug, Parser)]
#[command(name = "dropd", version)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, Args)]
struct Global {
    /// Control: the path of a unix socket (with a `/`), or `host:port`.
    #[arg(long, global = true, env = "DROPD_CONTROL", value_name = "PATH|HOST:PORT")]
    control: Option<String>,
    /// File with the bearer token for control over TCP.
    #[arg(long, global = true, env = "DROPD_CONTROL_TOKEN_FILE", value_name = "FILE")]
    control_token_file: Option<PathBuf>,
    /// Print JSON, one object a line.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the id of this daemon, made on first use.
    Id(RunArgs),
    /// Run the daemon until SIGTERM, Ctrl-C or `dropd stop`.
    Run(RunArgs),
    /// Say what the daemon is doing.
    Status,
    /// List the known peers.
    Peers,
    /// Change the known peers.
    #[command(subcommand)]
    Peer(PeerCommand),
    /// List a directory of a peer.
    Ls {
        /// `<peer>` or `<peer>/<path>`.
        path: String,
    },
    /// Fetch a file of a peer.
    Pull(PullArgs),
    /// Change the keys of the session with a peer.
    Rekey {
        /// Its name.
        peer: String,
        /// Agree on fresh keys: who has stolen all keys cannot read on
        #[arg(long)]
        fold: bool,
    },
    /// Unmount, close all sessions and end the daemon.
    Stop,
    /// Read a file and tell the daemon how that went.
    #[command(hide = true)]
    Read {
        /// The file.
        path: PathBuf,
        /// Bytes per read(2).
        #[arg(long, default_value_t = reader::READ_BYTES_DEFAULT, value_parser = clap::value_parser!(u32).range(1..=i64::from(reader::READ_BYTES_MAX)))]
        read_bytes: u32,
        /// Tell at once when this many bytes were read.
        #[arg(long)]
        tell_at_bytes: Vec<u64>,
    },
}

#[derive(Debug, Subcommand)]
enum PeerCommand {
    /// Forget a peer: cut its sessions, hide its share, refuse its id from now on.
    ///
    /// A peer in the file of --config is known again when the daemon restarts.
    Remove {
        /// Its name, as `dropd peers` shows it.
        name: String,
    },
}

#[derive(Debug, Args)]
struct RunArgs {
    /// YAML file with the same settings, and the peers.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Args)]
struct PullArgs {
    /// `<peer>/<path>`.
    path: String,
    /// Where to; by default a file of the same name here, or, over TCP, among the
    /// downloads of the daemon.
    #[arg(long, short)]
    output: Option<PathBuf>,
    /// Hash the bytes and drop them.
    #[arg(long, conflicts_with = "output")]
    hash: bool,
    /// How bytes are asked for.
    #[arg(long, value_enum, default_value_t = ModeArg::Push)]
    mode: ModeArg,
    /// Bytes per message or request; 0: the default.
    #[arg(long, default_value_t = 0)]
    chunk_bytes: u32,
    /// Requests in flight, for request-response; 0: the default.
    #[arg(long, default_value_t = 0)]
    depth: u32,
    /// Connections that share a push; 0: the default. For long fast links, where the
    /// buffers of one connection bind.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=i64::from(LANES_MAX)))]
    lanes: u32,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ModeArg {
    Push,
    RequestResponse,
}

/// Runs the command line; `args` begins with the program's name.
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Nowhere to complain when standard error is closed.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { WRONG_INPUT } else { 0 });
        }
    };
    let result = match cli.command {
        Command::Id(args) => run::id(args, &cli.global),
        Command::Run(args) => run::run(args, &cli.global),
        Command::Read { path, read_bytes, tell_at_bytes } => {
            run::read(&path, read_bytes, &tell_at_bytes)
        }
        asked => ask::ask(asked, &cli.global),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { exit_code, message }) => {
            if !message.is_empty() {
                eprintln!("dropd: {message}");
            }
            ExitCode::from(exit_code)
        }
    }
}

/// How a command ends when it does not end well.
#[derive(Debug)]
struct Failure {
    exit_code: u8,
    message: String,
}

impl Failure {
    fn new(exit_code: u8, message: impl ToString) -> Self {
        Self { exit_code, message: message.to_string() }
    }

    fn failed(message: impl ToString) -> Self {
        Self::new(FAILED, message)
    }
}

impl Global {
    /// Where the daemon to be asked is.
    fn address(&self) -> Result<ControlAddress, Failure> {
        let text = self.control.as_deref().filter(|text| !text.is_empty());
        let Some(text) = text else {
            let socket = Defaults::of_process().control_socket();
            let none = || Failure::new(WRONG_INPUT, "where is the daemon? use --control");
            return socket.map(ControlAddress::Unix).ok_or_else(none);
        };
        if text.contains('/') {
            return Ok(ControlAddress::Unix(text.into()));
        }
        let Some(file) = &self.control_token_file else {
            return Err(Failure::new(WRONG_INPUT, "TCP control needs --control-token-file"));
        };
        let token = std::fs::read_to_string(file)
            .map_err(|error| Failure::new(WRONG_INPUT, format!("{}: {error}", file.display())))?;
        Ok(ControlAddress::Tcp { address: text.to_owned(), token: token.trim().to_owned() })
    }
}

#[cfg(test)]
mod tests;
