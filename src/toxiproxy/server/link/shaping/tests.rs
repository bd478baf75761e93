use super::super::super::super::api::Millis;
use super::*;

fn latency(stream: Stream, ms: u64, jitter_ms: u64) -> Toxic {
    let mut toxic = Toxic::latency(stream, Millis::from_micros(ms * 1_000));
    let Effect::Latency(latency) = &mut toxic.effect else { unreachable!() };
    latency.jitter = Millis::from_micros(jitter_ms * 1_000);
    toxic
}

fn shaping(toxics: Vec<Toxic>, seed: u64, ordinal: u64) -> (watch::Sender<Arc<[Toxic]>>, Shaping) {
    let (sender, receiver) = watch::channel(toxics.into());
    let seed = FlowSeed::new(seed, "p", ordinal, Stream::Upstream);
    (sender, Shaping::new(receiver, Stream::Upstream, seed))
}

#[test]
fn latencies_of_one_stream_add_up() {
    let toxics = vec![
        latency(Stream::Upstream, 5, 0),
        latency(Stream::Downstream, 70, 0),
        latency(Stream::Upstream, 2, 0),
    ];
    let (_sender, mut shaping) = shaping(toxics, 1, 0);
    assert_eq!(shaping.delay_ns(), 7_000_000);
}

#[test]
fn a_change_is_taken_over() {
    let (sender, mut shaping) = shaping(Vec::new(), 1, 0);
    assert_eq!(shaping.delay_ns(), 0);
    assert_eq!(shaping.queue_bytes_max(), UNDELAYED_QUEUE_BYTES_MAX);
    sender.send_replace(vec![latency(Stream::Upstream, 50, 0)].into());
    shaping.refresh();
    assert_eq!(shaping.delay_ns(), 50_000_000);
    assert_eq!(shaping.queue_bytes_max(), 62_500_000);
}

#[test]
fn jitter_stays_in_its_range_and_follows_the_seed() {
    let draw = |seed, ordinal| {
        let (_sender, mut shaping) = shaping(vec![latency(Stream::Upstream, 10, 4)], seed, ordinal);
        (0..500).map(|_| shaping.delay_ns()).collect::<Vec<_>>()
    };
    let delays = draw(7, 3);
    assert!(delays.iter().all(|ns| (6_000_000..=14_000_000).contains(ns)));
    assert!(delays.iter().any(|ns| *ns < 7_000_000) && delays.iter().any(|ns| *ns > 13_000_000));
    assert_eq!(delays, draw(7, 3));
    assert_ne!(delays, draw(8, 3));
    assert_ne!(delays, draw(7, 4));
}

#[test]
fn toxicity_is_a_share_of_connections() {
    let mut toxic = latency(Stream::Upstream, 1, 0);
    toxic.toxicity = 0.25;
    let hit = (0..2_000).filter(|ordinal| {
        let (_sender, mut shaping) = shaping(vec![toxic.clone()], 42, *ordinal);
        shaping.delay_ns() > 0
    });
    // The seed is fixed, so this holds always or never.
    assert!((400..600).contains(&hit.count()));
}
