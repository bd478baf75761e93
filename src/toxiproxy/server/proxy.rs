//! One proxy: what it is, its toxics, and whether it listens.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::super::api::{ConnectionCounters, Proxy, ProxyCounters, ProxySpec, ProxyUpdate, Stream};
use super::meter::{ProxyMeter, StreamMeter};
use super::refusal::Refusal;
use super::registry::Shared;
use super::toxics::ToxicList;
use accept::Acceptor;

mod accept;

/// A proxy of the registry.
#[derive(Debug)]
pub(super) struct ProxyEntry {
    name: String,
    listen: String,
    upstream: String,
    toxics: ToxicList,
    meter: Arc<ProxyMeter>,
    shared: Shared,
    running: Option<Running>,
}

/// A listener and its connections. Dropping it cuts them, without waiting.
#[derive(Debug)]
struct Running {
    cut: CancellationToken,
    tasks: TaskTracker,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.cut.cancel();
    }
}

impl ProxyEntry {
    /// A proxy that does not listen yet. `spec` was checked.
    pub(super) fn new(spec: ProxySpec, shared: Shared) -> Self {
        let ProxySpec { name, listen, upstream, enabled: _ } = spec;
        Self {
            name,
            listen,
            upstream,
            toxics: ToxicList::new(shared.buckets.clone()),
            meter: Arc::default(),
            shared,
            running: None,
        }
    }

    /// As the API tells it.
    pub(super) fn describe(&self) -> Proxy {
        Proxy {
            name: self.name.clone(),
            listen: self.listen.clone(),
            upstream: self.upstream.clone(),
            enabled: self.running.is_some(),
            toxics: self.toxics.all(),
        }
    }

    /// Whether `spec` asks for what is there already.
    pub(super) fn is_same(&self, spec: &ProxySpec) -> bool {
        self.listen == spec.listen && self.upstream == spec.upstream
    }

    /// Listens, if it does not yet. The port that was found is kept.
    pub(super) async fn start(&mut self) -> Result<(), Refusal> {
        if self.running.is_some() {
            return Ok(());
        }
        let (listener, address) = accept::bind(&self.listen).await?;
        self.listen = address.to_string();
        let running = Running { cut: CancellationToken::new(), tasks: TaskTracker::new() };
        let acceptor = Acceptor {
            proxy: self.name.clone(),
            upstream: self.upstream.clone(),
            toxics: self.toxics.follow(),
            meter: Arc::clone(&self.meter),
            shared: self.shared.clone(),
            tasks: running.tasks.clone(),
            cut: running.cut.clone(),
        };
        running.tasks.spawn(acceptor.run(listener));
        self.running = Some(running);
        Ok(())
    }

    /// Closes the listener and all connections; when it returns they are closed.
    pub(super) async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.cut.cancel();
            running.tasks.close();
            running.tasks.wait().await;
        }
    }

    /// Changes listen and upstream, which cuts connections, and starts or stops.
    /// When it cannot listen it stays disabled.
    pub(super) async fn update(&mut self, update: ProxyUpdate) -> Result<(), Refusal> {
        let enabled = update.enabled.unwrap_or_else(|| self.running.is_some());
        let listen = update.listen.unwrap_or_else(|| self.listen.clone());
        let upstream = update.upstream.unwrap_or_else(|| self.upstream.clone());
        if upstream.is_empty() {
            return Err(Refusal::MissingField("upstream".to_owned()));
        }
        if listen != self.listen || upstream != self.upstream || !enabled {
            self.stop().await;
            (self.listen, self.upstream) = (listen, upstream);
        }
        if enabled { self.start().await } else { Ok(()) }
    }

    /// All toxics.
    pub(super) fn toxics(&self) -> &ToxicList {
        &self.toxics
    }

    /// Its counters now.
    pub(super) fn counters(&self) -> ProxyCounters {
        self.meter.counters()
    }

    /// Its connections' counters now.
    pub(super) fn connections(&self) -> Vec<ConnectionCounters> {
        self.meter.list()
    }

    /// One direction's counters.
    pub(super) fn stream_meter(&self, stream: Stream) -> &StreamMeter {
        self.meter.stream(stream)
    }
}
