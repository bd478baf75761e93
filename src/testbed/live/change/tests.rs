use super::*;
use crate::testbed::live::tests::live;

fn toxic(stream: Stream, effect: Effect) -> Toxic {
    Toxic::new(stream, effect)
}

fn ms(us: u64) -> Millis {
    Millis::from_micros(us)
}

fn latency(latency_us: u64, jitter_us: u64) -> Effect {
    Effect::Latency(Latency { latency: ms(latency_us), jitter: ms(jitter_us) })
}

fn rate(bytes_per_s: u64, bucket: Option<&str>) -> Effect {
    let rate = RateBytes::from_bytes_per_s(bytes_per_s);
    let bucket = bucket.map(str::to_owned);
    Effect::Bandwidth(Bandwidth { rate, scope: RateScope::Link, bucket })
}

fn proxy(name: &str, toxics: Vec<Toxic>) -> (String, Proxy) {
    let (listen, upstream) = ("127.0.0.1:1".to_owned(), "127.0.0.2:1".to_owned());
    let proxy = Proxy { name: name.to_owned(), listen, upstream, enabled: true, toxics };
    (name.to_owned(), proxy)
}

/// A link `a:b` with delays both ways, as a run without rates makes it.
fn delayed() -> Proxies {
    let toxics = Stream::ALL.map(|stream| toxic(stream, latency(24_500, 3_000))).to_vec();
    Proxies::from([proxy("a:b", toxics)])
}

fn edits_of(proxies: &Proxies, change: Change) -> Vec<(String, Edit)> {
    let live = live();
    edits(proxies, &proxies["a:b"], live.link("a:b"), change, true).unwrap()
}

fn own(edit: Edit) -> (String, Edit) {
    ("a:b".to_owned(), edit)
}

#[test]
fn a_delay_updates_what_is_there_less_what_the_path_adds() {
    let change = Change { latency_us: Some(50_000), ..Change::default() };
    let updated = |stream| own(Edit::Update(toxic(stream, latency(49_500, 3_000))));
    assert_eq!(edits_of(&delayed(), change), Stream::ALL.map(updated));
    let down = Change { towards: Towards::Down, ..change };
    assert_eq!(edits_of(&delayed(), down), [updated(Stream::Downstream)]);
}

/// Jitter alone leaves the delay exactly where it was.
#[test]
fn jitter_leaves_the_delay() {
    let change = Change { jitter_us: Some(1_000), towards: Towards::Up, ..Change::default() };
    let updated = own(Edit::Update(toxic(Stream::Upstream, latency(24_500, 1_000))));
    assert_eq!(edits_of(&delayed(), change), [updated]);
    // As much as the delay that was asked for; the toxic can have only its own.
    let most = Change { jitter_us: Some(25_000), ..change };
    let updated = own(Edit::Update(toxic(Stream::Upstream, latency(24_500, 24_500))));
    assert_eq!(edits_of(&delayed(), most), [updated]);
}

/// The correction took off more than there was: what was asked for stands in the
/// run's file, and the toxic stays as it is.
#[test]
fn jitter_on_a_link_that_is_corrected_to_nothing() {
    let mut live = live();
    live.links[0].plan.shape.up.latency_us = 300;
    let toxics = vec![toxic(Stream::Upstream, latency(0, 0))];
    let proxies = Proxies::from([proxy("a:b", toxics)]);
    let edits = |jitter_us| {
        let change =
            Change { jitter_us: Some(jitter_us), towards: Towards::Up, ..Change::default() };
        edits(&proxies, &proxies["a:b"], live.link("a:b"), change, true)
    };
    let same = own(Edit::Update(toxic(Stream::Upstream, latency(0, 0))));
    assert_eq!(edits(300).unwrap(), [same]);
    let refused = edits(301).unwrap_err().to_string();
    assert!(refused.contains("`--jitter 300us`"), "{refused}");
}

#[test]
fn jitter_beyond_the_delay_says_what_to_give() {
    let proxies = delayed();
    let refused = |change| {
        let refused = edits(&proxies, &proxies["a:b"], live().link("a:b"), change, true);
        refused.unwrap_err().to_string()
    };
    let more = refused(Change { jitter_us: Some(26_000), ..Change::default() });
    assert!(more.contains("26ms") && more.contains("`--jitter 25ms`"), "{more}");
    let kept = refused(Change { latency_us: Some(2_000), ..Change::default() });
    assert!(kept.contains("it has stays") && kept.contains("`--jitter 2ms`"), "{kept}");
}

#[test]
fn a_new_rate_takes_the_plans_bucket() {
    let change = Change { rate_bits_per_s: Some(Some(8_000_000)), ..Change::default() };
    let added = |stream, bucket| own(Edit::Add(toxic(stream, rate(1_000_000, Some(bucket)))));
    let expected = [added(Stream::Upstream, "a>b"), added(Stream::Downstream, "b>a")];
    assert_eq!(edits_of(&delayed(), change), expected);
}

#[test]
fn without_a_run_or_on_a_stock_server_a_rate_names_no_bucket() {
    let proxies = delayed();
    let change =
        Change { rate_bits_per_s: Some(Some(8_000)), towards: Towards::Up, ..Change::default() };
    let alone = edits(&proxies, &proxies["a:b"], None, change, true).unwrap();
    assert_eq!(alone, [own(Edit::Add(toxic(Stream::Upstream, rate(1_000, None))))]);
    let stock = edits(&proxies, &proxies["a:b"], live().link("a:b"), change, false).unwrap();
    let [(_, Edit::Add(added))] = stock.as_slice() else { panic!("{stock:?}") };
    assert_eq!(added.effect.extension(), None, "a stock server takes it");
}

#[test]
fn unlimited_is_nothing_to_do_where_there_is_no_rate() {
    let change = Change { rate_bits_per_s: Some(None), ..Change::default() };
    assert_eq!(edits_of(&delayed(), change), []);
    let rated = Proxies::from([proxy("a:b", vec![toxic(Stream::Upstream, rate(5, None))])]);
    let endless = Effect::Bandwidth(Bandwidth { rate: RateBytes::MAX, ..Bandwidth::default() });
    let expected = own(Edit::Update(toxic(Stream::Upstream, endless)));
    assert_eq!(edits_of(&rated, change), [expected]);
}

/// The bytes from `a` to `b` have one rate, on whichever link they go.
#[test]
fn a_rate_changes_on_every_link_that_shares_it() {
    let way = |stream, bytes, bucket| toxic(stream, rate(bytes, Some(bucket)));
    let proxies = Proxies::from([
        proxy("a:b", vec![way(Stream::Upstream, 10, "a>b"), way(Stream::Downstream, 20, "b>a")]),
        proxy("b:a", vec![way(Stream::Upstream, 20, "b>a"), way(Stream::Downstream, 10, "a>b")]),
    ]);
    let change =
        Change { rate_bits_per_s: Some(Some(8_000)), towards: Towards::Up, ..Change::default() };
    let expected = [
        own(Edit::Update(way(Stream::Upstream, 1_000, "a>b"))),
        ("b:a".to_owned(), Edit::Update(way(Stream::Downstream, 1_000, "a>b"))),
    ];
    assert_eq!(edits_of(&proxies, change), expected);
}

/// The default name is the plan's; another toxic of the type stays what it is.
#[test]
fn of_two_delays_the_plans_own_is_changed() {
    let extra = Toxic { name: "extra".into(), ..toxic(Stream::Upstream, latency(1_000, 0)) };
    let planned = toxic(Stream::Upstream, latency(2_000, 0));
    let change = Change { latency_us: Some(9_000), towards: Towards::Up, ..Change::default() };
    let names = |toxics| {
        let edits = edits_of(&Proxies::from([proxy("a:b", toxics)]), change);
        let [(_, Edit::Update(toxic))] = edits.as_slice() else { panic!("{edits:?}") };
        toxic.name.clone()
    };
    assert_eq!(names(vec![extra.clone(), planned]), "latency_upstream");
    assert_eq!(names(vec![extra]), "extra");
}
