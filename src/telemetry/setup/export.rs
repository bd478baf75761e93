//! Batches of finished spans to an OTLP collector, and an account of them.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SdkTracer, SdkTracerProvider,
};

use super::SetupError;
use super::tally::{CountedEnds, CountedExports, Tally};

/// Finished spans that may wait for export. Reading 256 MiB through the mount
/// makes 2048 READs of 128 KiB with about four spans each, 8192 in a second or
/// less; the SDK's default of 2048 would drop most. Twice that, about 6 MB.
pub const SPAN_QUEUE_MAX: usize = 16_384;

/// Spans in one export: about 250 KiB, far below gRPC's 4 MiB message limit.
pub const SPAN_BATCH_MAX: usize = 512;

/// Pause between exports that no full batch brings about. Short, so that a
/// killed daemon takes little with it.
const EXPORT_INTERVAL_MS: u64 = 200;

/// One export with its retries. The collector is near (never behind a shaped
/// link), so a slow one is a dead one.
const EXPORT_TIMEOUT_MS: u64 = 2_000;

/// A whole flush: a full queue takes less than a second on loopback.
pub const FLUSH_DEADLINE_MS: u64 = 10_000;

/// Joining the export thread, after the flush.
const SHUTDOWN_TIMEOUT_MS: u64 = 1_000;

/// How long `BatchSpanProcessor::force_flush` waits; fixed in opentelemetry_sdk.
const SDK_FLUSH_TIMEOUT_MS: u64 = 5_000;

/// Spans did not reach the collector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{lost} of {ended} spans did not reach {endpoint}: {reason}")]
pub struct FlushError {
    /// Spans lost or still waiting, not reported by an earlier flush.
    pub lost: u64,
    /// Spans that have ended in this process.
    pub ended: u64,
    /// The collector.
    pub endpoint: String,
    /// The last export's error, a full queue, or the deadline.
    pub reason: String,
}

/// The way of finished spans: SDK, queue, gRPC.
#[derive(Debug)]
pub(super) struct Export {
    provider: SdkTracerProvider,
    tally: Arc<Tally>,
    endpoint: String,
}

impl Export {
    pub(super) fn new(resource: Resource, endpoint: &str) -> Result<Self, SetupError> {
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(SetupError::NoRuntime);
        }
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint)
            .with_timeout(Duration::from_millis(EXPORT_TIMEOUT_MS))
            .with_retry_policy(opentelemetry_otlp::RetryPolicy::recommended())
            .build()
            .map_err(|error| SetupError::Endpoint {
                endpoint: endpoint.to_owned(),
                reason: error.to_string(),
            })?;
        let tally = Arc::new(Tally::default());
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(SPAN_QUEUE_MAX)
            .with_max_export_batch_size(SPAN_BATCH_MAX)
            .with_scheduled_delay(Duration::from_millis(EXPORT_INTERVAL_MS))
            .build();
        let processor = BatchSpanProcessor::new(CountedExports::new(exporter, &tally), batches);
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_span_processor(CountedEnds::new(processor, &tally))
            .build();
        Ok(Self { provider, tally, endpoint: endpoint.to_owned() })
    }

    pub(super) fn tracer(&self, name: &'static str) -> SdkTracer {
        self.provider.tracer(name)
    }

    pub(super) async fn flush(&self) -> Result<(), FlushError> {
        let ended = self.tally.ended();
        let deadline = Duration::from_millis(FLUSH_DEADLINE_MS);
        let result = tokio::time::timeout(deadline, self.drain(ended)).await;
        let Some(lost) = self.tally.newly_lost(ended) else { return Ok(()) };
        let reason = match (self.tally.take_error(), result) {
            (Some(error), _) | (None, Ok(Err(error))) => error,
            (None, Err(_)) => format!("not done within {FLUSH_DEADLINE_MS} ms"),
            (None, Ok(Ok(()))) => format!("more than {SPAN_QUEUE_MAX} spans waited for export"),
        };
        Err(FlushError { lost, ended, endpoint: self.endpoint.clone(), reason })
    }

    /// Flushes, then ends the export thread.
    pub(super) async fn shutdown(&self) -> Result<(), FlushError> {
        let flushed = self.flush().await;
        let provider = self.provider.clone();
        let timeout = Duration::from_millis(SHUTDOWN_TIMEOUT_MS);
        let ended = blocking(move || provider.shutdown_with_timeout(timeout)).await;
        if let Err(error) = ended {
            tracing::debug!(%error, "the span exporter did not end in time");
        }
        flushed
    }

    /// Flushes until the first `ended` spans are accounted for. One call of the
    /// SDK gives up after 5 s, with the export still under way.
    async fn drain(&self, ended: u64) -> Result<(), String> {
        let attempts = FLUSH_DEADLINE_MS.div_ceil(SDK_FLUSH_TIMEOUT_MS);
        let mut result = Ok(());
        for _ in 0..attempts {
            let provider = self.provider.clone();
            result = blocking(move || provider.force_flush()).await;
            if result.is_ok() || self.tally.is_settled(ended) {
                break;
            }
        }
        result
    }
}

/// Runs a call of the SDK that blocks, off the runtime's own threads.
async fn blocking(
    call: impl FnOnce() -> opentelemetry_sdk::error::OTelSdkResult + Send + 'static,
) -> Result<(), String> {
    match tokio::task::spawn_blocking(call).await {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}
