//! The command line that all benches share, and the loop over their figures.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use super::report::{Figure, Plan, Report, load};

/// How to measure, and what to do with it.
#[derive(Debug, Args)]
pub(crate) struct How {
    /// Rounds of each figure instead of its own number; an interval takes 6
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: Option<u32>,
    /// Write every sample to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Less of everything: whether it works, not what is published
    #[arg(long)]
    quick: bool,
    /// Fail when a figure is not as wanted
    #[arg(long)]
    gate: bool,
    /// Seed of the order of arms, and of all that is drawn
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Cargo's mark of a benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

impl How {
    /// Measures and prints the figures of these groups, or of all where none is
    /// named. Whether everything is as wanted, or no gate was asked for.
    pub(crate) fn measure<W: ValueEnum + PartialEq + 'static>(
        &self,
        only: &[W],
        mut measure: impl FnMut(&W, &Plan) -> anyhow::Result<Figure>,
    ) -> anyhow::Result<bool> {
        let plan = Plan { rounds: self.rounds, quick: self.quick, seed: self.seed };
        let mut report = Report::new(&plan);
        println!("{}\n", report.host);
        let wanted = |which: &&W| only.is_empty() || only.contains(which);
        for which in W::value_variants().iter().filter(wanted) {
            let load = load();
            // One figure that fails says nothing about the next.
            let mut figure = measure(which, &plan).unwrap_or_else(|error| {
                let value = which.to_possible_value();
                Figure::failed(value.map_or_else(String::new, |v| v.get_name().to_owned()), &error)
            });
            figure.note(load);
            println!("{figure}");
            report.figures.push(figure);
        }
        if let Some(path) = &self.json {
            let text = serde_json::to_string_pretty(&report).context("cannot write the samples")?;
            fs::write(path, text + "\n")
                .with_context(|| format!("cannot write the samples to {}", path.display()))?;
        }
        let missed = report.missed();
        println!("{missed} of {} wanted are missed", report.wanted());
        Ok(missed == 0 || !self.gate)
    }
}

/// What the program ends with; why not, on standard error.
pub(crate) fn exit(done: anyhow::Result<bool>) -> ExitCode {
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
