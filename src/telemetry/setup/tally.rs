//! Counts spans on both sides of the SDK's queue, which itself keeps to itself
//! how many it dropped.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};

/// What became of the spans of a process.
#[derive(Debug, Default)]
pub(super) struct Tally {
    ended: AtomicU64,
    exported: AtomicU64,
    failed: AtomicU64,
    reported: AtomicU64,
    last_error: Mutex<Option<String>>,
}

impl Tally {
    /// Spans that have ended.
    pub(super) fn ended(&self) -> u64 {
        self.ended.load(Ordering::Acquire)
    }

    /// Whether as many as `ended` spans have left the queue.
    pub(super) fn is_settled(&self, ended: u64) -> bool {
        self.exported.load(Ordering::Acquire) + self.failed.load(Ordering::Acquire) >= ended
    }

    /// How many of the first `ended` spans are lost and were not reported before.
    /// A lower bound while further spans end: a later flush finds the rest.
    pub(super) fn newly_lost(&self, ended: u64) -> Option<u64> {
        let lost = ended.saturating_sub(self.exported.load(Ordering::Acquire));
        let reported = self.reported.swap(lost, Ordering::AcqRel);
        (lost > reported).then(|| lost - reported)
    }

    /// The error of the last export that failed, once.
    pub(super) fn take_error(&self) -> Option<String> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn settle(&self, spans: u64, result: &OTelSdkResult) {
        let counter = if result.is_ok() { &self.exported } else { &self.failed };
        counter.fetch_add(spans, Ordering::AcqRel);
        if let Err(error) = result {
            let error = Some(error.to_string());
            *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = error;
        }
    }
}

/// Counts what enters the queue.
#[derive(Debug)]
pub(super) struct CountedEnds<P> {
    inner: P,
    tally: Arc<Tally>,
}

impl<P> CountedEnds<P> {
    pub(super) fn new(inner: P, tally: &Arc<Tally>) -> Self {
        Self { inner, tally: Arc::clone(tally) }
    }
}

impl<P: SpanProcessor> SpanProcessor for CountedEnds<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.inner.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        // Handed over before it is counted: a flush never waits for a span that
        // is not in the queue yet.
        self.inner.on_end(span);
        self.tally.ended.fetch_add(1, Ordering::AcqRel);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// Counts what leaves the queue.
#[derive(Debug)]
pub(super) struct CountedExports<E> {
    inner: E,
    tally: Arc<Tally>,
}

impl<E> CountedExports<E> {
    pub(super) fn new(inner: E, tally: &Arc<Tally>) -> Self {
        Self { inner, tally: Arc::clone(tally) }
    }
}

impl<E: SpanExporter> SpanExporter for CountedExports<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        let result = self.inner.export(batch).await;
        self.tally.settle(spans, &result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn shutdown(&self) -> OTelSdkResult {
        self.inner.shutdown()
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
