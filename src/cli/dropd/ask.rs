//! Commands that ask a running daemon.

use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tonic::Code;

use super::{
    Command, FAILED, Failure, Global, INTERRUPTED, ModeArg, PeerCommand, PullArgs, WRONG_INPUT,
};
use crate::daemon::control_client::{ControlAddress, ControlClient, connect};
use crate::proto::control as wire;
use crate::proto::control::destination::To;
use crate::proto::control::transfer_event::Event;

/// For what a daemon knows by itself, in milliseconds: past this it is stopped or stuck.
const OWN_ANSWER_DEADLINE: Duration = Duration::from_secs(10);

/// For what it asks a peer, with its own bounds on dialling, on the answer and on new
/// keys (30 s) before this, so that it can tell which of them passed.
const PEER_ANSWER_DEADLINE: Duration = Duration::from_secs(90);

pub(super) fn ask(command: Command, global: &Global) -> Result<(), Failure> {
    let address = global.address()?;
    let json = global.json;
    Runtime::new().map_err(Failure::failed)?.block_on(async {
        let mut client = connect(&address).await.map_err(Failure::failed)?;
        let bound = bound(&command);
        let answered = answer(&mut client, &address, command, json);
        tokio::select! {
            done = within(bound, &address, answered) => done,
            interrupted = tokio::signal::ctrl_c() => {
                interrupted.map_err(Failure::failed)?;
                Err(Failure::new(INTERRUPTED, ""))
            }
        }
    })
}

/// What is asked for, in words, and how long a daemon has for its answer. None where
/// the work itself may take any time.
const fn bound(command: &Command) -> Option<(&'static str, Duration)> {
    match command {
        Command::Status => Some(("for its status", OWN_ANSWER_DEADLINE)),
        Command::Peers => Some(("for its peers", OWN_ANSWER_DEADLINE)),
        Command::Peer(_) => Some(("to change its peers", OWN_ANSWER_DEADLINE)),
        Command::Stop => Some(("to stop", OWN_ANSWER_DEADLINE)),
        Command::Ls { .. } => Some(("for a directory of a peer", PEER_ANSWER_DEADLINE)),
        Command::Rekey { .. } => Some(("to change keys", PEER_ANSWER_DEADLINE)),
        Command::Pull(_) | Command::Id(_) | Command::Run(_) | Command::Read { .. } => None,
    }
}

async fn within(
    bound: Option<(&str, Duration)>,
    address: &ControlAddress,
    answering: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let Some((what, deadline)) = bound else { return answering.await };
    let address = match address {
        ControlAddress::Unix(path) => lossy(path),
        ControlAddress::Tcp { address, .. } => address.clone(),
    };
    let late = || {
        Failure::failed(format!(
            "asked the daemon at {address} {what}: no answer within {deadline:?}; is its process \
             stopped? `kill -CONT` lets it go on, `kill -KILL` ends it"
        ))
    };
    timeout(deadline, answering).await.unwrap_or_else(|_| Err(late()))
}

async fn answer(
    client: &mut ControlClient,
    address: &ControlAddress,
    command: Command,
    json: bool,
) -> Result<(), Failure> {
    match command {
        Command::Status => {
            let status = client.status(wire::StatusRequest {}).await.map_err(refused)?;
            print_status(&status.into_inner(), json);
        }
        Command::Peers => {
            let peers = client.peers(wire::PeersRequest {}).await.map_err(refused)?;
            peers.into_inner().peers.iter().for_each(|peer| print_peer(peer, json));
        }
        Command::Ls { path } => {
            let (peer, path) = path.split_once('/').unwrap_or((&path, ""));
            let request = wire::ListRequest { peer: peer.to_owned(), path: path.to_owned() };
            let entries = client.list(request).await.map_err(refused)?;
            entries.into_inner().entries.iter().for_each(|entry| print_entry(entry, json));
        }
        Command::Pull(args) => pull(client, address, args, json).await?,
        Command::Rekey { peer, fold } => {
            let reply = client.rekey(wire::RekeyRequest { peer, fold }).await.map_err(refused)?;
            let wire::RekeyReply { epoch_sent: sent, epoch_received: received, folds } =
                reply.into_inner();
            if json {
                let shown =
                    json!({ "epoch_sent": sent, "epoch_received": received, "folds": folds });
                println!("{shown}");
            } else {
                println!("epochs: sent {sent}, received {received}; folds: {folds}");
            }
        }
        Command::Peer(PeerCommand::Remove { name }) => {
            let request = wire::RemovePeerRequest { name };
            client.remove_peer(request).await.map_err(refused)?;
        }
        Command::Stop => {
            client.stop(wire::StopRequest {}).await.map_err(refused)?;
        }
        Command::Id(_) | Command::Run(_) | Command::Read { .. } => {
            unreachable!("these ask no daemon and are done in `main`")
        }
    }
    Ok(())
}

async fn pull(
    client: &mut ControlClient,
    address: &ControlAddress,
    args: PullArgs,
    json: bool,
) -> Result<(), Failure> {
    let Some((peer, path)) = args.path.split_once('/') else {
        return Err(Failure::new(WRONG_INPUT, "the path must be <peer>/<path>"));
    };
    let to = destination(&args, path, address)?;
    let mode = match args.mode {
        ModeArg::Push => wire::Mode::Push,
        ModeArg::RequestResponse => wire::Mode::RequestResponse,
    };
    let request = wire::PullRequest {
        peer: peer.to_owned(),
        path: path.to_owned(),
        mode: mode.into(),
        chunk_bytes: args.chunk_bytes,
        depth: args.depth,
        destination: Some(wire::Destination { to: Some(to) }),
        rekey_at_bytes: Vec::new(),
        lanes: args.lanes,
    };
    // Drawn on standard error, and only on a terminal.
    let bar = if json { ProgressBar::hidden() } else { bar() };
    let mut events = client.pull(request).await.map_err(refused)?.into_inner();
    while let Some(event) = events.message().await.map_err(refused)? {
        match event.event {
            Some(Event::Progress(progress)) => {
                bar.set_length(progress.bytes_total);
                bar.set_position(progress.bytes);
            }
            Some(Event::Done(done)) => {
                bar.finish_and_clear();
                print_done(&done, json);
                return Ok(());
            }
            None => {}
        }
    }
    Err(Failure::failed("the daemon ended before the transfer did"))
}

/// Over TCP a daemon writes only among its own downloads: who asks may be anywhere.
fn destination(args: &PullArgs, path: &str, address: &ControlAddress) -> Result<To, Failure> {
    if args.hash {
        return Ok(To::HashOnly(true));
    }
    match (address, &args.output) {
        (ControlAddress::Unix(_), _) => output(args, path).map(To::Path),
        (ControlAddress::Tcp { .. }, None) => {
            let name = path.rsplit('/').next().unwrap_or(path);
            eprintln!("to `{name}` among the downloads of the daemon, in its state directory");
            Ok(To::Download(name.to_owned()))
        }
        (ControlAddress::Tcp { .. }, Some(_)) => Err(Failure::new(
            WRONG_INPUT,
            "over TCP the daemon writes only among its downloads; leave --output out, or use --hash",
        )),
    }
}

/// An absolute path, for the daemon runs elsewhere.
fn output(args: &PullArgs, path: &str) -> Result<String, Failure> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let output = args.output.clone().unwrap_or_else(|| PathBuf::from(name));
    let output = if output.is_dir() { output.join(name) } else { output };
    let absolute = std::path::absolute(&output)
        .map_err(|error| Failure::new(WRONG_INPUT, format!("{}: {error}", output.display())))?;
    let text = absolute.to_str().map(str::to_owned);
    text.ok_or_else(|| Failure::new(WRONG_INPUT, format!("{}: not UTF-8", lossy(&absolute))))
}

fn lossy(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn bar() -> ProgressBar {
    let template = "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    let style = ProgressStyle::with_template(template);
    let bar = ProgressBar::new(0);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn print_status(status: &wire::StatusReply, json: bool) {
    if json {
        let value = json!({
            "name": status.name, "id": status.id, "version": status.version,
            "listen_address": status.listen_address, "share_dir": status.share_dir,
            "mount_dir": status.mount_dir, "mounted": status.mounted,
            "uptime_ms": status.uptime_ms, "process_id": status.process_id,
            "peers": status.peers.iter().map(peer_value).collect::<Vec<_>>(),
        });
        println!("{value}");
        return;
    }
    println!("{} ({}), process {}", status.name, status.version, status.process_id);
    println!("id      {}", status.id);
    println!("listens {}", status.listen_address);
    println!("serves  {}", status.share_dir);
    println!("mount   {}", if status.mounted { &status.mount_dir } else { "none" });
    status.peers.iter().for_each(|peer| print_peer(peer, false));
}

fn peer_value(peer: &wire::PeerStatus) -> Value {
    json!({
        "name": peer.name, "id": peer.id, "address": peer.address,
        "connected": peer.connected, "last_error": peer.last_error,
    })
}

fn print_peer(peer: &wire::PeerStatus, json: bool) {
    if json {
        println!("{}", peer_value(peer));
        return;
    }
    let state = match (peer.connected, peer.last_error.as_str()) {
        (true, _) => "connected",
        (false, "") => "not dialled",
        (false, error) => error,
    };
    println!("peer    {} {} {} {state}", peer.name, peer.id, peer.address);
}

fn print_entry(entry: &wire::ListEntry, json: bool) {
    if json {
        let value = json!({
            "name": entry.name, "directory": entry.directory,
            "size_bytes": entry.size_bytes, "mtime_s": entry.mtime_s,
        });
        println!("{value}");
    } else if entry.directory {
        println!("{:>14} {}/", "-", entry.name.escape_debug());
    } else {
        println!("{:>14} {}", entry.size_bytes, entry.name.escape_debug());
    }
}

fn print_done(done: &wire::TransferDone, json: bool) {
    let digest: String = done.blake3.iter().map(|byte| format!("{byte:02x}")).collect();
    if json {
        let value = json!({
            "bytes": done.bytes, "wall_ns": done.wall_ns, "first_byte_ns": done.first_byte_ns,
            "gap_ns_max": done.gap_ns_max, "blake3": digest,
            "chunk_bytes": done.chunk_bytes, "depth": done.depth,
        });
        println!("{value}");
        return;
    }
    // Whole milliseconds are enough for eyes.
    println!("{} bytes in {} ms {digest}", done.bytes, done.wall_ns / 1_000_000);
}

/// Bad requests are the caller's to mend.
fn refused(status: tonic::Status) -> Failure {
    let exit_code = match status.code() {
        Code::InvalidArgument => WRONG_INPUT,
        _ => FAILED,
    };
    Failure::new(exit_code, status.message())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::dropd::Cli;

    fn command(words: &[&str]) -> Command {
        Cli::parse_from(std::iter::once("dropd").chain(words.iter().copied())).command
    }

    /// Its kernel still accepts connections.
    #[tokio::test(start_paused = true)]
    async fn a_stopped_daemon_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("control");
        let _silent = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let address = ControlAddress::Unix(socket);
        for words in [&["status"][..], &["peers"], &["ls", "a"], &["rekey", "a"], &["stop"]] {
            let mut client = connect(&address).await.unwrap();
            let command = command(words);
            let bound = bound(&command);
            let answered = answer(&mut client, &address, command, false);
            let failure = within(bound, &address, answered).await.unwrap_err();
            assert_eq!(failure.exit_code, FAILED);
            let text = failure.message;
            for word in ["control", "no answer within", "kill -CONT", bound.unwrap().0] {
                assert!(text.contains(word), "{words:?}: {text}");
            }
        }
    }

    #[test]
    fn a_pull_may_take_any_time() {
        assert!(bound(&command(&["pull", "a/f"])).is_none());
    }
}
