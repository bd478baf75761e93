//! `dropbed logs`.

use std::path::Path;

use clap::Args;
use futures::future::try_join_all;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{CHUNKS_MAX, Printer, ended, interrupted};
use crate::cli::dropbed::which::WhichArgs;
use crate::cli::exit::Exit;
use crate::testbed::live::FILE;
use crate::testbed::live::find::{OUT_DEFAULT, is_path};
use crate::testbed::parts::logs::{Wanted, finished, tell, tell_file};
use crate::testbed::parts::watch::over;
use crate::testbed::parts::{Part, Parts, VerbError};

const EXAMPLES: &str = "\
Examples:
  dropbed logs bob                       all that bob has said
  dropbed logs -f --tail 20              all peers, and what comes, until the topology ends
  dropbed logs proxy --tail 5
  dropbed logs --run runs/20260101-000000-two-peer     of a run that is over";

/// Arguments of `dropbed logs`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli::dropbed) struct LogsArgs {
    /// Of these peers (or `proxy`); without any, of all peers.
    peers: Vec<String>,
    /// Go on with what comes, until the topology ends or Ctrl-C.
    #[arg(short, long)]
    follow: bool,
    /// Begin with the last lines of each.
    #[arg(long, value_name = "LINES")]
    tail: Option<u64>,
    #[command(flatten)]
    which: WhichArgs,
}

pub(in crate::cli::dropbed) async fn run(arguments: LogsArgs) -> Exit {
    let (output, chunks) = mpsc::channel(CHUNKS_MAX);
    if let Some(directory) = over_directory(&arguments.which) {
        let logs = match finished(&directory, &arguments.peers) {
            Ok(logs) => logs,
            Err(error) => return ended(Err(error)),
        };
        let printing = Printer::new(logs.iter().map(|(name, _)| name.as_str())).print(chunks);
        let telling = async {
            let output = output;
            for (name, path) in &logs {
                tell_file(name, path, arguments.tail, &output).await?;
            }
            Ok(Exit::Pass)
        };
        return ended(tokio::join!(telling, printing).0);
    }
    tokio::select! {
        exit = live(arguments, output, chunks) => ended(exit),
        () = interrupted() => Exit::Interrupted,
    }
}

/// The directory of a run that is over, where one is named.
pub(super) fn over_directory(which: &WhichArgs) -> Option<std::path::PathBuf> {
    let run = which.run.as_deref()?;
    let below = which.out.as_deref().unwrap_or_else(|| Path::new(OUT_DEFAULT));
    let directory = if is_path(run) { Path::new(run).to_owned() } else { below.join(run) };
    (directory.is_dir() && !directory.join(FILE).exists()).then_some(directory)
}

async fn live(
    arguments: LogsArgs,
    output: mpsc::Sender<crate::testbed::parts::Chunk>,
    chunks: mpsc::Receiver<crate::testbed::parts::Chunk>,
) -> Result<Exit, VerbError> {
    let LogsArgs { peers, follow, tail, which } = arguments;
    let topology = Parts::open(&which.into()).await?;
    let parts = topology.named(&peers).await?;
    let printer = Printer::new(parts.iter().map(Part::name));
    let unread = printer.unread.clone();
    let printing = printer.print(chunks);
    let is_over = CancellationToken::new();
    let wanted = Wanted { tail, until: follow.then(|| is_over.clone()) };
    let telling = async {
        let output = output;
        try_join_all(parts.iter().map(|part| tell(part, &wanted, &output))).await
    };
    let watching = async {
        if follow && let Err(error) = over(&topology.found.directory).await {
            eprintln!("warning: the end of the topology cannot be watched: {error}");
            std::future::pending::<()>().await;
        }
        is_over.cancel();
    };
    let telling = async {
        let told = telling.await;
        // Nothing more is told, so nothing is to be waited for.
        is_over.cancel();
        told
    };
    let watching = async {
        tokio::select! {
            () = watching => {}
            () = is_over.cancelled() => {}
        }
    };
    tokio::select! {
        (told, (), ()) = async { tokio::join!(telling, printing, watching) } => {
            told.map(|_| Exit::Pass)
        }
        () = unread.cancelled() => Ok(Exit::Pass),
    }
}
