//! `dropbed peer`.

use clap::{Args, Subcommand};
use futures::future::join_all;

use super::{disturbed, ended, interrupted, print_line};
use crate::cli::dropbed::which::WhichArgs;
use crate::cli::exit::Exit;
use crate::testbed::parts::restart::restart;
use crate::testbed::parts::{Action, Parts, VerbError};

const EXAMPLES: &str = "\
Examples:
  dropbed peer pause bob        bob answers nobody, and nobody is told
  dropbed peer unpause bob
  dropbed peer kill alice bob   SIGKILL: nothing is closed
  dropbed peer restart bob      with its identity and its files

A run (`dropbed run`) watches its peers, so killing or ending one ends it, with exit code 4, and \
none can be restarted; `dropbed up` makes topologies that can.

Exit codes: 0 done, 2 bad input, 3 nothing live, 4 the peer or the engine fails, 5 too slow.";

/// Arguments of `dropbed peer`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli::dropbed) struct PeerArgs {
    #[command(subcommand)]
    verb: PeerVerb,
    #[command(flatten)]
    which: WhichArgs,
}

#[derive(Debug, Subcommand)]
enum PeerVerb {
    /// End peers with SIGKILL: they close nothing.
    Kill(Named),
    /// End peers with SIGTERM, and wait until they have closed and unmounted everything.
    Term(Named),
    /// Stop peers in their tracks: connections stay open, and nothing answers.
    Pause(Named),
    /// Let paused peers go on.
    Unpause(Named),
    /// End peers and start them again, with their identity and their files.
    Restart(Named),
}

#[derive(Debug, Args)]
struct Named {
    /// Which.
    #[arg(required = true, value_name = "PEER")]
    peers: Vec<String>,
}

pub(in crate::cli::dropbed) async fn run(arguments: PeerArgs) -> Exit {
    tokio::select! {
        exit = carry_out(arguments) => ended(exit),
        () = interrupted() => Exit::Interrupted,
    }
}

async fn carry_out(arguments: PeerArgs) -> Result<Exit, VerbError> {
    let PeerArgs { verb, which } = arguments;
    let parts = disturbed(&which.into()).await?;
    let (action, Named { peers }) = match verb {
        PeerVerb::Kill(named) => (Action::Kill, named),
        PeerVerb::Term(named) => (Action::Term, named),
        PeerVerb::Pause(named) => (Action::Pause, named),
        PeerVerb::Unpause(named) => (Action::Unpause, named),
        PeerVerb::Restart(named) => return restart_all(parts, &named.peers).await,
    };
    let ends = matches!(action, Action::Kill | Action::Term);
    if ends && parts.live().phase.is_of_a_run() {
        eprintln!("note: the run {} ends with its first peer that does", parts.live().run_id);
    }
    // All of them are there, or nothing is done.
    let peers = parts.peers(&peers).await?;
    let done = join_all(peers.iter().map(|peer| async {
        // Before it is done: a run that ends with it has the reason in its history.
        parts.note(action.event(), peer.name());
        peer.act(action).await.map(|()| peer.name())
    }))
    .await;
    let mut exit = Exit::Pass;
    for result in done {
        match result {
            Ok(name) => print_line(&format!("{name}: {}", action.done())),
            Err(error) => exit = first(exit, ended(Err(error))),
        }
    }
    Ok(exit)
}

/// One after the other: each is introduced to the others again.
async fn restart_all(mut parts: Parts, names: &[String]) -> Result<Exit, VerbError> {
    parts.peers(names).await?;
    for name in names {
        for warning in restart(&mut parts, name).await? {
            eprintln!("warning: {warning}");
        }
        parts.note("peer_restart", name);
        print_line(&format!("{name}: restarted"));
    }
    Ok(Exit::Pass)
}

fn first(exit: Exit, next: Exit) -> Exit {
    if exit == Exit::Pass { next } else { exit }
}
