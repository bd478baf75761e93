//! Where the spans of all peers meet: an OTLP receiver inside `dropbed`.
//!
//! The testbed needs no collector of its own beside it: daemons export to this
//! port over the management network, never through a shaped link. What arrives
//! is kept by trace, in bounded memory, until the orchestrator takes it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1 as proto;
use proto::trace_service_server::{TraceService, TraceServiceServer};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::server::TcpIncoming;

pub use self::id::{IdError, SpanId, TraceContext, TraceId};
pub use self::ndjson::{NdjsonError, append_ndjson, read_ndjson};
pub use self::record::SpanRecord;
use self::store::Store;
pub use self::store::Trace;

mod id;
mod ndjson;
mod otlp;
mod record;
mod store;

/// Spans kept at once. A read of 256 MiB through the mount is about 10 000 spans
/// at both ends, and the orchestrator takes each step's trace when the step is
/// done; this holds some twenty such reads, about 250 MB.
pub const SPANS_MAX: usize = 1 << 18;

/// Largest export that is accepted. Exporters send at most some 512 spans at a
/// time, but other daemons may batch more.
const EXPORT_BYTES_MAX: usize = 16 << 20;

/// The receiver, and what it has received. Clones share both; the port closes
/// when the last one is dropped.
#[derive(Clone, Debug)]
pub struct Collector {
    shared: Arc<Shared>,
    port: u16,
    _server: Arc<DropGuard>,
}

impl Collector {
    /// Starts to receive on `host:port`; port 0 takes any free one.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn bind(host: &str, port: u16) -> Result<Self, CollectError> {
        Self::with_capacity(host, port, SPANS_MAX).await
    }

    async fn with_capacity(host: &str, port: u16, spans_max: usize) -> Result<Self, CollectError> {
        let bind_error = |source| CollectError::Bind { host: host.to_owned(), port, source };
        let listener = TcpListener::bind((host, port)).await.map_err(bind_error)?;
        let port = listener.local_addr().map_err(bind_error)?.port();
        let store = Mutex::new(Store::new(spans_max));
        let shared = Arc::new(Shared { store, changes: watch::Sender::new(()) });
        let service = TraceServiceServer::new(Receiver(Arc::clone(&shared)))
            .max_decoding_message_size(EXPORT_BYTES_MAX);
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        tokio::spawn(async move {
            let serve = tonic::transport::Server::builder()
                .add_service(service)
                .serve_with_incoming_shutdown(TcpIncoming::from(listener), stopped);
            if let Err(error) = serve.await {
                tracing::error!(%error, port, "the OTLP receiver ended; spans are missing from here on");
            }
        });
        Ok(Self { shared, port, _server: Arc::new(stop.drop_guard()) })
    }

    /// The port that was bound.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Adds a span of the orchestrator's own.
    pub fn record(&self, span: SpanRecord) {
        self.shared.insert([span]);
    }

    /// The spans of one trace that have arrived, by start.
    pub fn spans_of(&self, trace: TraceId) -> Vec<SpanRecord> {
        self.shared.with(|store| store.spans_of(trace))
    }

    /// Removes and returns the spans of one trace, by start.
    pub fn take_trace(&self, trace: TraceId) -> Vec<SpanRecord> {
        self.shared.with(|store| store.take_trace(trace))
    }

    /// Removes and returns all spans, by start.
    pub fn take_all(&self) -> Vec<SpanRecord> {
        self.shared.with(Store::take_all)
    }

    /// Spans that did not fit, or had no valid id, since the start. A result
    /// with any is incomplete and must say so.
    pub fn dropped(&self) -> u64 {
        self.shared.with(|store| store.dropped())
    }

    /// Waits until the spans of `trace` satisfy `met`, and returns them by start.
    /// `what` names what is awaited. Cancel-safe: nothing is removed.
    ///
    /// # Errors
    /// Not so within `deadline_ms`.
    pub async fn wait_for(
        &self,
        trace: TraceId,
        what: &str,
        deadline_ms: u64,
        mut met: impl FnMut(&Trace) -> bool,
    ) -> Result<Vec<SpanRecord>, WaitError> {
        let mut changes = self.shared.changes.subscribe();
        let arrival = async {
            while !self.shared.with(|store| met(store.trace(trace))) {
                // Never an error: `self` holds the sender.
                let _ = changes.changed().await;
            }
        };
        if tokio::time::timeout(Duration::from_millis(deadline_ms), arrival).await.is_err() {
            let seen = self.spans_of(trace).len();
            let dropped = self.dropped();
            return Err(WaitError { what: what.to_owned(), trace, deadline_ms, seen, dropped });
        }
        Ok(self.spans_of(trace))
    }
}

/// Why the receiver could not start.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// No such address here, or it is taken.
    #[error("cannot receive telemetry on {host}:{port}: {source}; port 0 takes any free port")]
    Bind {
        /// As given.
        host: String,
        /// As given.
        port: u16,
        /// The system's words.
        source: std::io::Error,
    },
}

/// Spans that did not arrive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no {what} in trace {trace} within {deadline_ms} ms; {seen} spans of it arrived, \
     {dropped} of any trace were dropped"
)]
pub struct WaitError {
    /// What was awaited.
    pub what: String,
    /// Where.
    pub trace: TraceId,
    /// How long.
    pub deadline_ms: u64,
    /// Spans of this trace that are there.
    pub seen: usize,
    /// See [`Collector::dropped`].
    pub dropped: u64,
}

#[derive(Debug)]
struct Shared {
    store: Mutex<Store>,
    changes: watch::Sender<()>,
}

impl Shared {
    /// Stores spans, wakes those who wait, and returns how many did not fit.
    fn insert(&self, spans: impl IntoIterator<Item = SpanRecord>) -> u64 {
        let dropped =
            self.with(|store| spans.into_iter().map(|span| u64::from(!store.insert(span))).sum());
        self.changes.send_replace(());
        dropped
    }

    fn with<T>(&self, access: impl FnOnce(&mut Store) -> T) -> T {
        // Every change of the store is complete before anything can panic.
        access(&mut self.store.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The gRPC service: converts and stores.
#[derive(Debug)]
struct Receiver(Arc<Shared>);

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: tonic::Request<proto::ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<proto::ExportTraceServiceResponse>, tonic::Status> {
        let (spans, malformed) = otlp::records(request.into_inner().resource_spans);
        self.0.with(|store| store.count_dropped(malformed));
        let rejected = self.0.insert(spans) + malformed;
        let partial_success = (rejected > 0).then(|| proto::ExportTracePartialSuccess {
            rejected_spans: i64::try_from(rejected).unwrap_or(i64::MAX),
            error_message: "the collector is full, or a span has no valid id".to_owned(),
        });
        Ok(tonic::Response::new(proto::ExportTraceServiceResponse { partial_success }))
    }
}

#[cfg(test)]
mod tests;
