use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use proptest::prelude::*;
use proto::trace_service_client::TraceServiceClient;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use super::*;

fn span(context: &TraceContext, name: &str, start_ns: u64) -> SpanRecord {
    SpanRecord {
        trace_id: context.trace_id,
        span_id: context.span_id,
        parent_id: None,
        name: name.to_owned(),
        service_instance: "dropbed".to_owned(),
        start_ns,
        end_ns: start_ns + 10,
        attributes: [("dropbed.mode".to_owned(), "push".into())].into(),
    }
}

fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn request(spans: Vec<Span>) -> proto::ExportTraceServiceRequest {
    let instance = any_value::Value::StringValue("bob".to_owned());
    let resource = Resource {
        attributes: vec![attribute("service.instance.id", instance)],
        ..Resource::default()
    };
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource_spans =
        vec![ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() }];
    proto::ExportTraceServiceRequest { resource_spans }
}

async fn client(collector: &Collector) -> TraceServiceClient<tonic::transport::Channel> {
    let url = format!("http://127.0.0.1:{}", collector.port());
    let channel = tonic::transport::Endpoint::from_shared(url).unwrap().connect().await.unwrap();
    TraceServiceClient::new(channel)
}

#[tokio::test]
async fn an_export_arrives_as_plain_records() {
    use any_value::Value::{ArrayValue as Array, BoolValue, IntValue};
    let collector = Collector::bind("127.0.0.1", 0).await.unwrap();
    let one = AnyValue { value: Some(IntValue(1)) };
    let sent = Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        parent_span_id: vec![3; 8],
        name: "disk.read".to_owned(),
        start_time_unix_nano: 100,
        end_time_unix_nano: 90,
        attributes: vec![
            attribute("dropbed.offset_bytes", IntValue(4096)),
            attribute("flag", BoolValue(true)),
            attribute("list", Array(ArrayValue { values: vec![one] })),
        ],
        ..Span::default()
    };
    let reply = client(&collector).await.export(request(vec![sent])).await.unwrap();
    assert_eq!(reply.into_inner().partial_success, None);

    let trace_id = "01010101010101010101010101010101".parse().unwrap();
    let spans = collector.spans_of(trace_id);
    let [span] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!(span.span_id.to_string(), "0202020202020202");
    assert_eq!(span.parent_id.unwrap().to_string(), "0303030303030303");
    assert_eq!((&*span.name, &*span.service_instance), ("disk.read", "bob"));
    assert_eq!((span.start_ns, span.end_ns), (100, 100), "an end before the start is no end");
    assert_eq!(span.attribute_u64("dropbed.offset_bytes"), Some(4096));
    assert_eq!(span.attributes["flag"], true);
    assert_eq!(span.attributes["list"], serde_json::json!([1]));
    assert_eq!(collector.take_trace(trace_id), spans);
    assert_eq!(collector.spans_of(trace_id), []);
}

#[tokio::test]
async fn what_does_not_fit_is_counted_and_the_exporter_is_told() {
    let collector = Collector::with_capacity("127.0.0.1", 0, 2).await.unwrap();
    let span = |id: u8| Span { trace_id: vec![1; 16], span_id: vec![id; 8], ..Span::default() };
    let nameless = Span { trace_id: vec![0; 16], span_id: vec![9; 8], ..Span::default() };
    let spans = vec![span(1), span(2), span(2), span(3), nameless];
    let reply = client(&collector).await.export(request(spans)).await.unwrap().into_inner();
    assert_eq!(reply.partial_success.unwrap().rejected_spans, 2);
    assert_eq!(collector.dropped(), 2);

    // Taking makes room again.
    assert_eq!(collector.take_all().len(), 2);
    let reply = client(&collector).await.export(request(vec![span(3)])).await.unwrap();
    assert_eq!(reply.into_inner().partial_success, None);
    assert_eq!(collector.take_all().len(), 1);
}

#[tokio::test]
async fn a_wait_ends_with_the_span_that_satisfies_it() {
    let collector = Collector::bind("127.0.0.1", 0).await.unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let root = TraceContext::new_root(&mut random);
    let other = TraceContext::new_root(&mut random);
    let waiter = collector.clone();
    let wait = tokio::spawn(async move {
        waiter.wait_for(root.trace_id, "two spans", 60_000, |trace| trace.len() == 2).await
    });
    collector.record(span(&other, "scenario.step", 1));
    collector.record(span(&root.child(&mut random), "transfer.pull", 20));
    tokio::task::yield_now().await;
    assert!(!wait.is_finished(), "one span of the trace is not two");
    collector.record(span(&root, "scenario.step", 10));
    let spans = wait.await.unwrap().unwrap();
    let names: Vec<_> = spans.iter().map(|span| &*span.name).collect();
    assert_eq!(names, ["scenario.step", "transfer.pull"], "by start, not by arrival");
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_at_its_deadline_and_says_what_is_missing() {
    let collector = Collector::bind("127.0.0.1", 0).await.unwrap();
    let root = TraceContext::new_root(&mut ChaCha8Rng::seed_from_u64(3));
    collector.record(span(&root, "scenario.step", 1));
    let error =
        collector.wait_for(root.trace_id, "transfer.pull", 5_000, |_| false).await.unwrap_err();
    assert_eq!((error.deadline_ms, error.seen, error.dropped), (5_000, 1, 0));
    assert!(error.to_string().contains("no transfer.pull in trace"), "{error}");
}

#[tokio::test]
async fn a_taken_port_is_an_error_with_the_address() {
    let collector = Collector::bind("127.0.0.1", 0).await.unwrap();
    let error = Collector::bind("127.0.0.1", collector.port()).await.unwrap_err().to_string();
    assert!(error.contains(&format!("127.0.0.1:{}", collector.port())), "{error}");
}

#[test]
fn spans_survive_the_disk_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spans.ndjson");
    let mut random = ChaCha8Rng::seed_from_u64(4);
    let spans: Vec<_> =
        (0..3).map(|i| span(&TraceContext::new_root(&mut random), "scenario.step", i)).collect();
    append_ndjson(&path, &spans[..1]).unwrap();
    append_ndjson(&path, &spans[1..]).unwrap();
    assert_eq!(read_ndjson(&path).unwrap(), spans);

    let cut = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, &cut[..cut.len() - 5]).unwrap();
    let error = read_ndjson(&path).unwrap_err().to_string();
    assert!(error.contains("spans.ndjson:3: not a span"), "{error}");
}

#[test]
fn a_traceparent_has_the_form_of_the_standard() {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let root = TraceContext::new_root(&mut random);
    let child = root.child(&mut random);
    assert_eq!(child.trace_id, root.trace_id);
    assert_ne!(child.span_id, root.span_id);
    let parent = child.traceparent();
    let fields: Vec<_> = parent.split('-').collect();
    let (trace_id, span_id) = (child.trace_id.to_string(), child.span_id.to_string());
    assert_eq!(fields, ["00", &trace_id, &span_id, "01"]);
    assert_eq!((trace_id.len(), span_id.len()), (32, 16));
}

#[test]
fn text_that_is_no_id_is_refused() {
    for text in ["", "0000000000000000", "+123456789abcdef", "123", "123456789abcdefg"] {
        assert!(text.parse::<SpanId>().is_err(), "{text}");
    }
    assert!("0".repeat(32).parse::<TraceId>().is_err());
    assert!(serde_json::from_str::<TraceId>("\"abc\"").is_err());
}

proptest! {
    #[test]
    fn ids_survive_as_text(seed: u64) {
        let root = TraceContext::new_root(&mut ChaCha8Rng::seed_from_u64(seed));
        prop_assert_eq!(root.trace_id.to_string().parse(), Ok(root.trace_id));
        prop_assert_eq!(root.span_id.to_string().parse(), Ok(root.span_id));
    }

    #[test]
    fn a_store_never_keeps_more_than_its_bound_and_loses_none_unseen(
        spans_max in 0_usize..8,
        ids in prop::collection::vec((1_u8..4, 1_u8..5), 0..40),
    ) {
        let mut store = Store::new(spans_max);
        let mut refused = 0;
        for (trace, id) in &ids {
            let mut record = span(&TraceContext::new_root(&mut ChaCha8Rng::seed_from_u64(0)), "x", 0);
            record.trace_id = TraceId::from_bytes(&[*trace; 16]).unwrap();
            record.span_id = SpanId::from_bytes(&[*id; 8]).unwrap();
            refused += u64::from(!store.insert(record));
        }
        prop_assert_eq!(store.dropped(), refused);
        let distinct = ids.iter().collect::<std::collections::BTreeSet<_>>().len();
        prop_assert_eq!(store.take_all().len(), distinct.min(spans_max));
        prop_assert_eq!(store.take_all().len(), 0);
    }
}
