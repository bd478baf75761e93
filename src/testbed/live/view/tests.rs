use proptest::prelude::*;

use super::*;
use crate::testbed::live::tests::live;
use crate::testbed::scenario::link::toxics::corrected_us;
use crate::toxiproxy::api::{Bandwidth, Latency, Millis, RateScope};

fn delay(latency_us: u64, jitter_us: u64) -> Effect {
    let (latency, jitter) = (Millis::from_micros(latency_us), Millis::from_micros(jitter_us));
    Effect::Latency(Latency { latency, jitter })
}

fn rate(bytes_per_s: u64) -> Effect {
    let rate = RateBytes::from_bytes_per_s(bytes_per_s);
    Effect::Bandwidth(Bandwidth { rate, ..Bandwidth::default() })
}

fn view(toxics: Vec<Toxic>) -> LinkView {
    let (listen, upstream) = ("127.0.0.1:1".to_owned(), "127.0.0.2:1".to_owned());
    let proxy = Proxy { name: "a:b".into(), listen, upstream, enabled: true, toxics };
    LinkView::new(proxy, live().link("a:b"), None)
}

#[test]
fn delays_add_up_and_the_least_rate_counts() {
    let up =
        |name: &str, effect| Toxic { name: name.into(), ..Toxic::new(Stream::Upstream, effect) };
    let view = view(vec![
        up("1", delay(10_000, 1_000)),
        up("2", delay(5_000, 500)),
        up("3", rate(2_000)),
        up("4", rate(1_000)),
        up("5", Effect::Bandwidth(Bandwidth { rate: RateBytes::MAX, ..Bandwidth::default() })),
        Toxic { toxicity: 0.5, ..up("6", delay(70_000, 0)) },
        up("7", Effect::Stall),
    ]);
    let expected = OneWay {
        latency_us: 15_000,
        jitter_us: 1_500,
        rate_bits_per_s: Some(8_000),
        rate_scope: RateScope::Link,
    };
    assert_eq!((view.shape.up, view.shape.down), (expected, OneWay::default()));
    let others: Vec<&str> = view.others().map(|toxic| toxic.name.as_str()).collect();
    assert_eq!(others, ["6", "7"], "what acts on some connections is no shape");
}

/// What the path adds is no part of what a link was set to.
#[test]
fn the_shape_that_was_set_has_what_the_path_adds() {
    let view = view(Stream::ALL.map(|stream| Toxic::new(stream, delay(24_500, 0))).to_vec());
    assert_eq!(view.shape.rtt_us(), 49_000);
    assert_eq!(view.set_shape().rtt_us(), 50_000);
}

/// Toxics that are as the run set them mean exactly what it asks for, also a delay
/// that the correction took off whole; others are told by the correction.
#[test]
fn what_the_run_set_means_what_it_asks() {
    let way = |latency_us| OneWay { latency_us, ..OneWay::default() };
    let asked = Shape { up: way(300), down: way(25_000) };
    let meant =
        |set_us, stream, correction_us| meant_us(set_us, stream, Some(&asked), correction_us);
    assert_eq!(meant(0, Stream::Upstream, 1_000), 300);
    assert_eq!(meant(24_500, Stream::Downstream, 1_000), 25_000);
    assert_eq!(meant(9_500, Stream::Downstream, 1_000), 10_000);
    // A way without delay is corrected too, when the other one has some.
    let one_way = Shape { up: way(0), down: way(25_000) };
    assert_eq!(meant_us(500, Stream::Upstream, Some(&one_way), -1_000), 0);
    assert_eq!(meant_us(24_500, Stream::Upstream, None, 1_000), 25_000);
}

proptest! {
    #[test]
    fn a_correction_is_undone_exactly(asked_us in 0_u64..60_000_000, correction_us in -2_000_i64..2_000) {
        let set_us = corrected_us(asked_us, correction_us);
        // What is corrected down to no delay at all is lost, and only that.
        if set_us > 0 {
            prop_assert_eq!(uncorrected(set_us, correction_us), asked_us);
        } else {
            prop_assert!(asked_us <= 1_000);
        }
    }
}
