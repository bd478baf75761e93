//! The bundled server.
//!
//! `http` speaks the API and hands jobs to `registry`, which owns the proxies;
//! each `proxy` owns a listener and hands its connections to `link`, which
//! delays and counts bytes.

use std::time::Duration;

use futures::future::join;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::api::ProxySpec;
pub use args::{READY_PREFIX, ToxiproxyArgs, normalise_stock_flags, run};
pub use metrics::MetricsOptions;
use registry::Registry;

mod alarm;
mod args;
mod bucket;
mod clock;
mod http;
mod json;
mod link;
mod meter;
mod metrics;
mod pool;
mod proxy;
mod refusal;
mod registry;
mod toxics;

/// API calls under way at shutdown have this long to be answered.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(2);

/// What a server is started with.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Everything random is derived from it: the same seed, proxies and order of
    /// connections give the same draws.
    pub seed: u64,
    /// What `/metrics` shows.
    pub metrics: MetricsOptions,
    /// Made before the first call is answered, as by `POST /populate`.
    pub proxies: Vec<ProxySpec>,
}

/// Why a server did not start or did not go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A proxy of [`Options::proxies`] could not be made.
    #[error("cannot make the configured proxies: {0}")]
    Proxies(String),
}

/// Answers the API on `listener` until `shutdown` resolves; then closes every
/// proxy. Dropping the future closes them too, without waiting.
///
/// # Errors
/// [`ServeError`]; nothing listens any more after it.
pub async fn serve(
    listener: TcpListener,
    options: Options,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    serve_and_tell(listener, options, || (), shutdown).await
}

/// The same; calls `ready` when every configured proxy is made.
async fn serve_and_tell(
    listener: TcpListener,
    options: Options,
    ready: impl FnOnce(),
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let closing = CancellationToken::new();
    let (desk, work) = registry::open(Registry::new(options.seed), closing.clone());
    let api = async move {
        // A connection that lingers holds a desk: the work is told, too.
        let _closing = closing.drop_guard();
        let proxies = options.proxies;
        let populated = desk.ask(|all| Box::pin(async move { all.populate(proxies).await })).await;
        if let Ok((_, Some(refusal))) = populated {
            return Err(ServeError::Proxies(refusal.to_string()));
        }
        ready();
        let router = http::router(desk, options.metrics);
        http::answer(listener, router, SHUTDOWN_DEADLINE, shutdown).await;
        Ok(())
    };
    let (result, ()) = join(api, work).await;
    result
}

#[cfg(test)]
mod tests;
