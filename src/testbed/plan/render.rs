//! A plan in words, for `dropbed plan`.

use std::fmt::Write as _;

use super::estimate::{rounded, seconds};
use super::needs::Network;
use super::{
    Entropy, LinkPlan, OneWay, PeerPlan, Plan, RateScope, Right, SamplePlan, Shape, StepPlan,
    TransferDestination, TransferPlan,
};
use crate::testbed::topology::units::{DurationUs, RateBits, SizeBytes};

/// Longer paths are cut off: one would make a whole column as wide.
const PATH_CHARS_MAX: usize = 60;

/// More rows of one kind than this tell nobody anything.
const ROWS_MAX: usize = 40;

/// The plan as JSON; equal plans give equal bytes.
pub fn json(plan: &Plan) -> String {
    let mut text = serde_json::to_string_pretty(plan)
        .expect("a plan holds only numbers, text and maps with text keys");
    text.push('\n');
    text
}

/// The plan in words: what would be started, with which privileges, and what
/// would be done. Deterministic.
pub fn render(plan: &Plan) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_plan(plan, &mut out);
    out
}

fn write_plan(plan: &Plan, out: &mut String) -> std::fmt::Result {
    writeln!(out, "{} (seed {})", plan.name, plan.seed)?;
    writeln!(out, "\npeers")?;
    capped(out, &plan.peers, "peers", peer_row);
    writeln!(out, "\nlinks (dialler -> listener; up is from the dialler)")?;
    capped(out, &plan.links, "links", link_row);
    if !plan.samples.is_empty() {
        writeln!(out, "\nfiles")?;
        capped(out, &plan.samples, "files", sample_row);
    }
    write_containers(plan, out)?;
    write_start(plan, out)?;
    write_cells(plan, out)?;
    write_runs(plan, out)?;
    write_estimate(plan, out)
}

/// What a container engine would be asked for.
fn write_containers(plan: &Plan, out: &mut String) -> std::fmt::Result {
    let peers = plan.peers.len();
    writeln!(out, "\nwith containers")?;
    writeln!(out, "  {} containers: {peers} peers and a proxy", peers + 1)?;
    writeln!(out, "  {} networks out of {}:", plan.networks.list.len(), plan.networks.range)?;
    let row = |network: &Network| {
        vec![
            format!("  {}", network.name),
            format!("/{}", network.prefix),
            match &network.peer {
                Some(peer) => format!("{peer} and the proxy"),
                None => "control and telemetry of all".to_owned(),
            },
        ]
    };
    capped(out, &plan.networks.list, "networks", row);
    let names = |wanted: Right| -> Vec<&str> {
        let rights = plan.rights.iter().filter(|rights| rights.right == wanted);
        rights.map(|rights| rights.peer.as_str()).collect()
    };
    match names(Right::Fuse).as_slice() {
        [] => {}
        peers => {
            writeln!(out, "  CAP_SYS_ADMIN, /dev/fuse, AppArmor unconfined: {}", enumerated(peers))?
        }
    }
    match names(Right::Privileged).as_slice() {
        [] => Ok(()),
        peers => writeln!(out, "  privileged, with all rights of the host: {}", enumerated(peers)),
    }
}

fn write_start(plan: &Plan, out: &mut String) -> std::fmt::Result {
    let stages: Vec<&str> = plan.start.iter().map(|stage| stage.name()).collect();
    writeln!(out, "\nstart\n  {}", stages.join(", then "))
}

fn write_estimate(plan: &Plan, out: &mut String) -> std::fmt::Result {
    let estimate = &plan.estimate;
    writeln!(out, "\nestimate (the least; a slower machine takes longer)")?;
    let row = |what: &str, start: u64, end: u64, all: u64| {
        vec![
            what.to_owned(),
            format!("{} up", seconds(start)),
            format!("{} of turns", seconds(estimate.turns_ms)),
            format!("{} down", seconds(end)),
            format!("{} in all", seconds(all)),
        ]
    };
    let (start, all) = (estimate.start_processes_ms, estimate.processes_ms());
    let processes = row("processes", start, estimate.end_processes_ms, all);
    let (start, all) = (estimate.start_containers_ms, estimate.containers_ms());
    let containers = row("containers", start, estimate.end_containers_ms, all);
    table(out, [processes, containers].into_iter());
    let (memory, disk) = (rounded(estimate.memory_bytes), rounded(estimate.disk_bytes));
    writeln!(out, "  {memory} of memory, {disk} of disk")?;
    for limit in &plan.limits {
        writeln!(out, "\nNOT ADVISED: {limit}")?;
    }
    Ok(())
}

fn write_cells(plan: &Plan, out: &mut String) -> std::fmt::Result {
    for cell in &plan.cells {
        let values: Vec<String> =
            cell.values.iter().map(|(name, value)| format!("{name}={value}")).collect();
        match values.as_slice() {
            [] => writeln!(out, "\nsteps")?,
            values => writeln!(out, "\nsteps with {}", values.join(" "))?,
        }
        let links = plan.links.iter().zip(cell.shapes.iter());
        let mut differing = links.filter(|(link, shape)| link.shape != **shape);
        for (link, shape) in differing.by_ref().take(ROWS_MAX) {
            writeln!(out, "  link {}: {}", link.name, shape_text(shape))?;
        }
        more(out, differing.count(), "links");
        table(out, cell.steps.iter().flat_map(|step| step_rows(plan, step)));
    }
    Ok(())
}

fn write_runs(plan: &Plan, out: &mut String) -> std::fmt::Result {
    let warmups = plan.order.iter().filter(|turn| turn.warmup).count();
    let counted = plan.order.len() - warmups;
    let cells = plan.cells.len();
    writeln!(out, "\nrun")?;
    writeln!(
        out,
        "  {}, {} each: {}, after {} to warm up",
        counted_noun(cells, "cell"),
        counted_noun(counted.checked_div(cells).unwrap_or(0), "time"),
        counted_noun(counted, "turn"),
        counted_noun(warmups, "turn"),
    )?;
    let order: Vec<String> = plan
        .order
        .iter()
        .map(|turn| format!("{}{}", turn.cell, if turn.warmup { "w" } else { "" }))
        .collect();
    let rest = order.len().saturating_sub(ROWS_MAX);
    let shown = order[..order.len() - rest].join(" ");
    match rest {
        0 => writeln!(out, "  order of cells: {shown}")?,
        rest => writeln!(out, "  order of cells: {shown} and {rest} more")?,
    }
    writeln!(out, "  ends after {} at the latest", DurationUs(plan.deadline_ms * 1000))
}

/// `1 cell`, `2 cells`.
fn counted_noun(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn peer_row(peer: &PeerPlan) -> Vec<String> {
    let rekey = peer.rekey_bytes.map_or_else(
        || "rekeys as the daemon does by default".to_owned(),
        |bytes| format!("rekeys every {}", SizeBytes(bytes)),
    );
    let environment: Vec<String> =
        peer.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
    vec![
        peer.name.clone(),
        if peer.mount { "mounts" } else { "no mount" }.to_owned(),
        rekey,
        environment.join(" "),
    ]
}

fn link_row(link: &LinkPlan) -> Vec<String> {
    vec![
        format!("{} -> {}", link.dialler, link.listener),
        shape_text(&link.shape),
        link.port.map_or_else(|| "no proxy port".to_owned(), |port| format!("proxy port {port}")),
    ]
}

fn sample_row(sample: &SamplePlan) -> Vec<String> {
    vec![
        format!("{}/{}", sample.peer, visible(&sample.path)),
        SizeBytes(sample.size_bytes).to_string(),
        match sample.entropy {
            Entropy::Random => String::new(),
            Entropy::Text | Entropy::Zeros => sample.entropy.name().to_owned(),
        },
    ]
}

/// A path on one line, with what cannot be seen written as an escape.
fn visible(path: &str) -> String {
    let plain = !path.contains("  ") && !path.split('/').any(|name| name.trim() != name);
    let seen =
        path.chars().all(|c| c == '\\' || c == '"' || c == '\'' || c.escape_debug().len() == 1);
    let visible = if plain && seen { path.to_owned() } else { format!("{path:?}") };
    match visible.char_indices().nth(PATH_CHARS_MAX) {
        Some((end, _)) => format!("{}... ({} bytes)", &visible[..end], path.len()),
        None => visible,
    }
}

/// Some names, and how many others there are.
fn enumerated(names: &[&str]) -> String {
    let rest = names.len().saturating_sub(ROWS_MAX);
    let shown = names[..names.len() - rest].join(", ");
    if rest == 0 { shown } else { format!("{shown} and {rest} more") }
}

fn shape_text(shape: &Shape) -> String {
    format!(
        "{} up, {} down, RTT {}",
        way_text(&shape.up),
        way_text(&shape.down),
        DurationUs(shape.rtt_us())
    )
}

/// `25ms`, or `25ms ±5ms at 10Mbit/s`.
pub(super) fn way_text(way: &OneWay) -> String {
    let mut text = DurationUs(way.latency_us).to_string();
    if way.jitter_us > 0 {
        text += &format!(" ±{}", DurationUs(way.jitter_us));
    }
    if let Some(bits) = way.rate_bits_per_s {
        text += &format!(" at {}", RateBits(bits));
        if way.rate_scope == RateScope::Connection {
            text += " per connection";
        }
    }
    text
}

/// Those that happen together are marked in front.
fn step_rows(plan: &Plan, step: &StepPlan) -> Vec<Vec<String>> {
    let mark = if matches!(step, StepPlan::Parallel { .. }) { "| " } else { "" };
    step.parts().iter().map(|part| step_row(plan, part, mark)).collect()
}

fn step_row(plan: &Plan, step: &StepPlan, mark: &str) -> Vec<String> {
    match step {
        StepPlan::Transfer(transfer) => vec![
            format!("{mark}{}", transfer.name),
            format!("{} -> {}", transfer.from, transfer.to),
            transfer.mode.name().to_owned(),
            visible(&plan.samples[transfer.sample].path),
            SizeBytes(plan.samples[transfer.sample].size_bytes).to_string(),
            transfer_details(transfer),
        ],
        StepPlan::Rekey { name, dialler, listener } => {
            vec![format!("{mark}{name}"), format!("{listener} -> {dialler}"), "rekey".to_owned()]
        }
        // They are not nested: the decoder refuses that.
        StepPlan::Parallel { .. } => Vec::new(),
    }
}

fn transfer_details(transfer: &TransferPlan) -> String {
    let mut details = Vec::new();
    details.extend(transfer.chunk_bytes.map(|bytes| format!("chunk {}", SizeBytes(bytes.into()))));
    details.extend(transfer.depth.map(|depth| format!("depth {depth}")));
    details.extend(transfer.lanes.map(|lanes| format!("lanes {lanes}")));
    if transfer.destination == TransferDestination::File {
        details.push("to a file".to_owned());
    }
    for permille in &transfer.rekey_at_permille {
        details.push(match permille % 10 {
            0 => format!("rekey at {}%", permille / 10),
            tenth => format!("rekey at {}.{tenth}%", permille / 10),
        });
    }
    if transfer.rekeys_min > 0 {
        details.push(format!("at least {} epochs", transfer.rekeys_min));
    }
    details.push(format!("within {}", DurationUs(transfer.deadline_ms * 1000)));
    details.join(", ")
}

/// A table of the first rows, and how many there are beyond them.
fn capped<T>(out: &mut String, all: &[T], noun: &str, row: impl Fn(&T) -> Vec<String>) {
    table(out, all.iter().take(ROWS_MAX).map(row));
    more(out, all.len().saturating_sub(ROWS_MAX), noun);
}

fn more(out: &mut String, count: usize, noun: &str) {
    if count > 0 {
        let _ = writeln!(out, "  and {count} more {noun} (`--json` has all)");
    }
}

/// Left-aligned columns, indented, without trailing blanks.
fn table(out: &mut String, rows: impl Iterator<Item = Vec<String>>) {
    let rows: Vec<Vec<String>> = rows.collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    for row in &rows {
        let mut line = String::from(" ");
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, " {cell:<width$} ");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
}
