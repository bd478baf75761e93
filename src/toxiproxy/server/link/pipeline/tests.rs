//! Any toxics in any order, under traffic, with a virtual clock.

use std::sync::Arc;

use proptest::prelude::*;

use super::super::super::super::api::{
    Bandwidth, Effect, Latency, Millis, RateBytes, RateScope, Toxic,
};
use super::super::super::bucket::Bucket;
use super::*;

const MS: u64 = 1_000_000;

fn ms(ms: u64) -> Millis {
    Millis::from_micros(ms * 1_000)
}

fn live(id: u64, effect: Effect) -> LiveToxic {
    let bucket = matches!(effect, Effect::Bandwidth(_)).then(|| Arc::new(Bucket::default()));
    let mut toxic = Toxic::new(Stream::Upstream, effect);
    toxic.name = format!("t{id}");
    LiveToxic { id, toxic, bucket }
}

fn latency(latency_ms: u64, jitter_ms: u64) -> Effect {
    Effect::Latency(Latency { latency: ms(latency_ms), jitter: ms(jitter_ms) })
}

fn rate(bytes_per_s: u64) -> Effect {
    let rate = RateBytes::from_bytes_per_s(bytes_per_s);
    Effect::Bandwidth(Bandwidth { rate, scope: RateScope::Link, bucket: None })
}

fn pipeline(toxics: &[LiveToxic]) -> Pipeline {
    let mut pipeline = Pipeline::new(&ConnectionSeed::new(1, "p", 0), Stream::Upstream);
    pipeline.follow(toxics, 0);
    pipeline
}

/// A pipeline with a receiver that takes everything as soon as it is due.
struct Run {
    pipeline: Pipeline,
    now_ns: u64,
    sent: usize,
    /// When each byte was received.
    received_ns: Vec<u64>,
    ended: Option<End>,
}

fn pattern(position: usize) -> u8 {
    u8::try_from(position % 251).unwrap()
}

impl Run {
    fn new(toxics: &[LiveToxic]) -> Self {
        let pipeline = pipeline(toxics);
        Self { pipeline, now_ns: 1, sent: 0, received_ns: Vec::new(), ended: None }
    }

    /// Sends up to `bytes`, as far as there is room.
    fn send(&mut self, bytes: usize) {
        let bytes = bytes.min(self.pipeline.room_bytes());
        if bytes > 0 {
            let chunk: Vec<u8> = (self.sent..self.sent + bytes).map(pattern).collect();
            self.sent += bytes;
            self.pipeline.arrive(chunk.into(), self.now_ns);
            self.receive();
        }
    }

    fn receive(&mut self) {
        loop {
            self.pipeline.shape(self.now_ns);
            let mut slices = [IoSlice::new(&[]); 3];
            let (count, bytes) = self.pipeline.due(self.now_ns, &mut slices);
            if count == 0 {
                break;
            }
            for &byte in slices[..count].iter().flat_map(|slice| slice.iter()) {
                assert_eq!(byte, pattern(self.received_ns.len()), "order or content");
                self.received_ns.push(self.now_ns);
            }
            self.pipeline.advance(bytes);
        }
        self.ended = self.ended.or_else(|| self.pipeline.due_end(self.now_ns));
    }

    /// Lets time pass, from event to event.
    fn pass(&mut self, until_ns: u64) {
        while self.ended.is_none() && self.pipeline.cut(self.now_ns).is_none() {
            let next_ns = self.pipeline.next_ns(false);
            let Some(next_ns) = next_ns.filter(|ns| *ns <= until_ns) else { break };
            let before = (self.now_ns, self.received_ns.len(), self.pipeline.intake_bytes);
            self.now_ns = self.now_ns.max(next_ns);
            self.receive();
            let after = (self.now_ns, self.received_ns.len(), self.pipeline.intake_bytes);
            let is_over = self.ended.is_some() || self.pipeline.cut(self.now_ns).is_some();
            assert!(before != after || is_over, "an event without effect: a busy loop");
        }
        self.now_ns = self.now_ns.max(until_ns);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Send { bytes: usize },
    Pass { ms: u64 },
    Add { effect: Effect },
    Update { pick: usize, effect: Effect },
    Remove { pick: usize },
}

fn gentle() -> impl Strategy<Value = Effect> {
    prop_oneof![
        (0u64..50, 0u64..50).prop_map(|(a, b)| latency(a.max(b), a.min(b))),
        (1_000u64..10_000_000).prop_map(rate),
        Just(rate(0)),
        Just(rate(RateBytes::MAX.bytes_per_s())),
        (0u64..50).prop_map(|delay| Effect::SlowClose { delay: ms(delay) }),
        (1u64..2_000, 0u64..2_000, 0u64..2).prop_map(|(average, variation, delay)| {
            let size_variation_bytes = variation.min(average - 1);
            let delay = ms(delay);
            Effect::Slicer(Slicer { average_size_bytes: average, size_variation_bytes, delay })
        }),
        Just(Effect::Stall),
    ]
}

fn cutting() -> impl Strategy<Value = Effect> {
    prop_oneof![
        (0u64..100).prop_map(|timeout| Effect::Timeout { timeout: ms(timeout) }),
        (0u64..100).prop_map(|timeout| Effect::ResetPeer { timeout: ms(timeout) }),
        (0u64..50_000).prop_map(|bytes| Effect::LimitData { bytes }),
        (0u64..50_000).prop_map(|bytes| Effect::CutAfter { bytes }),
        Just(Effect::Blackhole),
        Just(Effect::HalfOpen),
        Just(Effect::Reset),
    ]
}

fn steps(effect: BoxedStrategy<Effect>) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0usize..40_000).prop_map(|bytes| Step::Send { bytes }),
        3 => (0u64..60).prop_map(|ms| Step::Pass { ms }),
        2 => effect.clone().prop_map(|effect| Step::Add { effect }),
        2 => (any::<usize>(), effect).prop_map(|(pick, effect)| Step::Update { pick, effect }),
        1 => any::<usize>().prop_map(|pick| Step::Remove { pick }),
    ];
    prop::collection::vec(step, 1..60)
}

/// Carries steps out; false when the connection was cut meanwhile.
fn carry_out(run: &mut Run, steps: Vec<Step>) -> bool {
    let (mut toxics, mut ids): (Vec<LiveToxic>, _) = (Vec::new(), 0..);
    for step in steps {
        match step {
            Step::Send { bytes } => run.send(bytes),
            Step::Pass { ms } => run.pass(run.now_ns + ms * MS),
            Step::Add { effect } => toxics.push(live(ids.next().unwrap(), effect)),
            Step::Update { pick, effect } if !toxics.is_empty() => {
                let index = pick % toxics.len();
                // The type of a toxic never changes.
                if toxics[index].toxic.effect.kind() == effect.kind() {
                    toxics[index].toxic.effect = effect;
                }
            }
            Step::Remove { pick } if !toxics.is_empty() => drop(toxics.remove(pick % toxics.len())),
            Step::Update { .. } | Step::Remove { .. } => {}
        }
        run.pipeline.follow(&toxics, run.now_ns);
        if run.ended.is_some() || run.pipeline.cut(run.now_ns).is_some() {
            return false;
        }
    }
    true
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_does_not_cut_delivers_everything_in_order(steps in steps(gentle().boxed())) {
        let mut run = Run::new(&[]);
        prop_assert!(carry_out(&mut run, steps));
        // Whatever was in force: once it is gone, all that was sent arrives.
        run.pipeline.follow(&[], run.now_ns);
        run.pipeline.end_arrives(End::Closed, run.now_ns);
        run.receive();
        run.pass(run.now_ns + 3_600_000 * MS);
        prop_assert_eq!(run.received_ns.len(), run.sent);
        prop_assert_eq!(run.ended, Some(End::Closed));
        prop_assert_eq!(run.pipeline.bytes(), 0);
    }

    /// `Run::receive` checks that what arrives is a prefix of what was sent.
    #[test]
    fn what_cuts_delivers_a_prefix(
        steps in steps(prop_oneof![2 => gentle(), 1 => cutting()].boxed())
    ) {
        let mut run = Run::new(&[]);
        if carry_out(&mut run, steps) {
            run.pipeline.follow(&[], run.now_ns);
            if run.pipeline.cut(run.now_ns).is_none() {
                run.pass(run.now_ns + 3_600_000 * MS);
                let is_cut = matches!(run.ended, Some(End::Cut(_)));
                let is_whole = run.received_ns.len() == run.sent;
                prop_assert!(is_cut || is_whole, "neither cut nor complete");
            }
        }
        prop_assert!(run.received_ns.len() <= run.sent);
    }

    /// Rate and latency add up, in both orders of creation.
    #[test]
    fn latency_comes_on_top_of_the_rate(
        bytes in 1usize..16_000, rate_bytes in 1_000u64..1_000_000, latency_ms in 0u64..200,
        latency_first: bool,
    ) {
        let mut toxics = vec![live(1, rate(rate_bytes)), live(2, latency(latency_ms, 0))];
        if latency_first {
            toxics.reverse();
        }
        let mut run = Run::new(&toxics);
        run.send(bytes);
        run.pass(3_600_000 * MS);
        prop_assert_eq!(run.received_ns.len(), bytes);
        let exact_ns = 1 + bytes as u64 * 1_000_000_000 / rate_bytes + latency_ms * MS;
        let last_ns = *run.received_ns.last().unwrap();
        // Rounded up for each piece, which is a byte at least.
        let latest_ns = exact_ns + 1 + bytes as u64;
        prop_assert!((exact_ns..=latest_ns).contains(&last_ns), "{} {}", exact_ns, last_ns);
    }
}

#[test]
fn a_shared_rate_is_shared_evenly() {
    let shared = live(1, rate(1_000_000));
    let mut runs = [(); 3].map(|()| Run::new(std::slice::from_ref(&shared)));
    let end_ns = 1_000 * MS;
    while runs[0].now_ns < end_ns {
        for run in &mut runs {
            run.send(usize::MAX);
        }
        let next_ns = runs.iter().filter_map(|run| run.pipeline.next_ns(false)).min().unwrap();
        for run in &mut runs {
            run.now_ns = run.now_ns.max(next_ns);
            run.receive();
        }
    }
    let received = runs.each_ref().map(|run| run.received_ns.len());
    let all: usize = received.iter().sum();
    // At the end each may have just been given a piece.
    assert!((995_000..=1_005_000).contains(&all), "{all} bytes in a second of 1 MB/s");
    for bytes in received {
        assert!((323_000..=343_000).contains(&bytes), "{received:?}");
    }
}

#[test]
fn who_sends_in_small_chunks_gets_its_share() {
    let shared = live(1, rate(1_000_000));
    let mut runs = [(); 2].map(|()| Run::new(std::slice::from_ref(&shared)));
    while runs[0].now_ns < 1_000 * MS {
        while runs[0].pipeline.room_bytes() > 0 {
            runs[0].send(64);
        }
        runs[1].send(usize::MAX);
        let next_ns = runs.iter().filter_map(|run| run.pipeline.next_ns(false)).min().unwrap();
        for run in &mut runs {
            run.now_ns = run.now_ns.max(next_ns);
            run.receive();
        }
    }
    for run in &runs {
        let bytes = run.received_ns.len();
        assert!((485_000..=515_000).contains(&bytes), "{bytes} of half of 1 MB");
    }
}

#[test]
fn what_a_slicer_made_wait_goes_on_without_it() {
    let slicer =
        |delay| Slicer { average_size_bytes: 10, size_variation_bytes: 0, delay: ms(delay) };
    let mut run = Run::new(&[live(1, Effect::Slicer(slicer(60_000)))]);
    run.send(30);
    run.pass(5 * MS);
    assert_eq!(run.received_ns.len(), 10);
    run.pipeline.follow(&[live(1, Effect::Slicer(slicer(0)))], run.now_ns);
    run.pass(10 * MS);
    assert_eq!(run.received_ns.len(), 30);
}

#[test]
fn a_close_is_slow_behind_the_last_byte_at_its_rate() {
    let toxics = [live(1, rate(1_000)), live(2, Effect::SlowClose { delay: ms(50) })];
    let mut run = Run::new(&toxics);
    run.send(100);
    run.pipeline.end_arrives(End::Closed, run.now_ns);
    run.pass(149 * MS);
    assert_eq!((run.received_ns.len(), run.ended), (100, None));
    run.pass(151 * MS);
    assert_eq!(run.ended, Some(End::Closed));
}

#[test]
fn a_piece_at_an_old_rate_does_not_hold_up_a_new_one() {
    let shared = live(1, rate(20));
    let mut run = Run::new(std::slice::from_ref(&shared));
    run.send(1_000);
    let mut faster = shared;
    faster.toxic.effect = rate(1_000_000);
    faster.bucket.as_ref().unwrap().clear();
    run.pipeline.follow(&[faster], run.now_ns);
    run.receive();
    run.pass(200 * MS);
    assert_eq!(run.received_ns.len(), 1_000, "50 s at the old rate");
}

#[test]
fn slices_are_written_one_by_one_and_apart() {
    let slicer = Slicer { average_size_bytes: 10, size_variation_bytes: 0, delay: ms(5) };
    let mut run = Run::new(&[live(1, Effect::Slicer(slicer))]);
    run.send(35);
    run.pass(1_000 * MS);
    assert_eq!(run.received_ns.len(), 35);
    let at_ms = [0, 9, 10, 20, 34].map(|byte| run.received_ns[byte] / MS);
    assert_eq!(at_ms, [0, 0, 5, 10, 15]);
}

#[test]
fn jitter_stays_in_its_range_and_follows_the_seed() {
    let draw = |seed, ordinal| {
        let seed = ConnectionSeed::new(seed, "p", ordinal);
        let mut pipeline = Pipeline::new(&seed, Stream::Upstream);
        pipeline.follow(&[live(1, latency(10, 4))], 0);
        (0..500).map(|_| pipeline.delay_ns()).collect::<Vec<_>>()
    };
    let delays = draw(7, 3);
    assert!(delays.iter().all(|ns| (6 * MS..=14 * MS).contains(ns)));
    assert!(delays.iter().any(|ns| *ns < 7 * MS) && delays.iter().any(|ns| *ns > 13 * MS));
    assert_eq!(delays, draw(7, 3));
    assert_ne!(delays, draw(8, 3));
    assert_ne!(delays, draw(7, 4));
}

#[test]
fn a_stall_lets_what_is_under_way_arrive_and_nothing_in() {
    let (slow, stall) = (live(1, latency(10, 0)), live(2, Effect::Stall));
    let mut run = Run::new(std::slice::from_ref(&slow));
    run.send(100);
    run.pipeline.follow(&[slow.clone(), stall], run.now_ns);
    run.send(100);
    run.pass(100 * MS);
    assert_eq!((run.sent, run.received_ns.len()), (100, 100));
    run.pipeline.follow(&[slow], run.now_ns);
    run.send(100);
    run.pass(200 * MS);
    assert_eq!(run.received_ns.len(), 200);
}

#[test]
fn neutral_toxics_let_bytes_go_past() {
    let neutral = [
        live(1, latency(0, 0)),
        live(2, rate(RateBytes::MAX.bytes_per_s())),
        live(3, Effect::SlowClose { delay: ms(100) }),
    ];
    assert!(pipeline(&neutral).is_transparent());
    for effect in [latency(1, 0), rate(5), Effect::Stall, Effect::LimitData { bytes: 9 }] {
        assert!(!pipeline(&[live(1, effect)]).is_transparent());
    }
}
