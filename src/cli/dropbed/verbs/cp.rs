//! `dropbed cp`.

use std::io::IsTerminal as _;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{disturbed, ended, interrupted};
use crate::cli::dropbed::which::WhichArgs;
use crate::cli::exit::Exit;
use crate::testbed::parts::VerbError;
use crate::testbed::parts::copy::{Side, check_here, copy, peer_of};

const EXAMPLES: &str = "\
Examples:
  dropbed cp bob:big.bin .                        out of bob's share
  dropbed cp song.ogg alice:                      into alice's share
  dropbed cp bob:/mnt/dropd/alice/big.bin x.bin   through bob's mount
  dropbed cp bob:/state/downloads ./downloads     a directory with all that is in it

PEER:PATH is as the peer sees it: /share, /state and /mnt/dropd, which for a process lead to its \
own directories; a relative path is below its share. Of a container any path. What is copied \
appears complete under its name, or not at all; a directory that is there is not replaced.";

/// Copies of less are over before a bar is read.
const BAR_FROM_BYTES: u64 = 8 << 20;

/// Arguments of `dropbed cp`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli::dropbed) struct CpArgs {
    /// What to copy: a path, or PEER:PATH.
    from: String,
    /// Where to: a directory, or a name in one; PEER:PATH when FROM is a path.
    to: String,
    #[command(flatten)]
    which: WhichArgs,
}

pub(in crate::cli::dropbed) async fn run(arguments: CpArgs) -> Exit {
    ended(carry(arguments).await)
}

async fn carry(arguments: CpArgs) -> Result<Exit, VerbError> {
    let CpArgs { from, to, which } = arguments;
    // What is wrong by itself is told whether or not a topology is live.
    let (from_side, to_side) = (Side::parse(&from)?, Side::parse(&to)?);
    let peer = peer_of(&from_side, &to_side)?;
    check_here(&from_side, &to_side)?;
    let parts = disturbed(&which.into()).await?;
    let bar = bar();
    let stop = CancellationToken::new();
    let progress = |bytes| {
        if bytes >= BAR_FROM_BYTES {
            bar.set_position(bytes);
        }
    };
    let mut copying = Box::pin(copy(&parts, &from_side, &to_side, progress, stop.clone()));
    let copied = tokio::select! {
        copied = &mut copying => copied,
        () = interrupted() => {
            stop.cancel();
            // What is not complete is removed before we go.
            let _interrupted = copying.await;
            return Ok(Exit::Interrupted);
        }
    };
    bar.finish_and_clear();
    copied?;
    parts.note_with("cp", json!({ "peer": peer, "from": from, "to": to }));
    Ok(Exit::Pass)
}

fn bar() -> ProgressBar {
    const REDRAWS_PER_S: u8 = 10;
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let target = ProgressDrawTarget::stderr_with_hz(REDRAWS_PER_S);
    let bar = ProgressBar::with_draw_target(None, target);
    bar.enable_steady_tick(Duration::from_secs(1) / u32::from(REDRAWS_PER_S));
    match ProgressStyle::with_template("{spinner} {bytes} {binary_bytes_per_sec}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
