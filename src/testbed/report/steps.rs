//! One row per step of a run with one turn.

use super::links::DRIFTED;
use super::{bytes, millis, styled};
use crate::testbed::result::{Epochs, RunResult, StepResult, TransferResult};

/// The table of steps.
pub(super) fn table(result: &RunResult) -> String {
    let header = [
        "step",
        "mode",
        "payload",
        "wall",
        "MB/s",
        "first byte",
        "bytes on link",
        "epochs",
        "longest pause at rekey",
        "BLAKE3",
    ];
    let rows = result
        .turns
        .iter()
        .filter(|turn| !turn.warmup)
        .flat_map(|turn| turn.steps.iter().map(move |step| (turn, step)))
        .map(|(turn, step)| match step {
            StepResult::Transfer(transfer) => {
                let drifted = turn.link(&transfer.link).is_some_and(|probe| probe.drifted);
                transfer_row(transfer, drifted)
            }
            StepResult::Rekey { name, wall_ns, before, after, .. } => {
                let mut row = vec![String::new(); header.len()];
                row[0].clone_from(name);
                row[1] = "rekey".into();
                row[3] = millis(*wall_ns);
                row[7] = epochs(*before, *after);
                row
            }
        })
        .collect();
    styled(header.map(String::from).to_vec(), rows, 2)
}

fn transfer_row(transfer: &TransferResult, drifted: bool) -> Vec<String> {
    let link_bytes = transfer.link_bytes.map_or_else(
        || "not counted".into(),
        |count| format!("{count} ({:.4}x)", count as f64 / transfer.bytes.max(1) as f64),
    );
    vec![
        transfer.name.clone(),
        mode(transfer),
        bytes(transfer.bytes),
        millis(transfer.wall_ns) + if drifted { DRIFTED } else { "" },
        format!("{:.1}", transfer.megabytes_per_s()),
        millis(transfer.first_byte_ns),
        link_bytes,
        transfer.before.zip(transfer.after).map(|(b, a)| epochs(b, a)).unwrap_or_default(),
        transfer.rekey_gap_ns_max.map(millis).unwrap_or_default(),
        if transfer.digest_equal { "equal" } else { "DIFFERS" }.into(),
    ]
}

/// How the bytes were asked for, with what distinguishes it.
fn mode(transfer: &TransferResult) -> String {
    let name = transfer.mode.name();
    let chunk = bytes(transfer.chunk_bytes.into());
    match (transfer.depth, transfer.lanes) {
        (0, 1) => format!("{name} ({chunk})"),
        (0, lanes) => format!("{name} ({chunk}, {lanes} lanes)"),
        (depth, _) => format!("{name} ({chunk} x{depth})"),
    }
}

/// Sent and received, before and after.
fn epochs(before: Epochs, after: Epochs) -> String {
    format!("{}/{} -> {}/{}", before.sent, before.received, after.sent, after.received)
}
