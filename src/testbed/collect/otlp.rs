//! Spans as they come over OTLP.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};
use serde_json::Value;

use super::id::{SpanId, TraceId};
use super::record::SpanRecord;

/// All spans of one export, and how many had no valid id.
pub(super) fn records(resources: Vec<ResourceSpans>) -> (Vec<SpanRecord>, u64) {
    let mut records = Vec::new();
    let mut malformed = 0;
    for resource in resources {
        let attributes = resource.resource.map(|resource| resource.attributes).unwrap_or_default();
        let instance = service_instance(attributes);
        for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            match SpanRecord::from_span(span, &instance) {
                Some(record) => records.push(record),
                None => malformed += 1,
            }
        }
    }
    (records, malformed)
}

impl SpanRecord {
    fn from_span(span: Span, instance: &str) -> Option<Self> {
        let parent_id = match span.parent_span_id.as_slice() {
            [] => None,
            id => SpanId::from_bytes(id),
        };
        Some(Self {
            trace_id: TraceId::from_bytes(&span.trace_id)?,
            span_id: SpanId::from_bytes(&span.span_id)?,
            parent_id,
            name: span.name,
            service_instance: instance.to_owned(),
            start_ns: span.start_time_unix_nano,
            end_ns: span.end_time_unix_nano.max(span.start_time_unix_nano),
            attributes: plain_attributes(span.attributes),
        })
    }
}

/// The process's own name, or what it is an instance of.
fn service_instance(attributes: Vec<KeyValue>) -> String {
    let attributes = plain_attributes(attributes);
    ["service.instance.id", "service.name"]
        .into_iter()
        .find_map(|name| attributes.get(name)?.as_str())
        .unwrap_or("unknown")
        .to_owned()
}

fn plain_attributes(attributes: Vec<KeyValue>) -> BTreeMap<String, Value> {
    attributes.into_iter().map(|pair| (pair.key, plain_value(pair.value))).collect()
}

fn plain_value(value: Option<AnyValue>) -> Value {
    use any_value::Value as Otlp;
    match value.and_then(|value| value.value) {
        Some(Otlp::StringValue(text)) => text.into(),
        Some(Otlp::BoolValue(flag)) => flag.into(),
        Some(Otlp::IntValue(number)) => number.into(),
        Some(Otlp::DoubleValue(number)) => number.into(),
        Some(Otlp::ArrayValue(array)) => {
            array.values.into_iter().map(|value| plain_value(Some(value))).collect()
        }
        Some(Otlp::KvlistValue(list)) => Value::Object(
            list.values.into_iter().map(|pair| (pair.key, plain_value(pair.value))).collect(),
        ),
        Some(Otlp::BytesValue(bytes)) => bytes.into(),
        // An index into a table that only profiles have.
        Some(Otlp::StringValueStrindex(_)) | None => Value::Null,
    }
}
