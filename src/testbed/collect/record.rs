//! One finished span in plain words.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::id::{SpanId, TraceId};

/// One finished span of any process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpanRecord {
    /// The trace.
    pub trace_id: TraceId,
    /// Unique within the trace.
    pub span_id: SpanId,
    /// `None` at the root of the trace.
    pub parent_id: Option<SpanId>,
    /// See [`names::span`](crate::telemetry::names::span).
    pub name: String,
    /// `service.instance.id` of the process: a peer's name.
    pub service_instance: String,
    /// Since 1970, by the clock of the span's host (`clock::unix_ns` for our own).
    pub start_ns: u64,
    /// Since 1970; not before `start_ns`.
    pub end_ns: u64,
    /// See [`names::attribute`](crate::telemetry::names::attribute).
    pub attributes: BTreeMap<String, Value>,
}

impl SpanRecord {
    /// How long it took.
    pub fn duration_ns(&self) -> u64 {
        self.end_ns.saturating_sub(self.start_ns)
    }

    /// An attribute that counts something. OTLP has no unsigned integers and
    /// tracing hands them over as text, so both forms are read.
    pub fn attribute_u64(&self, name: &str) -> Option<u64> {
        match self.attributes.get(name)? {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        }
    }
}
