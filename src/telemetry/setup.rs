//! Logs to stderr and spans to an OTLP collector, set up once per process.
//!
//! Two filters that know nothing of each other: logs are events and pass the
//! log filter; spans are ours (target `dropbed`) and all go to the collector.
//! Without a collector nobody listens to spans, and the callsites are disabled.

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::{Dispatch, Metadata, Subscriber};
use tracing_subscriber::filter::{EnvFilter, FilterExt as _, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::registry::{LookupSpan, Registry};

use self::export::Export;
pub use self::export::{FLUSH_DEADLINE_MS, FlushError, SPAN_BATCH_MAX, SPAN_QUEUE_MAX};
use super::colour;
use super::names::{attribute, environment};

mod export;
mod tally;

/// Spans of this target, and of its modules, are exported.
const TARGET: &str = "dropbed";

/// Sets up logs and, with an endpoint, spans for the whole process. Call it once,
/// inside a tokio runtime when there is an endpoint.
///
/// `instance` names this peer in every trace, `otlp_endpoint` is a URL like
/// `http://127.0.0.1:4317`, and `log_filter_default` holds unless the environment
/// variable `DROPBED_LOG` says otherwise.
///
/// # Errors
/// A log filter or endpoint that does not parse, no runtime, or a second call.
pub fn install(
    service_name: &str,
    instance: &str,
    otlp_endpoint: Option<&str>,
    log_filter_default: &str,
) -> Result<Telemetry, SetupError> {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let (filter, run_id) = (set(environment::LOG), set(environment::RUN_ID));
    let filter = filter.as_deref().unwrap_or(log_filter_default);
    let source = Source { service_name, instance, run_id: run_id.as_deref() };
    let (dispatch, telemetry) = build(&source, otlp_endpoint, filter)?;
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    tracing::dispatcher::set_global_default(dispatch).map_err(|_| SetupError::AlreadyInstalled)?;
    Ok(telemetry)
}

/// The process's telemetry. Dropping it exports nothing: call [`Self::shutdown`].
#[derive(Debug)]
pub struct Telemetry {
    export: Option<Export>,
}

impl Telemetry {
    /// Exports all spans that have ended, and returns when the collector has
    /// them. Without an endpoint there is nothing to do. Cancel-safe: the export
    /// goes on in its thread.
    ///
    /// # Errors
    /// Says how many spans were lost since the last flush, and why.
    pub async fn flush(&self) -> Result<(), FlushError> {
        match &self.export {
            Some(export) => export.flush().await,
            None => Ok(()),
        }
    }

    /// Flushes, then ends the export thread. Spans that end later are lost.
    ///
    /// # Errors
    /// As [`Self::flush`].
    pub async fn shutdown(&self) -> Result<(), FlushError> {
        match &self.export {
            Some(export) => export.shutdown().await,
            None => Ok(()),
        }
    }
}

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// From `DROPBED_LOG` or the configuration.
    #[error("log filter `{filter}`: {reason}; it looks like `info,dropbed=debug`")]
    LogFilter {
        /// As given.
        filter: String,
        /// What the parser says.
        reason: String,
    },
    /// From `OTEL_EXPORTER_OTLP_ENDPOINT` or the configuration.
    #[error("OTLP endpoint `{endpoint}`: {reason}; it looks like `http://127.0.0.1:4317`")]
    Endpoint {
        /// As given.
        endpoint: String,
        /// What the exporter says.
        reason: String,
    },
    /// The exporter's gRPC channel lives on a runtime.
    #[error("spans cannot be exported from outside a tokio runtime; install inside one")]
    NoRuntime,
    /// There is one subscriber per process.
    #[error("telemetry is installed already in this process; install it once, in main")]
    AlreadyInstalled,
}

/// Who the spans are from.
#[derive(Clone, Copy, Debug)]
struct Source<'a> {
    service_name: &'a str,
    instance: &'a str,
    run_id: Option<&'a str>,
}

impl Source<'_> {
    fn resource(&self) -> Resource {
        let instance = KeyValue::new("service.instance.id", self.instance.to_owned());
        let run_id = self.run_id.map(|id| KeyValue::new(attribute::RUN_ID, id.to_owned()));
        Resource::builder()
            .with_service_name(self.service_name.to_owned())
            .with_attributes([instance].into_iter().chain(run_id))
            .build()
    }
}

/// The subscriber as a value, so that a test can have its own.
fn build(
    source: &Source<'_>,
    otlp_endpoint: Option<&str>,
    log_filter: &str,
) -> Result<(Dispatch, Telemetry), SetupError> {
    let filter = EnvFilter::builder().parse(log_filter).map_err(|error| SetupError::LogFilter {
        filter: log_filter.to_owned(),
        reason: error.to_string(),
    })?;
    let Some(endpoint) = otlp_endpoint else {
        // Filters of the whole subscriber: nobody else is there to want a span.
        let filtered = Registry::default().with(filter).with(filter_fn(is_no_span));
        let dispatch = Dispatch::new(filtered.with(log()));
        return Ok((dispatch, Telemetry { export: None }));
    };
    let export = Export::new(source.resource(), endpoint)?;
    // Attributes that cost at every span and that no reader here wants are off.
    let spans = tracing_opentelemetry::layer()
        .with_tracer(export.tracer(TARGET))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_filter(filter_fn(is_own_span));
    let log = log().with_filter(filter.and(filter_fn(is_no_span)));
    let dispatch = Dispatch::new(Registry::default().with(spans).with(log));
    Ok((dispatch, Telemetry { export: Some(export) }))
}

/// To stderr, in colour only for a person.
fn log<S>() -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let is_coloured = colour::is_wanted(&std::io::stderr());
    tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(is_coloured)
}

/// Logs are events; spans are for the collector.
fn is_no_span(metadata: &Metadata<'_>) -> bool {
    !metadata.is_span()
}

/// Spans of the exporter's own gRPC stack are not ours, so exports do not beget
/// exports.
fn is_own_span(metadata: &Metadata<'_>) -> bool {
    let own = metadata.target().strip_prefix(TARGET);
    metadata.is_span() && own.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[cfg(test)]
mod tests;
