//! Figures as tables and as JSON; what all benches have in common.

use std::fmt;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};
use dropbed::testbed::stats::Summary;
use serde::Serialize;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) rounds: Option<u32>,
    pub(crate) quick: bool,
    pub(crate) seed: u64,
}

impl Plan {
    /// Rounds: those asked for, else one of these.
    pub(crate) fn rounds(&self, full: u32, quick: u32) -> u32 {
        self.rounds.unwrap_or(if self.quick { quick } else { full })
    }

    /// One of two sizes.
    pub(crate) const fn size(&self, full: u64, quick: u64) -> u64 {
        if self.quick { quick } else { full }
    }
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) host: String,
    seed: u64,
    is_quick: bool,
    pub(crate) figures: Vec<Figure>,
}

/// One table.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    name: String,
    rows: Vec<Row>,
    /// How it was measured, and what went wrong.
    notes: Vec<String>,
}

/// One quantity over all rounds.
#[derive(Debug, Serialize)]
struct Row {
    what: String,
    unit: &'static str,
    samples: Vec<f64>,
    /// None when nothing could be measured.
    summary: Option<Summary>,
    wanted: Option<Wanted>,
    /// Of the median; none when nothing is wanted.
    is_met: Option<bool>,
    /// Whether an end of the interval says otherwise, or there is none; none when nothing is
    /// wanted or was measured.
    is_unsure: Option<bool>,
}

/// Where a median should be.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Wanted {
    AtLeast(f64),
    AtMost(f64),
    Between(f64, f64),
}

impl Report {
    pub(crate) fn new(plan: &Plan) -> Self {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let system = rustix::system::uname();
        let build = if cfg!(debug_assertions) { "debug" } else { "release" };
        let host = format!(
            "dropbed {}, {build} build, {} {}, {cores} cores, seed {}{}",
            env!("CARGO_PKG_VERSION"),
            system.sysname().to_string_lossy(),
            system.release().to_string_lossy(),
            plan.seed,
            if plan.quick { ", quick: not for publication" } else { "" },
        );
        Self { host, seed: plan.seed, is_quick: plan.quick, figures: Vec::new() }
    }

    /// Rows of which something is wanted, and figures that failed.
    pub(crate) fn wanted(&self) -> usize {
        let wanted = |figure: &Figure| match figure.rows.is_empty() {
            true => 1,
            false => figure.rows.iter().filter(|row| row.is_met.is_some()).count(),
        };
        self.figures.iter().map(wanted).sum()
    }

    /// Those of them that are not as wanted.
    pub(crate) fn missed(&self) -> usize {
        let missed = |figure: &Figure| match figure.rows.is_empty() {
            true => 1,
            false => figure.rows.iter().filter(|row| row.is_met == Some(false)).count(),
        };
        self.figures.iter().map(missed).sum()
    }
}

/// How busy the machine is before a figure: what else runs is in every one of them.
pub(crate) fn load() -> String {
    match std::fs::read_to_string("/proc/loadavg") {
        Ok(load) => {
            let minute = load.split_whitespace().next().unwrap_or("unknown");
            format!("load of the machine in the minute before: {minute}")
        }
        Err(error) => format!("load of the machine in the minute before: unknown ({error})"),
    }
}

impl Figure {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), rows: Vec::new(), notes: Vec::new() }
    }

    /// One that could not be measured at all.
    pub(crate) fn failed(name: impl Into<String>, error: &anyhow::Error) -> Self {
        let mut figure = Self::new(name);
        figure.note(format!("not measured: {error:#}"));
        figure
    }

    /// Adds a quantity. Without a sample it counts as missed if something is wanted.
    pub(crate) fn row(
        &mut self,
        what: impl Into<String>,
        unit: &'static str,
        samples: &[f64],
        wanted: Option<Wanted>,
    ) {
        let summary = Summary::of(samples).ok();
        let is_met = wanted.map(|wanted| summary.is_some_and(|found| wanted.holds(found.median)));
        let interval = summary.and_then(|found| found.interval);
        let holds = |end| wanted.map(|wanted: Wanted| wanted.holds(end));
        let is_unsure = summary
            .and(is_met)
            .map(|_| interval.is_none_or(|ends| [ends.low, ends.high].map(holds) != [is_met; 2]));
        let samples = samples.to_vec();
        self.rows.push(Row {
            what: what.into(),
            unit,
            samples,
            summary,
            wanted,
            is_met,
            is_unsure,
        });
    }

    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }
}

impl Wanted {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
            Self::Between(least, most) => (least..=most).contains(&value),
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, ">= {}", number(*least)),
            Self::AtMost(most) => write!(f, "<= {}", number(*most)),
            Self::Between(least, most) => write!(f, "{} .. {}", number(*least), number(*most)),
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.name)?;
        if !self.rows.is_empty() {
            let mut table = Table::new();
            table.load_style(UTF8_BORDERS_ONLY);
            table.set_header(["", "median", "95 % interval", "n", "unit", "wanted", ""]);
            for column in 1..=3 {
                if let Some(column) = table.column_mut(column) {
                    column.set_cell_alignment(CellAlignment::Right);
                }
            }
            for row in &self.rows {
                table.add_row(row.cells());
            }
            writeln!(f, "{table}")?;
        }
        for note in &self.notes {
            writeln!(f, "  {note}")?;
        }
        Ok(())
    }
}

impl Row {
    fn cells(&self) -> [String; 7] {
        let summary = self.summary.as_ref();
        let interval = summary
            .and_then(|found| found.interval)
            .map(|interval| format!("{} .. {}", number(interval.low), number(interval.high)));
        [
            self.what.clone(),
            summary.map_or_else(|| "not measured".to_owned(), |found| number(found.median)),
            interval.unwrap_or_else(|| "-".to_owned()),
            self.samples.len().to_string(),
            self.unit.to_owned(),
            self.wanted.map_or_else(String::new, |wanted| wanted.to_string()),
            match (self.is_met, self.is_unsure.unwrap_or(false)) {
                (None, _) => "",
                (Some(true), false) => "met",
                (Some(true), true) => "met, unsure",
                (Some(false), false) => "MISSED",
                (Some(false), true) => "MISSED, unsure",
            }
            .to_owned(),
        ]
    }
}

/// Four digits are more than any of these figures carries.
fn number(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 1000.0 => 0,
        size if size >= 100.0 => 1,
        size if size >= 10.0 => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}
