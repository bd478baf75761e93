//! Calls about proxies and the server as a whole.

use std::collections::BTreeMap;

use reqwest::{Method, StatusCode};

use super::super::api::{
    ConnectionCounters, Populated, Proxy, ProxyCounters, ProxySpec, ProxyUpdate,
};
use super::{Client, ClientError, disagreement};

impl Client {
    /// All proxies by name.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn proxies(&self) -> Result<BTreeMap<String, Proxy>, ClientError> {
        let call = self.call("list the proxies", Method::GET, &["proxies"]);
        let mut proxies: BTreeMap<String, Proxy> = call.expect_json(StatusCode::OK).await?;
        self.as_meant(proxies.values_mut().flat_map(|proxy| &mut proxy.toxics)).await?;
        Ok(proxies)
    }

    /// Creates a proxy; `listen` of the answer has the real port.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with 409 when the name is taken, with 500 when the
    /// server cannot listen; any other.
    pub async fn create(&self, spec: &ProxySpec) -> Result<Proxy, ClientError> {
        let action = format!("create proxy {:?}", spec.name);
        let call = self.call(&action, Method::POST, &["proxies"]).body(spec);
        let proxy: Proxy = call.expect_json(StatusCode::CREATED).await?;
        if proxy.name != spec.name || proxy.enabled != spec.enabled.unwrap_or(true) {
            return Err(disagreement(&action, spec, &proxy));
        }
        Ok(proxy)
    }

    /// Creates or replaces proxies in bulk; identical ones are left alone.
    ///
    /// # Errors
    /// [`ClientError::Refused`] when one of them cannot be made; those before it
    /// stay. Any other.
    pub async fn populate(&self, specs: &[ProxySpec]) -> Result<Vec<Proxy>, ClientError> {
        let action = format!("populate {} proxies", specs.len());
        let call = self.call(&action, Method::POST, &["populate"]).body(&specs);
        let Populated { mut proxies, .. } = call.expect_json(StatusCode::CREATED).await?;
        self.as_meant(proxies.iter_mut().flat_map(|proxy| &mut proxy.toxics)).await?;
        Ok(proxies)
    }

    /// One proxy.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn get(&self, proxy: &str) -> Result<Proxy, ClientError> {
        let action = format!("show proxy {proxy:?}");
        let call = self.call(&action, Method::GET, &["proxies", proxy]);
        let mut proxy: Proxy = call.expect_json(StatusCode::OK).await?;
        self.as_meant(&mut proxy.toxics).await?;
        Ok(proxy)
    }

    /// Changes a proxy.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn update(&self, proxy: &str, update: &ProxyUpdate) -> Result<Proxy, ClientError> {
        let action = format!("update proxy {proxy:?}");
        let call = self.call(&action, Method::PATCH, &["proxies", proxy]).body(update);
        let mut updated: Proxy = call.expect_json(StatusCode::OK).await?;
        self.as_meant(&mut updated.toxics).await?;
        if update.enabled.is_some_and(|enabled| enabled != updated.enabled) {
            return Err(disagreement(&action, update, &updated));
        }
        Ok(updated)
    }

    /// Deletes a proxy, which cuts its connections.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn delete(&self, proxy: &str) -> Result<(), ClientError> {
        let action = format!("delete proxy {proxy:?}");
        let call = self.call(&action, Method::DELETE, &["proxies", proxy]);
        call.expect_nothing(StatusCode::NO_CONTENT).await
    }

    /// Enables every proxy and removes every toxic of the server.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn reset(&self) -> Result<(), ClientError> {
        let call = self.call("reset the server", Method::POST, &["reset"]);
        call.expect_nothing(StatusCode::NO_CONTENT).await
    }

    /// Counters of every proxy, by name. An extension.
    ///
    /// # Errors
    /// [`ClientError::NotBundled`] on a stock server; any other.
    pub async fn counters(&self) -> Result<BTreeMap<String, ProxyCounters>, ClientError> {
        let action = "read the counters";
        self.need_bundled(action, "reading counters".to_owned()).await?;
        let call = self.call(action, Method::GET, &["dropbed", "counters"]);
        call.expect_json(StatusCode::OK).await
    }

    /// The connections of a proxy that are open, and the last few that were closed,
    /// each with its counters. An extension.
    ///
    /// # Errors
    /// [`ClientError::NotBundled`] on a stock server; any other.
    pub async fn connections(&self, proxy: &str) -> Result<Vec<ConnectionCounters>, ClientError> {
        let action = format!("list the connections of proxy {proxy:?}");
        self.need_bundled(&action, "listing connections".to_owned()).await?;
        let path = ["dropbed", "proxies", proxy, "connections"];
        self.call(&action, Method::GET, &path).expect_json(StatusCode::OK).await
    }
}
