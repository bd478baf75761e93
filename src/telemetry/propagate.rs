//! Trace context across processes, as W3C `traceparent` text.

use std::collections::HashMap;

use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Metadata key and field name of the context (W3C Trace Context, section 3.2).
pub const TRACEPARENT: &str = "traceparent";

/// The context of the current span; `None` when nothing is recorded.
pub fn inject_current() -> Option<String> {
    inject(&Span::current())
}

/// The context of `span`; `None` when nothing is recorded.
pub fn inject(span: &Span) -> Option<String> {
    if span.is_disabled() {
        return None;
    }
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(&span.context(), &mut carrier);
    carrier.remove(TRACEPARENT)
}

/// Makes the remote span in `traceparent` the parent of `span`. Without one, or
/// with one that is malformed, `span` keeps the parent it has: a peer's mistake
/// in telemetry must not fail its request.
pub fn set_parent(span: &Span, traceparent: Option<&str>) {
    let Some(traceparent) = traceparent.filter(|text| !text.is_empty()) else {
        return;
    };
    if span.is_disabled() {
        return;
    }
    let carrier = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
    let context = TraceContextPropagator::new().extract(&carrier);
    if let Err(error) = span.set_parent(context) {
        tracing::trace!(%error, "span keeps its local parent");
    }
}

/// Puts the current context into the metadata of a call.
pub fn attach<T>(request: &mut tonic::Request<T>) {
    // A traceparent is ASCII; what is not cannot be one.
    if let Some(value) = inject_current().and_then(|text| text.parse().ok()) {
        request.metadata_mut().insert(TRACEPARENT, value);
    }
}

/// The context in the metadata of a call.
pub fn extract<T>(request: &tonic::Request<T>) -> Option<&str> {
    request.metadata().get(TRACEPARENT)?.to_str().ok()
}
