use super::*;
use crate::testbed::live::tests::live;
use crate::testbed::plan::Shape;
use crate::testbed::result::{LinkProbe, RateProbe};
use crate::toxiproxy::api::{
    Bandwidth, Effect, Latency, Millis, Proxy, ProxyCounters, RateBytes, Stream,
};

/// 2026-01-02T03:04:05.678Z
const MOMENT_UNIX_US: u64 = 1_767_323_045_678_000;

fn view(of_run: bool) -> LinkView {
    let latency =
        Latency { latency: Millis::from_micros(24_500), jitter: Millis::from_micros(500) };
    let rate = RateBytes::from_bytes_per_s(125_000);
    let bucket = Some("b>a".to_owned());
    let toxics = vec![
        Toxic::new(Stream::Upstream, Effect::Latency(latency)),
        Toxic::new(
            Stream::Downstream,
            Effect::Bandwidth(Bandwidth { rate, bucket, ..Bandwidth::default() }),
        ),
        Toxic { toxicity: 0.5, ..Toxic::new(Stream::Upstream, Effect::Stall) },
    ];
    let (listen, upstream) = ("127.0.0.1:21000".to_owned(), "127.0.0.2:4600".to_owned());
    let proxy = Proxy { name: "a:b".into(), listen, upstream, enabled: of_run, toxics };
    let up = StreamCounters {
        received_bytes: 70_000,
        sent_bytes: 65_536,
        queued_bytes: 4_464,
        queued_bytes_max: 20_480,
        first_sent_unix_us: Some(MOMENT_UNIX_US),
        last_sent_unix_us: Some(MOMENT_UNIX_US + 1_500_000),
        ..StreamCounters::default()
    };
    let counted = ProxyCounters {
        connections_opened: 3,
        connections_open: 1,
        dials_failed: 1,
        upstream: up.clone(),
        downstream: StreamCounters::default(),
    };
    let live = live();
    let mut view =
        LinkView::new(proxy, live.link("a:b").filter(|_| of_run), of_run.then_some(counted));
    view.connections = of_run.then(|| {
        let open = ConnectionCounters {
            ordinal: 2,
            client: "127.0.0.1:50000".into(),
            opened_unix_us: MOMENT_UNIX_US,
            closed_unix_us: None,
            upstream: up,
            downstream: StreamCounters::default(),
        };
        let closed =
            ConnectionCounters { ordinal: 1, closed_unix_us: Some(MOMENT_UNIX_US), ..open.clone() };
        vec![closed, open]
    });
    view
}

#[test]
fn a_list_of_links() {
    insta::assert_snapshot!(list(&[view(true), view(false)]));
}

#[test]
fn a_link_of_a_run() {
    insta::assert_snapshot!(whole(&view(true)));
}

#[test]
fn a_proxy_of_a_server_that_does_not_count() {
    insta::assert_snapshot!(whole(&view(false)));
}

#[test]
fn a_link_as_json() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&view(true)).unwrap());
}

#[test]
fn a_verdict() {
    let rate = RateProbe {
        direction: Direction::Down,
        asked_bits_per_s: 1_000_000,
        measured_bits_per_s: 800_000,
        burst_bytes: 100_000,
    };
    let probe = LinkProbe {
        link: "a:b".into(),
        rtt_asked_us: 50_000,
        serialisation_us: 1_600,
        held_back_us: 0,
        rtt_measured_us: 51_800,
        rtt_tolerance_us: 1_000,
        samples_us: vec![51_800; 9],
        rates: vec![rate],
        rtt_after_us: None,
        changed: None,
        correction_us: 0,
        drifted: false,
    };
    let found = Verdict {
        expected: Shape::default(),
        rtt_is_right: true,
        rates_are_right: vec![false],
        probe,
    };
    assert!(!found.is_right(), "a wrong rate is a wrong link");
    insta::assert_snapshot!(verdict(&found));
}
