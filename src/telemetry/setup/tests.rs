use std::collections::HashMap;

use opentelemetry::propagation::TextMapPropagator as _;
use rand::SeedableRng as _;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::*;
use crate::testbed::collect::{Collector, SpanRecord, TraceContext};

const ALICE: Source<'_> =
    Source { service_name: "dropd", instance: "alice", run_id: Some("run-1") };

async fn exporting(log_filter: &str) -> (Collector, Dispatch, Telemetry) {
    let collector = Collector::bind("127.0.0.1", 0).await.unwrap();
    let endpoint = format!("http://127.0.0.1:{}", collector.port());
    let (dispatch, telemetry) = build(&ALICE, Some(&endpoint), log_filter).unwrap();
    (collector, dispatch, telemetry)
}

fn named<'a>(spans: &'a [SpanRecord], name: &str) -> &'a SpanRecord {
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no {name} in {spans:?}"))
}

/// What a request's metadata comes to at the serving side.
fn remote_parent(context: &TraceContext) -> opentelemetry::Context {
    let metadata = HashMap::from([("traceparent".to_owned(), context.traceparent())]);
    TraceContextPropagator::new().extract(&metadata)
}

#[tokio::test]
async fn a_flush_returns_when_spans_have_arrived_with_parents_and_attributes() {
    let (collector, dispatch, telemetry) = exporting("off").await;
    let root = TraceContext::new_root(&mut rand_chacha::ChaCha8Rng::seed_from_u64(1));
    tracing::dispatcher::with_default(&dispatch, || {
        let serve = tracing::info_span!(target: "dropbed", "transfer.serve", dropbed.length_bytes = 4096_u64, late = tracing::field::Empty);
        serve.set_parent(remote_parent(&root)).unwrap();
        serve.in_scope(|| {
            let _read =
                tracing::trace_span!(target: "dropbed::source", "disk.read", dropbed.path = "a/b")
                    .entered();
        });
        serve.record("late", 7_i64);
    });
    telemetry.flush().await.unwrap();

    // Nothing else is waited for.
    let spans = collector.take_all();
    assert_eq!(spans.len(), 2, "{spans:?}");
    let (serve, read) = (named(&spans, "transfer.serve"), named(&spans, "disk.read"));
    assert_eq!((serve.trace_id, serve.parent_id), (root.trace_id, Some(root.span_id)));
    assert_eq!((read.trace_id, read.parent_id), (root.trace_id, Some(serve.span_id)));
    assert_eq!(serve.attribute_u64("dropbed.length_bytes"), Some(4096));
    assert_eq!(serve.attribute_u64("late"), Some(7));
    assert_eq!(read.attributes["dropbed.path"], "a/b");
    assert_eq!((&*serve.service_instance, &*read.service_instance), ("alice", "alice"));
    assert!(serve.start_ns <= read.start_ns && read.end_ns <= serve.end_ns, "{spans:?}");
    telemetry.shutdown().await.unwrap();
}

#[tokio::test]
async fn only_our_spans_are_exported_whatever_the_log_filter_says() {
    let (collector, dispatch, telemetry) = exporting("trace").await;
    tracing::dispatcher::with_default(&dispatch, || {
        drop(tracing::info_span!(target: "h2", "poll").entered());
        drop(tracing::info_span!(target: "dropbedding", "not_ours").entered());
        let span = tracing::info_span!(target: "dropbed::fs", "ours").entered();
        tracing::trace!(target: "dropbed::fs", "events are for the log");
        drop(span);
    });
    telemetry.flush().await.unwrap();
    let names: Vec<_> = collector.take_all().into_iter().map(|span| span.name).collect();
    assert_eq!(names, ["ours"]);
}

#[test]
fn without_a_collector_spans_are_disabled() {
    let (dispatch, _telemetry) = build(&ALICE, None, "trace").unwrap();
    tracing::dispatcher::with_default(&dispatch, || {
        assert!(tracing::error_span!(target: "dropbed", "fuse.read").is_disabled());
        assert!(tracing::enabled!(target: "dropbed", tracing::Level::TRACE));
    });
}

#[tokio::test]
async fn without_a_collector_a_flush_has_nothing_to_do() {
    let (_dispatch, telemetry) = build(&ALICE, None, "off").unwrap();
    telemetry.flush().await.unwrap();
    telemetry.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_collector_that_is_gone_is_reported_with_the_number_of_spans() {
    let (collector, dispatch, telemetry) = exporting("off").await;
    let port = collector.port();
    drop(collector);
    // The port is closed when a connection is refused.
    while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
        tokio::task::yield_now().await;
    }
    tracing::dispatcher::with_default(&dispatch, || {
        for _ in 0..3 {
            drop(tracing::info_span!(target: "dropbed", "lost"));
        }
    });
    let error = telemetry.flush().await.unwrap_err();
    assert_eq!((error.lost, error.ended), (3, 3), "{error}");
    assert!(error.endpoint.ends_with(&port.to_string()) && !error.reason.is_empty(), "{error}");
    // Reported once.
    telemetry.flush().await.unwrap();
}

#[tokio::test]
async fn spans_that_overflow_the_queue_are_counted() {
    let (collector, dispatch, telemetry) = exporting("off").await;
    // This thread drives the exporter's connection: nothing leaves the queue, but
    // for one batch in hand, until it is awaited.
    let ended = SPAN_QUEUE_MAX + SPAN_BATCH_MAX + 100;
    tracing::dispatcher::with_default(&dispatch, || {
        for _ in 0..ended {
            drop(tracing::info_span!(target: "dropbed", "many"));
        }
    });
    let error = telemetry.flush().await.unwrap_err();
    let arrived = collector.take_all().len() as u64;
    assert_eq!(error.ended, ended as u64);
    assert_eq!(error.lost + arrived, error.ended, "{error}");
    assert!(error.lost >= 100 && error.reason.contains("waited for export"), "{error}");
}

#[tokio::test]
async fn what_cannot_be_parsed_is_refused_in_words() {
    let filter = build(&ALICE, None, "dropbed=loud").unwrap_err().to_string();
    assert!(filter.contains("`dropbed=loud`") && filter.contains("info,dropbed=debug"), "{filter}");
    let endpoint = build(&ALICE, Some("not a url"), "off").unwrap_err().to_string();
    assert!(endpoint.contains("`not a url`"), "{endpoint}");
}

#[test]
fn an_exporter_needs_a_runtime() {
    let error = build(&ALICE, Some("http://127.0.0.1:1"), "off").unwrap_err();
    assert!(matches!(error, SetupError::NoRuntime), "{error}");
}

#[test]
fn the_resource_names_service_peer_and_run() {
    let resource = ALICE.resource();
    let value = |key: &'static str| resource.get(&key.into()).map(|value| value.to_string());
    assert_eq!(value("service.name").as_deref(), Some("dropd"));
    assert_eq!(value("service.instance.id").as_deref(), Some("alice"));
    assert_eq!(value("dropbed.run_id").as_deref(), Some("run-1"));
}
