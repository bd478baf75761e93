//! Any sequence of changes through the API while bytes flow through real sockets.

use std::time::Duration;

use proptest::prelude::*;

use super::super::super::super::api::{
    Bandwidth, Effect, Latency, Millis, RateBytes, RateScope, Slicer,
};
use super::super::super::super::testing::pattern;
use super::*;

/// Those that are removed: some that only shape, and those that swallow.
const KINDS: [&str; 7] =
    ["latency", "bandwidth", "slicer", "stall", "timeout", "blackhole", "half_open"];

/// A case takes some tens of milliseconds.
const CASE_DEADLINE: Duration = Duration::from_secs(60);

/// Enough for many reads and writes, little enough for many cases.
const BYTES: usize = 2 * MIB;

#[derive(Clone, Debug)]
enum Change {
    Set { stream: Stream, effect: Effect },
    Remove { stream: Stream, kind: &'static str },
}

fn ms(ms: u64) -> Millis {
    Millis::from_micros(ms * 1_000)
}

fn gentle() -> BoxedStrategy<Effect> {
    let rates = prop_oneof![Just(0), 20_000_000u64..200_000_000];
    prop_oneof![
        (0u64..20, 0u64..20).prop_map(|(a, b)| {
            Effect::Latency(Latency { latency: ms(a.max(b)), jitter: ms(a.min(b)) })
        }),
        rates.prop_map(|rate| {
            let rate = RateBytes::from_bytes_per_s(rate);
            Effect::Bandwidth(Bandwidth { rate, scope: RateScope::Link, bucket: None })
        }),
        (500u64..5_000).prop_map(|average_size_bytes| {
            let size_variation_bytes = average_size_bytes / 2;
            Effect::Slicer(Slicer { average_size_bytes, size_variation_bytes, delay: Millis::ZERO })
        }),
        Just(Effect::Stall),
    ]
    .boxed()
}

fn cutting() -> BoxedStrategy<Effect> {
    prop_oneof![
        (0u64..10).prop_map(|timeout| Effect::Timeout { timeout: ms(timeout) }),
        (0u64..10).prop_map(|timeout| Effect::ResetPeer { timeout: ms(timeout) }),
        (0u64..1_000_000).prop_map(|bytes| Effect::LimitData { bytes }),
        (0u64..1_000_000).prop_map(|bytes| Effect::CutAfter { bytes }),
        Just(Effect::Blackhole),
        Just(Effect::HalfOpen),
        Just(Effect::Reset),
    ]
    .boxed()
}

fn changes(effect: BoxedStrategy<Effect>) -> impl Strategy<Value = Vec<Change>> {
    let stream = prop_oneof![Just(Stream::Upstream), Just(Stream::Downstream)];
    let change = prop_oneof![
        3 => (stream.clone(), effect).prop_map(|(stream, effect)| Change::Set { stream, effect }),
        1 => (stream, prop::sample::select(&KINDS)).prop_map(|(stream, kind)| {
            Change::Remove { stream, kind }
        }),
    ];
    prop::collection::vec(change, 0..25)
}

async fn carry_out(server: &TestServer, changes: Vec<Change>) {
    let api = &server.client;
    for change in changes {
        match change {
            Change::Set { stream, effect } => {
                let toxic = Toxic::new(stream, effect);
                if api.update_toxic("p", &toxic).await.is_err() {
                    api.add_toxic("p", &toxic).await.unwrap();
                }
            }
            Change::Remove { stream, kind } => {
                let name = format!("{kind}_{}", stream.name());
                let removed = api.remove_toxic("p", &name).await;
                assert!(removed.is_ok() || removed.unwrap_err().status() == Some(404));
            }
        }
    }
    api.reset().await.unwrap();
}

/// Writes until everything is written or nobody takes it.
async fn send(mut to: TcpStream) {
    for position in (0..BYTES).step_by(7_001) {
        let block: Vec<u8> = (position..BYTES.min(position + 7_001)).map(pattern).collect();
        if to.write_all(&block).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
    // Until the other end, or the toxic, has ended it: dropped now, it might be
    // reset with bytes under way.
    let _ = to.read(&mut [0]).await;
}

/// How many bytes of the pattern came before the end, whatever the end was.
async fn receive(mut from: TcpStream) -> usize {
    let (mut position, mut block) = (0, vec![0; 64 * 1024]);
    while let Ok(read @ 1..) = from.read(&mut block).await {
        for &byte in &block[..read] {
            assert_eq!(byte, pattern(position), "at byte {position}");
            position += 1;
        }
    }
    position
}

fn delivered(effect: Vec<Change>) -> usize {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
    let case = async {
        let server = server().await;
        let (client, upstream) = server.connection(&[]).await;
        let (sending, receiving) = (tokio::spawn(send(client)), tokio::spawn(receive(upstream)));
        carry_out(&server, effect).await;
        let received = receiving.await.unwrap();
        sending.await.unwrap();
        server.end().await;
        received
    };
    let within = async { tokio::time::timeout(CASE_DEADLINE, case).await };
    runtime.block_on(within).expect("a hang")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn without_a_cut_everything_arrives(changes in changes(gentle())) {
        prop_assert_eq!(delivered(changes), BYTES);
    }

    /// [`receive`] checks that what arrives is a prefix.
    #[test]
    fn with_a_cut_a_prefix_arrives(
        changes in changes(prop_oneof![3 => gentle(), 1 => cutting()].boxed())
    ) {
        prop_assert!(delivered(changes) <= BYTES);
    }
}
