//! Proxies and toxics that go when their guard goes.

use std::future::pending;
use std::panic::resume_unwind;

use tokio::runtime::Handle;
use tokio::task::JoinError;

use super::super::api::{Proxy, ProxySpec, ProxyUpdate, Toxic};
use super::error::Outcome;
use super::toxics::agree;
use super::{Client, ClientError, Removal};

/// A proxy that is deleted when this is dropped.
///
/// The drop does not wait: it leaves the deleting to the runtime that the guard was
/// made in. That is best effort: it has a deadline, its failure is only traced, and
/// a runtime that ends takes it along. Where it matters, await [`Self::undo`].
#[derive(Debug)]
#[must_use = "dropping it deletes the proxy"]
pub struct ProxyGuard {
    client: Client,
    proxy: Proxy,
    runtime: Handle,
    is_armed: bool,
}

impl ProxyGuard {
    /// The proxy as it was made; `listen` has the real port.
    pub const fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    /// Deletes the proxy and waits for it. One that is gone already is no error.
    ///
    /// # Errors
    /// Any [`ClientError`]; nothing more is attempted then.
    pub async fn undo(mut self) -> Result<(), ClientError> {
        let result = self.client.delete_surely(&self.proxy.name).await;
        self.is_armed = false;
        result
    }

    /// The proxy stays.
    pub fn keep(mut self) -> Proxy {
        self.is_armed = false;
        self.proxy.clone()
    }
}

impl Drop for ProxyGuard {
    fn drop(&mut self) {
        if !self.is_armed {
            return;
        }
        let (client, name) = (self.client.clone(), self.proxy.name.clone());
        self.runtime.spawn(async move {
            if let Err(error) = client.delete_surely(&name).await {
                tracing::warn!(%error, "a proxy outlives its guard");
            }
        });
    }
}

/// A toxic that is removed when this is dropped, in the same way as [`ProxyGuard`].
///
/// It is removed as [`Client::remove_toxic_surely`] does it: when the server does
/// not remove it, it is made neutral, and failing that its whole proxy is deleted.
#[derive(Debug)]
#[must_use = "dropping it removes the toxic"]
pub struct ToxicGuard {
    client: Client,
    proxy: String,
    toxic: Toxic,
    runtime: Handle,
    is_armed: bool,
}

impl ToxicGuard {
    /// The toxic as it was added.
    pub const fn toxic(&self) -> &Toxic {
        &self.toxic
    }

    /// Removes the toxic and waits for it.
    ///
    /// # Errors
    /// Those of [`Client::remove_toxic_surely`]; nothing more is attempted then.
    pub async fn undo(mut self) -> Result<Removal, ClientError> {
        let result = self.client.remove_toxic_surely(&self.proxy, &self.toxic).await;
        self.is_armed = false;
        result
    }

    /// The toxic stays.
    pub fn keep(mut self) -> Toxic {
        self.is_armed = false;
        self.toxic.clone()
    }
}

impl Drop for ToxicGuard {
    fn drop(&mut self) {
        if !self.is_armed {
            return;
        }
        let (client, proxy, toxic) = (self.client.clone(), self.proxy.clone(), self.toxic.clone());
        self.runtime.spawn(async move {
            if let Err(error) = client.remove_toxic_surely(&proxy, &toxic).await {
                tracing::warn!(%error, "a toxic outlives its guard");
            }
        });
    }
}

impl Client {
    /// Creates a proxy that has its toxics before it accepts the first connection:
    /// disabled, then shaped, then enabled, unless `spec` wants it disabled. After
    /// an error, or when this is not awaited to its end, it is deleted again, as far
    /// as the server still answers. Somebody else's proxy of that name stays.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn create_shaped(
        &self,
        spec: &ProxySpec,
        toxics: &[Toxic],
    ) -> Result<Proxy, ClientError> {
        Ok(self.create_guarded(spec, toxics).await?.keep())
    }

    /// The same; the proxy lives as long as the guard.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn create_guarded(
        &self,
        spec: &ProxySpec,
        toxics: &[Toxic],
    ) -> Result<ProxyGuard, ClientError> {
        let mut guard = whole(self.clone().make_proxy(spec.clone())).await?;
        let shaped = async {
            for toxic in toxics {
                self.add_toxic(&spec.name, toxic).await?;
            }
            let enabled = Some(spec.enabled.unwrap_or(true));
            self.update(&spec.name, &ProxyUpdate { enabled, ..ProxyUpdate::default() }).await
        };
        match shaped.await {
            Ok(proxy) => {
                guard.proxy = proxy;
                Ok(guard)
            }
            Err(error) => {
                // The first error says more than that of cleaning up.
                let _ = guard.undo().await;
                Err(error)
            }
        }
    }

    /// Adds a toxic that lives as long as the guard; after an error, or when this is
    /// not awaited to its end, it is removed again. Somebody else's toxic of that
    /// name stays.
    ///
    /// # Errors
    /// Those of [`Self::add_toxic`].
    pub async fn add_toxic_guarded(
        &self,
        proxy: &str,
        toxic: &Toxic,
    ) -> Result<ToxicGuard, ClientError> {
        // Remembered: whatever fails after this fails in adding.
        self.version().await?;
        whole(self.clone().make_toxic(proxy.to_owned(), toxic.clone())).await
    }

    async fn make_proxy(self, spec: ProxySpec) -> Result<ProxyGuard, ClientError> {
        let disabled = ProxySpec { enabled: Some(false), ..spec };
        match self.create(&disabled).await {
            Ok(proxy) => {
                let runtime = Handle::current();
                Ok(ProxyGuard { client: self, proxy, runtime, is_armed: true })
            }
            Err(error) => {
                let is_made = match error.outcome() {
                    Outcome::Refused => false,
                    Outcome::Done => true,
                    // Another one of that name is in use, so it is enabled or shaped.
                    Outcome::Unknown => self.hasty().get(&disabled.name).await.is_ok_and(|there| {
                        let is_bare = !there.enabled && there.toxics.is_empty();
                        is_bare && there.upstream == disabled.upstream
                    }),
                };
                if is_made && let Err(error) = self.delete_surely(&disabled.name).await {
                    tracing::warn!(%error, "a proxy that was not made whole stays");
                }
                Err(error)
            }
        }
    }

    async fn make_toxic(self, proxy: String, toxic: Toxic) -> Result<ToxicGuard, ClientError> {
        match self.add_toxic(&proxy, &toxic).await {
            Ok(toxic) => {
                let runtime = Handle::current();
                Ok(ToxicGuard { client: self, proxy, toxic, runtime, is_armed: true })
            }
            Err(error) => {
                let is_made = match error.outcome() {
                    Outcome::Refused => false,
                    Outcome::Done => true,
                    Outcome::Unknown => {
                        let there = self.hasty().toxics(&proxy).await;
                        there.is_ok_and(|there| {
                            there.into_iter().any(|made| agree("", &toxic, made).is_ok())
                        })
                    }
                };
                if is_made && let Err(error) = self.remove_toxic_surely(&proxy, &toxic).await {
                    tracing::warn!(%error, "a toxic that was not made whole stays");
                }
                Err(error)
            }
        }
    }
}

/// Carries out `making` to its end, also when nobody waits for it any more: only its
/// end tells whether there is something to undo. What it made is dropped then.
async fn whole<T: Send + 'static>(making: impl Future<Output = T> + Send + 'static) -> T {
    match tokio::spawn(making).await.map_err(JoinError::try_into_panic) {
        Ok(made) => made,
        Err(Ok(panic)) => resume_unwind(panic),
        // The runtime ends, and takes this along.
        Err(Err(_)) => pending().await,
    }
}
