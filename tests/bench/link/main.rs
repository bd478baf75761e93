//! The figures of the bundled proxy, measured so that they can be published:
//! `cargo bench --bench link -- --help`.
//!
//! Both ends of every transfer are processes of their own, which this program
//! starts from itself. Arms that are compared run in the same round in shuffled
//! order, and ratios are taken within a round: what the machine does meanwhile
//! meets all of them.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};

use report::{Figure, Plan, Report};
use role::Role;

mod bulk;
mod child;
mod clock;
mod crowd;
mod curve;
mod delay;
mod forward;
mod idle;
mod jitter;
mod limits;
mod probe;
mod rate;
#[path = "../report.rs"]
mod report;
mod role;
mod sample;
mod server;
mod throughput;

/// Measures the bundled proxy, `dropbed toxiproxy`.
///
/// A figure is met or missed by its median; it is unsure when the interval reaches
/// across what is wanted.
///
/// DROPBED_TOXIPROXY_URL=http://HOST:PORT adds a stock Toxiproxy that runs on this
/// machine's own network as an arm of the throughput figure.
#[derive(Debug, Parser)]
#[command(name = "link")]
struct Cli {
    /// Only these figures
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Which>,
    /// Rounds of each figure instead of its own number; an interval takes 6
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: Option<u32>,
    /// Write every sample to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Fewer bytes, messages and rounds: whether it works, not what is published
    #[arg(long)]
    quick: bool,
    /// Fail when a figure is not as wanted
    #[arg(long)]
    gate: bool,
    /// Seed of the order of arms and of the times of messages
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Cargo's mark of a benchmark
    #[arg(long, hide = true)]
    bench: bool,
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
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether everything is as wanted, or no gate was asked for.
fn measure(cli: &Cli) -> anyhow::Result<bool> {
    limits::raise_descriptors();
    let plan = Plan { rounds: cli.rounds, quick: cli.quick, seed: cli.seed };
    let mut report = Report::new(&plan);
    println!("{}\n", report.host);
    for which in Which::value_variants() {
        if !cli.only.is_empty() && !cli.only.contains(which) {
            continue;
        }
        let load = report::load();
        let measured = match which {
            Which::Throughput => throughput::measure(&plan),
            Which::Delay => delay::measure(&plan),
            Which::Jitter => jitter::measure(&plan),
            Which::Rate => rate::measure(&plan),
            Which::Idle => idle::measure(&plan),
        };
        // One figure that fails says nothing about the next.
        let mut figure =
            measured.unwrap_or_else(|error| Figure::failed(which_name(*which), &error));
        figure.note(load);
        println!("{figure}");
        report.figures.push(figure);
    }
    if let Some(path) = &cli.json {
        let text = serde_json::to_string_pretty(&report).context("cannot write the samples")?;
        fs::write(path, text + "\n")
            .with_context(|| format!("cannot write the samples to {}", path.display()))?;
    }
    let missed = report.missed();
    println!("{missed} of {} wanted are missed", report.wanted());
    Ok(missed == 0 || !cli.gate)
}

fn which_name(which: Which) -> String {
    which.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}
