//! What must hold of every step, as sentences that say what did not. Pure.

use crate::testbed::plan::TransferPlan;
use crate::testbed::result::{StepResult, TransferResult};

/// Framing of HTTP/2, gRPC and records costs some hundredths of a percent. More
/// than this, and something was sent twice.
const LINK_BYTES_RATIO_MAX: f64 = 1.02;

/// Allowed whatever the payload: opening a session and asking for a small file
/// costs this much at most, and would be above any ratio of a small payload.
const LINK_BYTES_FIXED_MAX: u64 = 64 * 1024;

/// A change of keys may hold the byte stream up for a round trip, in which
/// nothing was asked for, plus this much for a busy machine.
const REKEY_PAUSE_MS_MAX: u64 = 50;

/// Failed assertions of one transfer of a file of `size_bytes`; none when all hold.
pub(super) fn transfer(
    plan: &TransferPlan,
    size_bytes: u64,
    result: &TransferResult,
) -> Vec<String> {
    let name = &result.name;
    let mut failures = Vec::new();
    if !result.digest_equal {
        failures.push(format!("{name}: BLAKE3 of the received bytes differs from the source's"));
    }
    // The payload that the reader tells is what the link's bytes are held against.
    if result.bytes != size_bytes {
        failures.push(format!("{name}: {} bytes arrived of a file of {size_bytes}", result.bytes));
    }
    if let Some(link_bytes) = result.link_bytes {
        failures.extend(link_bytes_fault(result, link_bytes));
    }
    let epochs = result.before.zip(result.after);
    let rekeys = epochs.map_or(0, |(before, after)| after.sum().saturating_sub(before.sum()));
    if rekeys < u64::from(plan.rekeys_min) {
        failures.push(format!(
            "{name}: expected at least {} rekeys during the transfer, counted {rekeys}",
            plan.rekeys_min
        ));
    }
    if let Some(lanes) = plan.lanes.filter(|lanes| *lanes != result.lanes) {
        failures.push(format!(
            "{name}: {lanes} lanes were to share the transfer, it had {}",
            result.lanes
        ));
    }
    if let Some(gap_ns) = result.rekey_gap_ns_max {
        let limit_ns = result.rtt_measured_us * 1_000 + REKEY_PAUSE_MS_MAX * 1_000_000;
        if gap_ns > limit_ns {
            failures.push(format!(
                "{name}: the byte stream paused for {:.1} ms at a rekey, more than one RTT plus \
                 {REKEY_PAUSE_MS_MAX} ms ({:.1} ms)",
                gap_ns as f64 / 1e6,
                limit_ns as f64 / 1e6
            ));
        }
    }
    failures
}

/// Failed assertions of a rekey by itself.
pub(super) fn rekey(result: &StepResult) -> Vec<String> {
    let StepResult::Rekey { name, before, after, .. } = result else {
        return Vec::new();
    };
    if after.sent > before.sent && after.received > before.received {
        return Vec::new();
    }
    vec![format!(
        "{name}: both directions must reach a later epoch, went from {}/{} to {}/{}",
        before.sent, before.received, after.sent, after.received
    )]
}

fn link_bytes_fault(result: &TransferResult, link_bytes: u64) -> Option<String> {
    let payload = result.bytes;
    if link_bytes < payload {
        return Some(format!(
            "{}: only {link_bytes} of {payload} bytes crossed the link {}: the rest went round the proxy",
            result.name, result.link
        ));
    }
    let limit = (payload as f64 * LINK_BYTES_RATIO_MAX)
        .max(payload.saturating_add(LINK_BYTES_FIXED_MAX) as f64);
    (link_bytes as f64 >= limit).then(|| {
        format!(
            "{}: {link_bytes} bytes crossed the link {} for {payload} bytes of payload: \
             something was sent more than once",
            result.name, result.link
        )
    })
}

#[cfg(test)]
mod tests;
