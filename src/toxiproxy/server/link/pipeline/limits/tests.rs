use super::super::super::super::super::api::{Effect, Latency, Millis, RateBytes, Stream, Toxic};
use super::super::super::super::toxics::LiveToxic;
use super::super::super::seed::ConnectionSeed;
use super::*;

fn limits(toxics: &[Toxic]) -> Limits {
    let live: Vec<LiveToxic> = (0..)
        .zip(toxics)
        .map(|(id, toxic)| LiveToxic { id, toxic: toxic.clone(), bucket: None })
        .collect();
    let mut acting = ActingToxics::new(ConnectionSeed::new(1, "p", 0), Stream::Upstream);
    acting.follow(&live, 0);
    Limits::of(&acting)
}

fn rate(bytes_per_s: u64) -> Toxic {
    Toxic::bandwidth(Stream::Upstream, RateBytes::from_bytes_per_s(bytes_per_s))
}

fn latency(ms: u64) -> Toxic {
    Toxic::latency(Stream::Upstream, Millis::from_micros(ms * 1_000))
}

#[test]
fn a_queue_holds_what_is_under_way() {
    assert_eq!(limits(&[]).queue_bytes_max, UNDELAYED_QUEUE_BYTES_MAX);
    // 10 Gbit/s for 50 ms.
    assert_eq!(limits(&[latency(50)]).queue_bytes_max, 62_500_000);
    assert_eq!(limits(&[latency(1)]).queue_bytes_max, DELAYED_QUEUE_BYTES_MIN);
    assert_eq!(limits(&[latency(10_000)]).queue_bytes_max, DELAYED_QUEUE_BYTES_MAX);
    // 1 Gbit/s for 300 ms is far within it.
    assert!(limits(&[latency(300)]).queue_bytes_max > 125_000_000 * 300 / 1_000);
}

#[test]
fn a_piece_is_a_millisecond_or_a_packet_and_never_long() {
    assert_eq!(limits(&[rate(125_000_000)]).quantum_bytes, 125_000);
    assert_eq!(limits(&[rate(1_250_000_000)]).quantum_bytes, QUANTUM_BYTES_MAX);
    assert_eq!(limits(&[rate(1_250_000)]).quantum_bytes, QUANTUM_BYTES_MIN);
    // 100 kbit/s: a packet would take 120 ms.
    assert_eq!(limits(&[rate(12_500)]).quantum_bytes, 62);
    assert_eq!(limits(&[rate(1)]).quantum_bytes, 1);
    assert_eq!(limits(&[rate(125_000), rate(12_500)]).quantum_bytes, 62, "the slowest counts");
}

#[test]
fn the_highest_rate_is_none() {
    let none = limits(&[Toxic::bandwidth(Stream::Upstream, RateBytes::MAX)]);
    assert!(!none.is_paced && none.slowest.is_none());
    let stalled = limits(&[rate(0)]);
    assert!(stalled.is_blocked() && stalled.is_paced);
    let jitter =
        Latency { latency: Millis::from_micros(40_000), jitter: Millis::from_micros(10_000) };
    let held = limits(&[Toxic::new(Stream::Upstream, Effect::Latency(jitter))]).queue_bytes_max;
    assert_eq!(held, 62_500_000, "the longest way counts");
}
