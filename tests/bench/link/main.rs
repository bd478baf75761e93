//! The figures of the bundled proxy, measured so that they can be published:
//! `cargo bench --bench link -- --help`.
//!
//! Both ends of every transfer are processes of their own, which this program
//! starts from itself. Arms that are compared run in the same round in shuffled
//! order, and ratios are taken within a round: what the machine does meanwhile
//! meets all of them.

use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use figures::{How, exit};
use role::Role;

mod bulk;
#[path = "../child.rs"]
mod child;
#[path = "../clock.rs"]
mod clock;
mod crowd;
mod curve;
mod delay;
#[path = "../figures.rs"]
mod figures;
mod forward;
mod idle;
mod jitter;
mod limits;
mod probe;
mod rate;
#[path = "../report.rs"]
mod report;
mod role;
#[path = "../sample.rs"]
mod sample;
mod server;
mod throughput;

/// Measures the bundled proxy, `dropbed toxiproxy`.
///
/// A figure is met or missed by its median; it is unsure when the interval reaches
/// across what is wanted, or there are fewer than six rounds.
///
/// DROPBED_TOXIPROXY_URL=http://HOST:PORT adds a stock Toxiproxy that runs on this
/// machine's own network as an arm of the throughput figure.
#[derive(Debug, Parser)]
#[command(name = "link")]
struct Cli {
    /// Only these figures
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Which>,
    #[command(flatten)]
    how: How,
    /// Process that a role must not outlive
    #[arg(long, hide = true)]
    parent: Option<u32>,
    #[command(subcommand)]
    role: Option<Role>,
}

/// A group of figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Which {
    /// Bytes per second against splice(2), and at 200 ms RTT
    Throughput,
    /// How far a message is from the asked delay
    #[value(alias = "latency")]
    Delay,
    /// Distribution of jitter, and whether a seed repeats it
    Jitter,
    /// How far a transfer is from the asked rate, and its bursts
    Rate,
    /// Memory of idle connections
    Idle,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.role {
        Some(role) => child::die_with(cli.parent).and_then(|()| role.play()).map(|()| true),
        None => measure(&cli),
    };
    exit(done)
}

fn measure(cli: &Cli) -> anyhow::Result<bool> {
    limits::raise_descriptors();
    cli.how.measure(&cli.only, |which, plan| match which {
        Which::Throughput => throughput::measure(plan),
        Which::Delay => delay::measure(plan),
        Which::Jitter => jitter::measure(plan),
        Which::Rate => rate::measure(plan),
        Which::Idle => idle::measure(plan),
    })
}
