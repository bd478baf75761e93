use super::*;

/// A shape of delays alone.
fn delays(up_us: u64, down_us: u64) -> Shape {
    let way = |latency_us| OneWay { latency_us, ..OneWay::default() };
    Shape { up: way(up_us), down: way(down_us) }
}

#[test]
fn a_correction_is_taken_off_both_ways() {
    let shape = delays(25_000, 25_000);
    assert_eq!(corrected(shape, 1_000, true), delays(24_500, 24_500));
    assert_eq!(corrected(shape, 700, true), delays(24_650, 24_650));
}

#[test]
fn a_stock_server_is_told_whole_milliseconds() {
    let shape = delays(25_000, 25_000);
    assert_eq!(corrected(shape, 700, false), shape, "to the nearest");
    assert_eq!(corrected(shape, 1_200, false), delays(24_000, 24_000));
    // The client says that this takes the bundled server.
    assert_eq!(corrected(delays(2_500, 0), 0, false), delays(2_500, 0));
}

#[test]
fn what_somebody_else_changed_is_seen() {
    let asked = [Stream::Upstream, Stream::Downstream]
        .map(|stream| Toxic::latency(stream, Millis::from_micros(25_000)));
    let proxy = |toxics: &[Toxic], enabled| Proxy {
        name: "b:a".to_owned(),
        listen: String::new(),
        upstream: String::new(),
        enabled,
        toxics: toxics.to_vec(),
    };
    assert_eq!(difference(&asked, &proxy(&asked, true), true), None);
    let said = |found: &Proxy| difference(&asked, found, true).expect("a difference");
    assert_eq!(said(&proxy(&asked, false)), "it is disabled");
    assert_eq!(said(&proxy(&asked[..1], true)), "toxic latency_downstream is gone");
    let mut other = asked.clone();
    other[1].toxicity = 0.5;
    assert!(said(&proxy(&other, true)).starts_with("toxic latency_downstream is"));
    let more = [&asked[..], &[Toxic::new(Stream::Upstream, Effect::Stall)]].concat();
    assert_eq!(said(&proxy(&more, true)), "it has another toxic, stall_upstream (stall)");
    let rate = |scope| {
        let rate = RateBytes::from_bytes_per_s(125_000);
        Toxic::new(Stream::Upstream, Effect::Bandwidth(Bandwidth { rate, scope, bucket: None }))
    };
    let asked = [rate(RateScope::Connection)];
    let found = proxy(&[rate(RateScope::Link)], true);
    assert_eq!(difference(&asked, &found, false), None, "a stock server has no scope");
    assert!(difference(&asked, &found, true).is_some());
}

#[test]
fn no_delay_is_never_made_negative() {
    assert_eq!(corrected(Shape::default(), 1_000, true), Shape::default());
    assert_eq!(corrected(delays(300, 0), 1_000, true), Shape::default());
}

#[test]
fn jitter_never_exceeds_the_corrected_delay() {
    let mut shape = delays(2_000, 2_000);
    shape.up.jitter_us = 2_000;
    shape.down.jitter_us = 500;
    let less = corrected(shape, 1_000, true);
    assert_eq!((less.up.latency_us, less.up.jitter_us), (1_500, 1_500));
    assert_eq!(less.down.jitter_us, 500);
}

/// A plan of two peers with the shapes that `links` gives.
fn plan_of(links: &str, rest: &str) -> Plan {
    let text = format!(
        "version: 1\nname: x\nvars: {{ rate: 8Mbit/s }}\npeers: {{ a: {{}}, b: {{}} }}\n\
         links: [{links}]\nscenario: {{ steps: [{{ rekey: {{ from: a, to: b }} }}] }}\n{rest}"
    );
    let topology = crate::testbed::topology::Topology::parse("test.yaml", &text, &[]);
    let topology = topology.unwrap_or_else(|found| panic!("{found}"));
    crate::testbed::plan::plan(&topology).unwrap_or_else(|found| panic!("{found}"))
}

fn stock() -> ServerVersion {
    ServerVersion { text: "2.12.0".to_owned(), is_bundled: false }
}

/// The toxics of the link at `index` in its first shape, as the API writes them.
fn written(plan: &Plan, index: usize, shape: Shape) -> String {
    let toxics = toxics(&plan.links[index], shape, plan.rated(index));
    let lines: Vec<String> =
        toxics.iter().map(|toxic| serde_json::to_string(toxic).unwrap()).collect();
    lines.join("\n")
}

#[test]
fn both_links_of_a_pair_share_a_bucket_for_each_direction_of_bytes() {
    let dsl = "{ a: a, b: b, both: { rtt: 50ms, jitter: 2ms }, a_to_b: { rate: 1Mbit/s }, \
               b_to_a: { rate: 1.5MB/s } }";
    let plan = plan_of(dsl, "");
    insta::assert_snapshot!(
        [0, 1].map(|index| written(&plan, index, plan.links[index].shape)).join("\n\n")
    );
}

#[test]
fn a_rate_of_its_own_for_each_connection_names_no_bucket() {
    let plan = plan_of("{ a: a, b: b, both: { rate: 8Mbit/s, rate_scope: connection } }", "");
    let text = written(&plan, 0, plan.links[0].shape);
    assert_eq!(text.matches(r#""scope":"connection""#).count(), 2, "{text}");
    assert!(!text.contains("bucket"), "{text}");
    check_server(&plan, &stock()).unwrap();
}

#[test]
fn a_link_without_a_rate_has_none_to_update() {
    let plan = plan_of("{ a: a, b: b, both: { rtt: 50ms } }", "");
    assert_eq!(toxics(&plan.links[0], plan.links[0].shape, plan.rated(0)).len(), 2);
    check_server(&plan, &stock()).unwrap();
}

#[test]
fn a_shared_rate_on_a_stock_proxy_says_what_to_do() {
    let link = "{ a: a, b: b, a_to_b: { rate: \"${rate}\" } }";
    let plan = plan_of(link, "matrix: { rate: [unlimited, 2Mbit/s] }\n");
    let error = check_server(&plan, &stock()).unwrap_err().to_string();
    assert!(error.starts_with("link a:b: cannot give it a rate"), "{error}");
    assert!(error.contains("Toxiproxy 2.12.0") && error.contains("rate_scope: connection"));
    let bundled = ServerVersion { is_bundled: true, ..stock() };
    check_server(&plan, &bundled).unwrap();
}

/// Whatever a cell drops or adds, the toxics are those that the link began with.
#[test]
fn cells_update_the_toxics_that_there_are() {
    let link = "{ a: a, b: b, a_to_b: { rate: \"${rate}\" } }";
    let plan = plan_of(link, "matrix: { rate: [unlimited, 2Mbit/s] }\n");
    let names = |shape| -> Vec<String> {
        let toxics = toxics(&plan.links[0], shape, plan.rated(0));
        toxics.into_iter().map(|toxic| toxic.name).collect()
    };
    let first = names(plan.links[0].shape);
    assert_eq!(first, ["latency_upstream", "latency_downstream", "bandwidth_upstream"]);
    assert!(plan.cells.iter().all(|cell| names(cell.shapes[0]) == first));
    let unlimited = written(&plan, 0, plan.cells[0].shapes[0]);
    assert!(unlimited.contains(&format!(r#""rate":{}"#, RateBytes::MAX)), "{unlimited}");
    assert!(written(&plan, 0, plan.cells[1].shapes[0]).contains(r#""rate":250"#));
}
