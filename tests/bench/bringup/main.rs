//! What the testbed itself costs: `cargo bench --bench bringup -- --help`.
//!
//! Everything is timed as a user would: whole commands, from their start to their
//! end. Arms that are compared run in the same round in shuffled order.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};

use report::{Figure, Plan, Report};

mod check;
mod command;
mod memory;
#[path = "../report.rs"]
#[allow(dead_code, reason = "every bench uses its own part of what they share")]
mod report;
mod stand;

/// Measures `dropbed` itself: bringing up and taking down, checking files, memory.
///
/// A figure is met or missed by its median; it is unsure when the interval reaches
/// across what is wanted.
#[derive(Debug, Parser)]
#[command(name = "bringup")]
struct Cli {
    /// Only these figures
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Which>,
    /// Only these runtimes
    #[arg(long, value_enum, value_delimiter = ',')]
    runtimes: Vec<command::Runtime>,
    /// Rounds of each figure instead of its own number; an interval takes 6
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: Option<u32>,
    /// Write every sample to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Fewer peers and rounds: whether it works, not what is published
    #[arg(long)]
    quick: bool,
    /// Fail when a figure is not as wanted
    #[arg(long)]
    gate: bool,
    /// Seed of the order of arms
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Cargo's mark of a benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// A group of figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Which {
    /// `up` to every link proven, and `down`, by the number of peers
    Stand,
    /// `validate` and `plan` of a small file and of a mesh of 1000 peers
    Check,
    /// Of the orchestrator with 32 peers and traces, and of an idle daemon
    Memory,
}

fn main() -> ExitCode {
    match measure(&Cli::parse()) {
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
    let plan = Plan { rounds: cli.rounds, quick: cli.quick, seed: cli.seed };
    let mut report = Report::new(&plan);
    println!("{}\n", report.host);
    for which in Which::value_variants() {
        if !cli.only.is_empty() && !cli.only.contains(which) {
            continue;
        }
        let load = report::load();
        let measured = match which {
            Which::Stand => stand::measure(&plan, &cli.runtimes),
            Which::Check => check::measure(&plan),
            Which::Memory => memory::measure(&plan),
        };
        // One figure that fails says nothing about the next.
        let name = which.to_possible_value().map_or_else(String::new, |v| v.get_name().to_owned());
        let mut figure = measured.unwrap_or_else(|error| Figure::failed(name, &error));
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
