//! Tables of a result, as text. Pure: a result in, text out.

mod layers;
mod links;
mod steps;
mod sweep;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};

use super::result::{Outcome, RunResult};

/// Everything a person wants to see of a result.
pub fn render(result: &RunResult) -> String {
    let mut parts = Vec::new();
    if result.turns.iter().filter(|turn| !turn.warmup).count() == 1 {
        parts.push(links::probes(result));
        parts.push(steps::table(result));
        parts.push(layers::table(result));
        parts.push(one_read(result));
    } else if !result.turns.is_empty() {
        parts.push(sweep::table(result));
    }
    parts.push(links::notes(result));
    parts.push(verdict(result));
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n")
}

fn one_read(result: &RunResult) -> String {
    result.one_read_trace.as_ref().map_or_else(String::new, |trace| {
        format!("one read through the mount, at both peers:\n{}", trace.trim_end())
    })
}

/// The last line, with every reason before it.
fn verdict(result: &RunResult) -> String {
    let mut lines: Vec<String> =
        result.warnings.iter().map(|warning| format!("warning: {warning}")).collect();
    lines.extend(result.reasons.iter().map(|reason| format!("{}: {reason}", word(result.outcome))));
    let turns = result.turns.len();
    lines.push(format!(
        "{}: {} in {:.1} s, {turns} turn{}, seed {}, runtime {}, {} build, {} CPUs, proxy {}",
        word(result.outcome),
        result.name,
        result.wall_ms as f64 / 1e3,
        if turns == 1 { "" } else { "s" },
        result.seed,
        result.runtime,
        result.host.build,
        result.host.cpus,
        result.host.proxy,
    ));
    lines.join("\n")
}

const fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "pass",
        Outcome::Fail => "FAIL",
        Outcome::Error => "ERROR",
        Outcome::TimedOut => "TIMED OUT",
        Outcome::Interrupted => "interrupted",
    }
}

/// A table in the one style; the first `left` columns hold text, the others figures.
pub(super) fn styled(header: Vec<String>, rows: Vec<Vec<String>>, left: usize) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY).set_header(header).add_rows(rows);
    for (index, column) in table.column_iter_mut().enumerate() {
        let alignment = if index < left { CellAlignment::Left } else { CellAlignment::Right };
        column.set_cell_alignment(alignment);
    }
    table.trim_fmt()
}

/// Milliseconds with three digits that matter.
fn millis(ns: u64) -> String {
    let ms = ns as f64 / 1e6;
    match ms {
        ms if ms >= 1_000.0 => format!("{ms:.0} ms"),
        ms if ms >= 100.0 => format!("{ms:.1} ms"),
        ms => format!("{ms:.2} ms"),
    }
}

/// Bytes in the largest binary unit that keeps them readable.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    for (unit, name) in UNITS {
        if count >= unit && count.is_multiple_of(unit) {
            return format!("{} {name}", count / unit);
        }
        if count >= unit * 10 {
            return format!("{:.1} {name}", count as f64 / unit as f64);
        }
    }
    format!("{count} B")
}

#[cfg(test)]
mod tests;
