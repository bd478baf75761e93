//! `dropbed link`: the links of a run that goes on, or of any Toxiproxy server.

use clap::{Args, Subcommand};

use super::commands::{print, print_json};
use super::which::WhichArgs;
use crate::cli::exit::Exit;
use crate::testbed::live::change::Towards;
use crate::testbed::live::error::LinkError;
use crate::testbed::live::probe::{self, Expected};
use crate::testbed::live::site::{Site, Where};
use crate::testbed::live::table;
use crate::toxiproxy::api::Stream;

mod ask;

const EXAMPLES: &str = "\
Examples:
  dropbed run topologies/two-peer.yaml --hold         in one terminal
  dropbed link ls                                     in another
  dropbed link set bob:alice --rtt 100ms --jitter 5ms
  dropbed link set bob:alice --rate 1Mbit/s --direction down
  dropbed link set bob:alice --add limit_data -a bytes=65536 --stream down
  dropbed link probe bob:alice --as-set

Exit codes: 0 done (probe: the link is right), 1 the link is not what it should be, 2 bad input, \
3 no run is live, 4 the proxy or a peer does not answer.";

const THE_LINK: &str = "The link itself";

/// Arguments of `dropbed link`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct LinkArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// The HTTP API of any Toxiproxy server, instead of a run.
    #[arg(long, value_name = "URL", conflicts_with = "run", global = true)]
    proxy: Option<String>,
    #[command(subcommand)]
    command: LinkCommand,
}

#[derive(Debug, Subcommand)]
enum LinkCommand {
    /// All links: shape, other toxics, open connections, bytes each way.
    #[command(visible_alias = "list")]
    Ls {
        /// Print them as a JSON array.
        #[arg(long)]
        json: bool,
    },
    /// One link: its addresses, toxics, counters and connections.
    #[command(visible_alias = "inspect")]
    Show {
        /// `<dialler>:<listener>`, as `ls` shows it.
        link: String,
        /// Print it as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Change a link's shape, its other toxics, or whether it is there at all.
    Set(Box<SetArgs>),
    /// Measure a link through its own session, as a run does before each cell.
    Probe {
        /// `<dialler>:<listener>`, as `ls` shows it.
        link: String,
        /// Expect what the link's toxics say now, and not what the run asks for.
        #[arg(long)]
        as_set: bool,
        /// Print what was measured as JSON.
        #[arg(long)]
        json: bool,
    },
}

/// One change of one link.
#[derive(Debug, Args)]
pub(super) struct SetArgs {
    /// `<dialler>:<listener>`, as `ls` shows it.
    link: String,
    #[command(flatten, next_help_heading = "Shape")]
    shape: ShapeArgs,
    #[command(flatten, next_help_heading = "Toxics")]
    toxic: ToxicArgs,
    /// Listen again.
    #[arg(long, help_heading = THE_LINK, conflicts_with_all = ["disable", "shape", "toxic"])]
    enable: bool,
    /// Close the listener and all connections; toxics stay.
    #[arg(long, help_heading = THE_LINK, conflicts_with_all = ["shape", "toxic"])]
    disable: bool,
}

#[derive(Debug, Args)]
#[group(id = "shape", multiple = true, conflicts_with = "toxic")]
struct ShapeArgs {
    /// Delay there and back, half of it each way, such as 50ms.
    #[arg(long, value_name = "DURATION", value_parser = ask::rtt_us, conflicts_with = "latency")]
    rtt: Option<u64>,
    /// Delay one way, in each direction that is changed.
    #[arg(long, value_name = "DURATION", value_parser = ask::latency_us)]
    latency: Option<u64>,
    /// Uniform deviation to both sides, one way; at most the latency.
    #[arg(long, value_name = "DURATION", value_parser = ask::latency_us)]
    jitter: Option<u64>,
    /// Such as 10Mbit/s or 1.5MB/s; `unlimited` takes it off.
    #[arg(long, value_name = "RATE", value_parser = ask::rate)]
    rate: Option<ask::Rate>,
    /// Which direction: up is towards the listener.
    #[arg(long, value_enum, default_value_t)]
    direction: Towards,
}

#[derive(Debug, Args)]
#[group(id = "toxic", multiple = true)]
struct ToxicArgs {
    /// Add a toxic of this type: latency, bandwidth, slow_close, timeout, reset_peer,
    /// slicer, limit_data; of the bundled server also stall, blackhole, half_open,
    /// cut_after, slow_connect, corrupt, reset.
    #[arg(long, value_name = "TYPE", conflicts_with = "remove")]
    add: Option<String>,
    /// An attribute of the toxic, in the units of Toxiproxy's API (ms, KB/s, bytes).
    #[arg(short = 'a', long = "attribute", value_name = "KEY=VALUE", requires = "add",
          value_parser = ask::attribute)]
    attributes: Vec<ask::Attribute>,
    /// The stream that it acts on: `up` (client to server) or `down`, the default.
    #[arg(long, value_name = "up|down", requires = "add", value_parser = ask::stream)]
    stream: Option<Stream>,
    /// Share of connections that it acts on, 0 to 1.
    #[arg(long, value_name = "SHARE", requires = "add", value_parser = ask::toxicity)]
    toxicity: Option<f64>,
    /// Its name; `<type>_<stream>` by default.
    #[arg(long, requires = "add")]
    name: Option<String>,
    /// Remove the toxic of this name.
    #[arg(long, value_name = "NAME")]
    remove: Option<String>,
}

pub(super) async fn run(arguments: LinkArgs) -> Exit {
    let LinkArgs { which, proxy, command } = arguments;
    match carry_out(&Where { which: which.into(), proxy }, command).await {
        Ok(exit) => exit,
        Err(error) => {
            eprintln!("error: {error}");
            error.exit()
        }
    }
}

async fn carry_out(at: &Where, command: LinkCommand) -> Result<Exit, LinkError> {
    match command {
        LinkCommand::Ls { json } => {
            let views = Site::open(at).await?.links().await?;
            if json { print_json(&views) } else { print(&table::list(&views)) }
        }
        LinkCommand::Show { link, json } => {
            let view = Site::open(at).await?.link(&link).await?;
            if json { print_json(&view) } else { print(&table::whole(&view)) }
        }
        LinkCommand::Set(arguments) => {
            // What is wrong by itself is told whether or not a run is live.
            let action = ask::action(&arguments)?;
            let site = Site::open(at).await?;
            warn(&site);
            let mut done = Vec::new();
            let result = site.act(&arguments.link, &action, &mut done).await;
            for line in done {
                print(&format!("{line}\n"));
            }
            result?;
        }
        LinkCommand::Probe { link, as_set, json } => {
            let site = Site::open(at).await?;
            warn(&site);
            let expected = if as_set { Expected::Set } else { Expected::Asked };
            let verdict = probe::probe(&site, &link, expected).await?;
            if json {
                print_json(&verdict)
            } else {
                print(&table::verdict(&verdict))
            }
            return Ok(if verdict.is_right() { Exit::Pass } else { Exit::Assertion });
        }
    }
    Ok(Exit::Pass)
}

fn warn(site: &Site) {
    if let Some(warning) = site.disturbs() {
        eprintln!("warning: {warning}");
    }
}

#[cfg(test)]
mod tests;
