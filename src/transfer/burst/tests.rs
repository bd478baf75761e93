use futures::StreamExt as _;

use super::*;

fn part(bytes: usize) -> wire::BurstPart {
    wire::BurstPart { data: vec![1; bytes].into(), timed: true }
}

#[test]
fn time_runs_from_the_first_timed_part() {
    let mut arrivals = Arrivals::default();
    assert_eq!(arrivals.arrived(), Arrived::default());
    let lead_in = wire::BurstPart { timed: false, ..part(10) };
    arrivals.take(&lead_in, 100, 50, 40).unwrap();
    assert_eq!(arrivals.arrived(), Arrived { bytes: 10, wire_bytes: 0, span_ns: 0 });
    arrivals.take(&part(10), 1_000, 500, 40).unwrap();
    assert_eq!(arrivals.arrived(), Arrived { bytes: 20, wire_bytes: 0, span_ns: 0 });
    arrivals.take(&part(10), 4_000, 530, 40).unwrap();
    arrivals.take(&lead_in, 5_000, 565, 40).unwrap();
    assert_eq!(arrivals.arrived(), Arrived { bytes: 40, wire_bytes: 65, span_ns: 4_000 });
}

#[test]
fn a_burst_has_an_end() {
    let mut arrivals = Arrivals::default();
    assert!(arrivals.take(&part(0), 0, 0, 30).is_err());
    arrivals.take(&part(30), 0, 0, 30).unwrap();
    assert!(arrivals.take(&part(1), 0, 0, 30).unwrap_err().contains("30 bytes"));
    assert!(check(0).is_err() && check(limits::BURST_BYTES_MAX + 1).is_err());
    assert!(check(1).is_ok() && check(limits::BURST_BYTES_MAX).is_ok());
}

#[tokio::test]
async fn parts_add_up() {
    for bytes in [1, 1_023, 1_025, 100_000, 5_000_001, limits::BURST_BYTES_MAX] {
        let lengths: Vec<usize> = parts(bytes).map(|part| part.data.len()).collect().await;
        assert_eq!(lengths.iter().map(|&length| length as u64).sum::<u64>(), bytes);
        assert!(lengths.iter().all(|&length| 0 < length && length <= 64 << 10), "{bytes}");
        // Many parts, or small ones.
        assert!(lengths.len() >= 64 || lengths[0] <= 1 << 10, "{bytes}: {lengths:?}");
    }
}

#[tokio::test]
async fn a_quarter_leads_in() {
    for bytes in [16 << 10, 100_000, limits::BURST_BYTES_MAX] {
        let (mut lead_in, mut timed) = (0, 0);
        let mut parts = std::pin::pin!(parts(bytes));
        while let Some(part) = parts.next().await {
            assert!(part.timed || timed == 0, "once timed, always timed");
            *if part.timed { &mut timed } else { &mut lead_in } += part.data.len() as u64;
        }
        assert!((bytes / 4..bytes / 3).contains(&lead_in), "{bytes}: {lead_in}, then {timed}");
    }
}
