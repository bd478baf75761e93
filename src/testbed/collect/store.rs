//! Spans by trace, in bounded memory. Pure.

use std::collections::{BTreeMap, HashMap};

use super::id::{SpanId, TraceId};
use super::record::SpanRecord;

/// The spans of one trace. An export that was sent twice is there once.
pub type Trace = BTreeMap<SpanId, SpanRecord>;

static NO_SPANS: Trace = Trace::new();

#[derive(Debug)]
pub(super) struct Store {
    traces: HashMap<TraceId, Trace>,
    spans: usize,
    spans_max: usize,
    dropped: u64,
}

impl Store {
    /// A store that keeps at most `spans_max` spans.
    pub(super) fn new(spans_max: usize) -> Self {
        Self { traces: HashMap::new(), spans: 0, spans_max, dropped: 0 }
    }

    /// Keeps `span`, or counts it as dropped when the store is full. New spans
    /// are dropped, not old ones: a trace that was seen stays whole.
    pub(super) fn insert(&mut self, span: SpanRecord) -> bool {
        let known = self.trace(span.trace_id).contains_key(&span.span_id);
        if !known && self.spans >= self.spans_max {
            self.dropped += 1;
            return false;
        }
        self.spans += usize::from(!known);
        self.traces.entry(span.trace_id).or_default().insert(span.span_id, span);
        true
    }

    /// Adds spans that could not even be read.
    pub(super) fn count_dropped(&mut self, spans: u64) {
        self.dropped += spans;
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    pub(super) fn trace(&self, trace: TraceId) -> &Trace {
        self.traces.get(&trace).unwrap_or(&NO_SPANS)
    }

    pub(super) fn spans_of(&self, trace: TraceId) -> Vec<SpanRecord> {
        by_start(self.trace(trace).values().cloned())
    }

    pub(super) fn take_trace(&mut self, trace: TraceId) -> Vec<SpanRecord> {
        let spans = by_start(self.traces.remove(&trace).unwrap_or_default().into_values());
        self.spans -= spans.len();
        spans
    }

    pub(super) fn take_all(&mut self) -> Vec<SpanRecord> {
        self.spans = 0;
        by_start(self.traces.drain().flat_map(|(_, trace)| trace.into_values()))
    }
}

/// A total order, so that the same spans are always written the same way.
fn by_start(spans: impl Iterator<Item = SpanRecord>) -> Vec<SpanRecord> {
    let mut spans: Vec<_> = spans.collect();
    spans.sort_by_key(|span| (span.start_ns, span.trace_id, span.span_id));
    spans
}
