//! `dropbed events`.

use clap::Args;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::logs::over_directory;
use super::{CHUNKS_MAX, ended, interrupted, tell};
use crate::cli::dropbed::which::WhichArgs;
use crate::cli::exit::Exit;
use crate::testbed::parts::history::{follow, human, past};
use crate::testbed::parts::{EVENTS_FILE, Parts, VerbError};

const EXAMPLES: &str = "\
Examples:
  dropbed events                 what has happened since the start
  dropbed events -f              and what happens, a peer's end with its last log lines
  dropbed events -f --json | jq 'select(.event == \"peer_died\")'
  dropbed events --run runs/20260101-000000-two-peer   of a run that is over";

/// Arguments of `dropbed events`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli::dropbed) struct EventsArgs {
    /// Go on with what comes, until the topology ends or Ctrl-C.
    #[arg(short, long)]
    follow: bool,
    /// Print one JSON object a line, as in events.ndjson.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    which: WhichArgs,
}

pub(in crate::cli::dropbed) async fn run(arguments: EventsArgs) -> Exit {
    tokio::select! {
        exit = show(arguments) => ended(exit),
        () = interrupted() => Exit::Interrupted,
    }
}

async fn show(arguments: EventsArgs) -> Result<Exit, VerbError> {
    let EventsArgs { follow: follows, json, which } = arguments;
    let (output, mut lines) = mpsc::channel::<String>(CHUNKS_MAX);
    let unread = CancellationToken::new();
    let printing = async {
        while let Some(line) = lines.recv().await {
            let line = if json { line } else { human(&line) };
            // Nobody reads any more (`| head`).
            if tell(format!("{line}\n").as_bytes()).is_err() {
                unread.cancel();
            }
        }
    };
    let telling = async move {
        let output = output;
        if let Some(directory) = over_directory(&which) {
            return past(&directory.join(EVENTS_FILE), &output).await;
        }
        let parts = Parts::open(&which.into()).await?;
        if follows {
            follow(&parts, &output).await
        } else {
            past(&parts.events_file(), &output).await
        }
    };
    tokio::select! {
        (told, ()) = async { tokio::join!(telling, printing) } => told.map(|()| Exit::Pass),
        () = unread.cancelled() => Ok(Exit::Pass),
    }
}
