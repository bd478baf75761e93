//! `dropbed exec`.

use clap::Args;
use futures::future::join_all;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{CHUNKS_MAX, Printer, disturbed, ended, interrupted};
use crate::cli::dropbed::which::WhichArgs;
use crate::cli::exit::Exit;
use crate::testbed::parts::{Part, VerbError};

const EXAMPLES: &str = "\
Examples:
  dropbed exec bob -- dropd pull alice/big.bin
  dropbed exec alice,bob -- dropd status
  dropbed exec --all -- dropd peers --json

A process runs the command with the peer's environment in its directory; a container within \
itself, where only `dropd` and `dropbed` are. Its standard input is empty.

Exit codes: the command's own; of several peers the first, in the order given, that is not 0; 128 \
and its number for a signal; 127 where it cannot be started; 130 after Ctrl-C, which ends the \
commands first. Before that: 2 bad input, 3 nothing live, 4 the engine fails, 5 it does not answer.";

/// Arguments of `dropbed exec`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli::dropbed) struct ExecArgs {
    /// In which peers, with commas between.
    #[arg(value_delimiter = ',', required_unless_present = "all", conflicts_with = "all")]
    peers: Vec<String>,
    /// In all peers.
    #[arg(long)]
    all: bool,
    /// The command.
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<String>,
    #[command(flatten)]
    which: WhichArgs,
}

pub(in crate::cli::dropbed) async fn run(arguments: ExecArgs) -> Exit {
    ended(execute(arguments).await)
}

async fn execute(arguments: ExecArgs) -> Result<Exit, VerbError> {
    let ExecArgs { peers, all: _, command, which } = arguments;
    let parts = disturbed(&which.into()).await?;
    let peers = parts.peers(&peers).await?;
    let names: Vec<&str> = peers.iter().map(Part::name).collect();
    parts.note_with("exec", json!({ "peers": names, "command": command }));
    let (output, chunks) = mpsc::channel(CHUNKS_MAX);
    let printing = Printer::new(names.into_iter()).print(chunks);
    let stop = CancellationToken::new();
    let running = async {
        // The senders go with it, and the printing ends.
        let output = output;
        let commands = peers.iter().map(|part| part.exec(&command, output.clone(), stop.clone()));
        join_all(commands).await
    };
    let mut both = Box::pin(async { tokio::join!(running, printing).0 });
    let codes = tokio::select! {
        codes = &mut both => codes,
        () = interrupted() => {
            stop.cancel();
            both.await.into_iter().filter_map(Result::err).for_each(|error| {
                eprintln!("error: {error}");
            });
            return Ok(Exit::Interrupted);
        }
    };
    drop(both);
    Ok(exit(codes))
}

/// The first that is not 0; all errors are told.
fn exit(codes: Vec<Result<u8, VerbError>>) -> Exit {
    let exits = codes.into_iter().map(|code| ended(code.map(Exit::Command)));
    let exits: Vec<Exit> = exits.collect();
    exits.into_iter().find(|exit| exit.code() != 0).unwrap_or(Exit::Pass)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_code_that_is_not_0_counts() {
        assert_eq!(exit(vec![Ok(0), Ok(0)]), Exit::Pass);
        assert_eq!(exit(vec![Ok(0), Ok(7), Ok(9)]).code(), 7);
        let failed = || Err(VerbError::Failed("gone".to_owned()));
        assert_eq!(exit(vec![Ok(0), failed(), Ok(9)]), Exit::Harness);
    }
}
