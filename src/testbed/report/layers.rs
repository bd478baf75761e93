//! Time per layer: one column per transfer, one row per layer.

use super::{millis, styled};
use crate::testbed::layer_table::LayerTable;
use crate::testbed::result::{RunResult, StepResult, TransferResult};

/// The table of layers; empty when no step has one.
pub(super) fn table(result: &RunResult) -> String {
    let transfers: Vec<(&TransferResult, &LayerTable)> = result
        .turns
        .iter()
        .filter(|turn| !turn.warmup)
        .flat_map(|turn| &turn.steps)
        .filter_map(|step| match step {
            StepResult::Transfer(transfer) => {
                transfer.layers.as_ref().map(|layers| (&**transfer, layers))
            }
            StepResult::Rekey { .. } => None,
        })
        .collect();
    let Some((_, first)) = transfers.first() else { return String::new() };
    let mut header = vec!["time per layer".to_owned()];
    header.extend(transfers.iter().map(|(transfer, _)| transfer.name.clone()));
    let mut rows: Vec<Vec<String>> = (0..first.rows.len())
        .map(|index| {
            let mut row = vec![first.rows[index].part.name().to_owned()];
            row.extend(transfers.iter().map(|(_, table)| cell(table, index)));
            row
        })
        .collect();
    if transfers.iter().any(|(_, table)| table.excess_ns > 0) {
        let mut excess = vec!["- counted twice".to_owned()];
        excess.extend(transfers.iter().map(|(_, table)| millis(table.excess_ns)));
        rows.push(excess);
    }
    let mut wall = vec!["= wall time".to_owned()];
    wall.extend(transfers.iter().map(|(_, table)| millis(table.wall_ns)));
    rows.push(wall);
    styled(header, rows, 1)
}

fn cell(table: &LayerTable, index: usize) -> String {
    let row = &table.rows[index];
    let share = row.total_ns as f64 * 100.0 / table.wall_ns.max(1) as f64;
    format!("{} {share:>5.1} %", millis(row.total_ns))
}
