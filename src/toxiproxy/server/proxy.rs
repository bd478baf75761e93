//! One proxy: what it is, its toxics, and whether it listens.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::super::api::{
    Effect, Proxy, ProxyCounters, ProxySpec, ProxyUpdate, Stream, Toxic, ToxicDraft, ToxicUpdate,
};
use super::meter::{ProxyMeter, StreamMeter};
use super::refusal::{NAME_BYTES_MAX, Refusal};
use accept::Acceptor;

mod accept;

/// Toxics of one proxy. Far more than types times streams; each costs a little on
/// every chunk.
const TOXICS_MAX: usize = 64;

/// A proxy of the registry.
#[derive(Debug)]
pub(super) struct ProxyEntry {
    name: String,
    listen: String,
    upstream: String,
    toxics: watch::Sender<Arc<[Toxic]>>,
    meter: Arc<ProxyMeter>,
    seed: u64,
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
    pub(super) fn new(spec: ProxySpec, seed: u64) -> Self {
        let ProxySpec { name, listen, upstream, enabled: _ } = spec;
        Self {
            name,
            listen,
            upstream,
            toxics: watch::Sender::new(Arc::new([])),
            meter: Arc::default(),
            seed,
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
            toxics: self.toxics(),
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
            toxics: self.toxics.subscribe(),
            meter: Arc::clone(&self.meter),
            seed: self.seed,
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

    /// All toxics, in order of creation.
    pub(super) fn toxics(&self) -> Vec<Toxic> {
        self.toxics.borrow().to_vec()
    }

    /// One toxic.
    pub(super) fn toxic(&self, name: &str) -> Result<Toxic, Refusal> {
        let toxics = self.toxics.borrow();
        toxics.iter().find(|toxic| toxic.name == name).cloned().ok_or(Refusal::ToxicNotFound)
    }

    /// Adds a toxic at the end; connections have it from their next byte on.
    pub(super) fn add_toxic(&self, draft: ToxicDraft) -> Result<Toxic, Refusal> {
        let toxic = check_draft(draft)?;
        let mut toxics = self.toxics();
        if toxics.iter().any(|other| other.name == toxic.name) {
            return Err(Refusal::ToxicAlreadyExists);
        }
        if toxics.len() >= TOXICS_MAX {
            return Err(Refusal::TooMany { what: "toxics of one proxy", max: TOXICS_MAX });
        }
        toxics.push(toxic.clone());
        self.toxics.send_replace(toxics.into());
        Ok(toxic)
    }

    /// Changes attributes and toxicity; nothing when a value is out of range.
    pub(super) fn update_toxic(&self, name: &str, update: &ToxicUpdate) -> Result<Toxic, Refusal> {
        let mut toxics = self.toxics();
        let toxic =
            toxics.iter_mut().find(|toxic| toxic.name == name).ok_or(Refusal::ToxicNotFound)?;
        if let Some(attributes) = &update.attributes {
            toxic.effect = toxic.effect.with(attributes)?;
        }
        if let Some(toxicity) = update.toxicity {
            toxic.toxicity = check_toxicity(toxicity)?;
        }
        let updated = toxic.clone();
        self.toxics.send_replace(toxics.into());
        Ok(updated)
    }

    /// Removes a toxic; what is queued keeps its due time.
    pub(super) fn remove_toxic(&self, name: &str) -> Result<(), Refusal> {
        let mut toxics = self.toxics();
        let index =
            toxics.iter().position(|toxic| toxic.name == name).ok_or(Refusal::ToxicNotFound)?;
        toxics.remove(index);
        self.toxics.send_replace(toxics.into());
        Ok(())
    }

    /// Removes all toxics.
    pub(super) fn clear_toxics(&self) {
        self.toxics.send_replace(Arc::new([]));
    }

    /// Its counters now.
    pub(super) fn counters(&self) -> ProxyCounters {
        self.meter.counters()
    }

    /// One direction's counters.
    pub(super) fn stream_meter(&self, stream: Stream) -> &StreamMeter {
        self.meter.stream(stream)
    }
}

fn check_draft(draft: ToxicDraft) -> Result<Toxic, Refusal> {
    let stream = match draft.stream {
        None => Stream::Downstream,
        Some(name) => Stream::parse(&name).ok_or(Refusal::InvalidStream)?,
    };
    let kind = draft.kind.unwrap_or_default();
    let effect = Effect::parse(&kind, &draft.attributes.unwrap_or_default())?;
    if let Effect::Other { .. } = effect {
        return Err(Refusal::InvalidToxicType);
    }
    let name = match draft.name {
        Some(name) if !name.is_empty() => name,
        _ => format!("{kind}_{}", stream.name()),
    };
    if name.len() > NAME_BYTES_MAX {
        return Err(Refusal::NameTooLong);
    }
    Ok(Toxic { name, stream, toxicity: check_toxicity(draft.toxicity.unwrap_or(1.0))?, effect })
}

fn check_toxicity(toxicity: f64) -> Result<f64, Refusal> {
    if (0.0..=1.0).contains(&toxicity) { Ok(toxicity) } else { Err(Refusal::Toxicity(toxicity)) }
}
