//! A plan in words, for `dropbed plan`.

use std::fmt::Write as _;

use super::{
    LinkPlan, OneWay, PeerPlan, Plan, RateScope, Shape, StepPlan, TransferDestination, TransferPlan,
};
use crate::testbed::topology::units::{DurationUs, RateBits, SizeBytes};

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
    table(out, plan.peers.iter().map(peer_row));
    writeln!(out, "\nlinks (dialler -> listener; up is from the dialler)")?;
    table(out, plan.links.iter().map(link_row));
    if !plan.samples.is_empty() {
        writeln!(out, "\nfiles")?;
        let row = |sample: &super::SamplePlan| {
            vec![
                format!("{}/{}", sample.peer, sample.path),
                SizeBytes(sample.size_bytes).to_string(),
            ]
        };
        table(out, plan.samples.iter().map(row));
    }
    write_needs(plan, out)?;
    write_cells(plan, out)?;
    write_runs(plan, out)
}

/// What a container engine would be asked for.
fn write_needs(plan: &Plan, out: &mut String) -> std::fmt::Result {
    let peers = plan.peers.len();
    writeln!(out, "\nwith containers")?;
    writeln!(out, "  {} containers: {peers} peers and a proxy", peers + 1)?;
    writeln!(out, "  {} networks: one for each peer, and one for control", peers + 1)?;
    let names = |wanted: &dyn Fn(&PeerPlan) -> bool| -> String {
        let names: Vec<&str> =
            plan.peers.iter().filter(|peer| wanted(peer)).map(|peer| peer.name.as_str()).collect();
        names.join(", ")
    };
    let least = names(&|peer| peer.mount && !peer.privileged);
    if !least.is_empty() {
        writeln!(out, "  CAP_SYS_ADMIN, /dev/fuse, AppArmor unconfined: {least}")?;
    }
    let privileged = names(&|peer| peer.privileged);
    if !privileged.is_empty() {
        writeln!(out, "  privileged, with all rights of the host: {privileged}")?;
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
        for (link, shape) in plan.links.iter().zip(&cell.shapes) {
            if link.shape != *shape {
                writeln!(out, "  link {}: {}", link.name, shape_text(shape))?;
            }
        }
        table(out, cell.steps.iter().map(|step| step_row(plan, step)));
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
    /// More turns than this tell nobody anything.
    const TURNS_SHOWN_MAX: usize = 40;
    let rest = order.len().saturating_sub(TURNS_SHOWN_MAX);
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
        format!("proxy port {}", link.port),
    ]
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
fn way_text(way: &OneWay) -> String {
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

fn step_row(plan: &Plan, step: &StepPlan) -> Vec<String> {
    match step {
        StepPlan::Transfer(transfer) => vec![
            transfer.name.clone(),
            format!("{} -> {}", transfer.from, transfer.to),
            transfer.mode.name().to_owned(),
            plan.samples[transfer.sample].path.clone(),
            SizeBytes(plan.samples[transfer.sample].size_bytes).to_string(),
            transfer_details(transfer),
        ],
        StepPlan::Rekey { name, dialler, listener } => {
            vec![name.clone(), format!("{listener} -> {dialler}"), "rekey".to_owned()]
        }
    }
}

fn transfer_details(transfer: &TransferPlan) -> String {
    let mut details = Vec::new();
    details.extend(transfer.chunk_bytes.map(|bytes| format!("chunk {}", SizeBytes(bytes.into()))));
    details.extend(transfer.depth.map(|depth| format!("depth {depth}")));
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
