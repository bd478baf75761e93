//! Questions about sets of intervals `[start, end)`. Pure.

/// How long at least one interval lasts. Empty and reversed intervals count
/// nothing.
pub(super) fn union_ns(intervals: impl Iterator<Item = (u64, u64)>) -> u64 {
    let mut sorted: Vec<_> = intervals.filter(|(start, end)| start < end).collect();
    sorted.sort_unstable();
    let mut covered_ns = 0;
    let mut until_ns = 0;
    for (start, end) in sorted {
        covered_ns += end.saturating_sub(start.max(until_ns));
        until_ns = until_ns.max(end);
    }
    covered_ns
}

/// The most intervals of which no two overlap: always take the next to end
/// (Kleinberg & Tardos, Algorithm Design, section 4.1).
pub(super) fn disjoint_count(intervals: impl Iterator<Item = (u64, u64)>) -> u64 {
    let mut by_end: Vec<_> = intervals.map(|(start, end)| (end, start)).collect();
    by_end.sort_unstable();
    let mut count = 0;
    let mut free_from_ns = 0;
    for (end, start) in by_end {
        if start >= free_from_ns {
            count += 1;
            free_from_ns = end;
        }
    }
    count
}
