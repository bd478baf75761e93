//! All proxies of a server, owned by one task that does one thing at a time.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use rustix::process::{Resource, getrlimit};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::super::api::{Proxy, ProxyCounters, ProxySpec, ProxyUpdate};
use super::bucket::Buckets;
use super::pool::Pool;
use super::proxy::ProxyEntry;
use super::refusal::{NAME_BYTES_MAX, Refusal};

/// Proxies of one server: every directed pair of 64 peers. Each takes a
/// descriptor and a port.
const PROXIES_MAX: usize = 4096;
/// Calls that wait for their turn; later ones wait in their handlers.
const JOBS_MAX: usize = 64;

/// Descriptors that connections never take: the API, listeners, pipes and alarms
/// must work when there are as many connections as there can be.
const DESCRIPTORS_RESERVED: u64 = 200;
/// Where descriptors have no limit, memory is the bound: some KiB each.
const CONNECTIONS_MAX: usize = 1024 * 1024;

/// What all proxies of a server share.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) seed: u64,
    pub(super) buckets: Buckets,
    pub(super) pool: Arc<Pool>,
    /// One for each connection that may be open.
    pub(super) places: Arc<Semaphore>,
}

impl Shared {
    fn new(seed: u64) -> Self {
        let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        // Two sockets each.
        let places = descriptors.saturating_sub(DESCRIPTORS_RESERVED) / 2;
        let places = usize::try_from(places).unwrap_or(usize::MAX).clamp(1, CONNECTIONS_MAX);
        Self {
            seed,
            buckets: Buckets::default(),
            pool: Arc::default(),
            places: Arc::new(Semaphore::new(places)),
        }
    }
}

/// The proxies by name.
#[derive(Debug)]
pub(super) struct Registry {
    proxies: BTreeMap<String, ProxyEntry>,
    shared: Shared,
}

impl Registry {
    pub(super) fn new(seed: u64) -> Self {
        Self { proxies: BTreeMap::new(), shared: Shared::new(seed) }
    }

    pub(super) fn list(&self) -> BTreeMap<String, Proxy> {
        self.proxies.iter().map(|(name, proxy)| (name.clone(), proxy.describe())).collect()
    }

    pub(super) fn proxies(&self) -> impl Iterator<Item = (&str, &ProxyEntry)> {
        self.proxies.iter().map(|(name, proxy)| (name.as_str(), proxy))
    }

    pub(super) fn proxy(&self, name: &str) -> Result<&ProxyEntry, Refusal> {
        self.proxies.get(name).ok_or(Refusal::ProxyNotFound)
    }

    pub(super) fn counters(&self) -> BTreeMap<String, ProxyCounters> {
        self.proxies.iter().map(|(name, proxy)| (name.clone(), proxy.counters())).collect()
    }

    /// Adds a proxy; it is not added when it cannot listen.
    pub(super) async fn create(&mut self, spec: ProxySpec) -> Result<Proxy, Refusal> {
        check_spec(&spec, "")?;
        if self.proxies.contains_key(&spec.name) {
            return Err(Refusal::ProxyAlreadyExists);
        }
        if self.proxies.len() >= PROXIES_MAX {
            return Err(Refusal::TooMany { what: "proxies", max: PROXIES_MAX });
        }
        let (name, enabled) = (spec.name.clone(), spec.enabled.unwrap_or(true));
        let mut proxy = ProxyEntry::new(spec, self.shared.clone());
        if enabled {
            proxy.start().await?;
        }
        let described = proxy.describe();
        self.proxies.insert(name, proxy);
        Ok(described)
    }

    /// Creates or replaces each proxy whose listen or upstream differs. All are
    /// checked before any is touched; the first that cannot listen ends it, and
    /// those before it stay.
    pub(super) async fn populate(
        &mut self,
        specs: Vec<ProxySpec>,
    ) -> (Vec<Proxy>, Option<Refusal>) {
        let mut done = Vec::new();
        for (i, spec) in specs.iter().enumerate() {
            if let Err(refusal) = check_spec(spec, &format!(" at proxy {}", i + 1)) {
                return (done, Some(refusal));
            }
        }
        for spec in specs {
            let result = match self.proxies.get(&spec.name) {
                Some(same) if same.is_same(&spec) => Ok(same.describe()),
                _ => {
                    if let Some(mut other) = self.proxies.remove(&spec.name) {
                        other.stop().await;
                    }
                    self.create(spec).await
                }
            };
            match result {
                Ok(proxy) => done.push(proxy),
                Err(refusal) => return (done, Some(refusal)),
            }
        }
        (done, None)
    }

    pub(super) async fn update(
        &mut self,
        name: &str,
        update: ProxyUpdate,
    ) -> Result<Proxy, Refusal> {
        let proxy = self.proxies.get_mut(name).ok_or(Refusal::ProxyNotFound)?;
        proxy.update(update).await?;
        Ok(proxy.describe())
    }

    pub(super) async fn delete(&mut self, name: &str) -> Result<(), Refusal> {
        let mut proxy = self.proxies.remove(name).ok_or(Refusal::ProxyNotFound)?;
        proxy.stop().await;
        Ok(())
    }

    /// Enables every proxy and removes every toxic. The first that cannot listen
    /// ends it.
    pub(super) async fn reset(&mut self) -> Result<(), Refusal> {
        for proxy in self.proxies.values_mut() {
            proxy.start().await?;
            proxy.toxics().clear();
        }
        Ok(())
    }

    async fn stop(&mut self) {
        for proxy in self.proxies.values_mut() {
            proxy.stop().await;
        }
    }
}

fn check_spec(spec: &ProxySpec, position: &str) -> Result<(), Refusal> {
    for (field, value) in [("name", &spec.name), ("upstream", &spec.upstream)] {
        if value.is_empty() {
            return Err(Refusal::MissingField(format!("{field}{position}")));
        }
    }
    if spec.name.len() > NAME_BYTES_MAX {
        return Err(Refusal::NameTooLong);
    }
    Ok(())
}

type Job = Box<dyn for<'a> FnOnce(&'a mut Registry) -> BoxFuture<'a, ()> + Send>;

/// Where handlers hand in what the registry's task is to do.
#[derive(Clone, Debug)]
pub(super) struct Desk {
    jobs: mpsc::Sender<Job>,
}

impl Desk {
    /// Has `job` done and returns its result. A job once handed in is done to its
    /// end, even if the caller goes away: nothing stays half changed.
    pub(super) async fn ask<T, F>(&self, job: F) -> Result<T, Refusal>
    where
        F: for<'a> FnOnce(&'a mut Registry) -> BoxFuture<'a, T> + Send + 'static,
        T: Send + 'static,
    {
        let (answer, result) = oneshot::channel();
        let job: Job = Box::new(move |registry| {
            Box::pin(async move {
                // The caller may have given up.
                let _ = answer.send(job(registry).await);
            })
        });
        self.jobs.send(job).await.map_err(|_| Refusal::Ending)?;
        result.await.map_err(|_| Refusal::Ending)
    }

    /// The same for what waits for nothing, be it a look or a change of toxics.
    pub(super) async fn look<T, F>(&self, job: F) -> Result<T, Refusal>
    where
        F: FnOnce(&Registry) -> T + Send + 'static,
        T: Send + 'static,
    {
        self.ask(|all| Box::pin(async move { job(all) })).await
    }
}

/// A desk, and the future that does its jobs until `closing`; then it stops every
/// proxy.
pub(super) fn open(
    mut registry: Registry,
    closing: CancellationToken,
) -> (Desk, impl Future<Output = ()> + Send) {
    let (jobs, mut inbox) = mpsc::channel::<Job>(JOBS_MAX);
    let work = async move {
        while let Some(Some(job)) = closing.run_until_cancelled(inbox.recv()).await {
            job(&mut registry).await;
        }
        registry.stop().await;
    };
    (Desk { jobs }, work)
}
