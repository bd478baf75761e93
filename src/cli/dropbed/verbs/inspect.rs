//! `dropbed inspect`.

use clap::Args;
use serde_json::json;

use super::ended;
use crate::cli::dropbed::commands::{print, print_json};
use crate::cli::dropbed::which::WhichArgs;
use crate::cli::exit::Exit;
use crate::testbed::parts::view::{inspect, links, table};
use crate::testbed::parts::{Parts, VerbError};

const EXAMPLES: &str = "\
Examples:
  dropbed inspect                      every part, every link
  dropbed inspect bob --json
  dropbed inspect --link bob:alice     its addresses, as peer, proxy and host see them";

/// Arguments of `dropbed inspect`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli::dropbed) struct InspectArgs {
    /// Only these peers (or `proxy`), and their links.
    peers: Vec<String>,
    /// Only this link: `a:b` or `a->b`, the dialler first.
    #[arg(long, value_name = "LINK", conflicts_with = "peers")]
    link: Option<String>,
    /// Print an object with `parts` and `links`.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    which: WhichArgs,
}

pub(in crate::cli::dropbed) async fn run(arguments: InspectArgs) -> Exit {
    ended(show(arguments).await)
}

async fn show(arguments: InspectArgs) -> Result<Exit, VerbError> {
    let InspectArgs { peers, link, json, which } = arguments;
    let parts = Parts::open(&which.into()).await?;
    let links = links(&parts, &peers, link.as_deref())?;
    let views = match link {
        Some(_) => Vec::new(),
        None => inspect(&parts, &peers).await?,
    };
    if json {
        let live = parts.live();
        print_json(&json!({
            "name": live.name, "run_id": live.run_id, "runtime": live.runtime,
            "phase": live.phase, "directory": parts.found.directory,
            "parts": views, "links": links,
        }));
    } else {
        print(&table::inspected(&views, &links));
    }
    Ok(Exit::Pass)
}
