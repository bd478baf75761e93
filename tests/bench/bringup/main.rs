//! What the testbed itself costs: `cargo bench --bench bringup -- --help`.
//!
//! Everything is timed as a user would: whole commands, from their start to their
//! end. Arms that are compared run in the same round in shuffled order.

use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use figures::{How, exit};

mod check;
mod command;
#[path = "../figures.rs"]
mod figures;
mod memory;
#[path = "../report.rs"]
#[allow(dead_code, reason = "every bench uses its own part of what they share")]
mod report;
mod stand;

/// Measures `dropbed` itself: bringing up and taking down, checking files, memory.
///
/// A figure is met or missed by its median; it is unsure when the interval reaches
/// across what is wanted, or there are fewer than six rounds.
#[derive(Debug, Parser)]
#[command(name = "bringup")]
struct Cli {
    /// Only these figures
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Which>,
    /// Only these runtimes
    #[arg(long, value_enum, value_delimiter = ',')]
    runtimes: Vec<command::Runtime>,
    #[command(flatten)]
    how: How,
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
    let cli = Cli::parse();
    exit(cli.how.measure(&cli.only, |which, plan| match which {
        Which::Stand => stand::measure(plan, &cli.runtimes),
        Which::Check => check::measure(plan),
        Which::Memory => memory::measure(plan),
    }))
}
