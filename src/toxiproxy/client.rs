//! A typed client for a Toxiproxy server, bundled or stock.
//!
//! Strict: each call knows the one status that means success, reads the body as
//! JSON whatever its content type says, and compares what the server made with
//! what was asked. Every call has a deadline and ignores proxy settings of the
//! environment.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, StatusCode, Url, redirect};
use serde::Serialize;
use tokio::sync::OnceCell;

use super::api::{
    BUNDLED_MARK, Effect, Latency, Populated, Proxy, ProxyCounters, ProxySpec, ProxyUpdate, Toxic,
    ToxicUpdate, VersionBody,
};
pub use error::ClientError;
pub use remove::Removal;

mod call;
mod error;
mod remove;

/// Deadline of a call unless told otherwise: a little more than the 25 s after
/// which a server gives up by itself.
pub const CALL_DEADLINE: Duration = Duration::from_secs(28);

/// A server's HTTP API. Clones share connections.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    deadline: Duration,
    version: Arc<OnceCell<ServerVersion>>,
}

/// What a server says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerVersion {
    /// For instance `2.12.0`.
    pub text: String,
    /// Whether it is the server of this package, with its extensions.
    pub is_bundled: bool,
}

impl Client {
    /// A client for the API at `base_url`, for instance `http://127.0.0.1:8474`.
    /// Connects when first used.
    ///
    /// # Errors
    /// [`ClientError::BaseUrl`].
    pub fn new(base_url: &str) -> Result<Self, ClientError> {
        let refuse = |why: String| ClientError::BaseUrl { url: base_url.to_owned(), why };
        let base = Url::parse(base_url).map_err(|e| refuse(e.to_string()))?;
        if base.scheme() != "http" || base.cannot_be_a_base() {
            return Err(refuse("it must begin with http://".to_owned()));
        }
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .user_agent(concat!("dropbed/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| refuse(e.to_string()))?;
        Ok(Self { http, base, deadline: CALL_DEADLINE, version: Arc::default() })
    }

    /// The same with another deadline per call.
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Which server it is. Asked once, then remembered.
    ///
    /// # Errors
    /// Any [`ClientError`]; an error is not remembered.
    pub async fn version(&self) -> Result<&ServerVersion, ClientError> {
        let ask = || async {
            let call = self.call("ask for the version", Method::GET, &["version"]);
            let VersionBody { version } = call.expect_json(StatusCode::OK).await?;
            let is_bundled = version.contains(BUNDLED_MARK);
            Ok(ServerVersion { text: version, is_bundled })
        };
        self.version.get_or_try_init(ask).await
    }

    /// All proxies by name.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn proxies(&self) -> Result<BTreeMap<String, Proxy>, ClientError> {
        self.call("list the proxies", Method::GET, &["proxies"]).expect_json(StatusCode::OK).await
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

    /// Creates a proxy that has its toxics before it accepts the first connection:
    /// disabled, then shaped, then enabled. After an error it is deleted again, as
    /// far as the server still answers.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn create_shaped(
        &self,
        spec: &ProxySpec,
        toxics: &[Toxic],
    ) -> Result<Proxy, ClientError> {
        self.create(&ProxySpec { enabled: Some(false), ..spec.clone() }).await?;
        let shaped = async {
            for toxic in toxics {
                self.add_toxic(&spec.name, toxic).await?;
            }
            let enable = ProxyUpdate { enabled: Some(true), ..ProxyUpdate::default() };
            self.update(&spec.name, &enable).await
        };
        match shaped.await {
            Ok(proxy) => Ok(proxy),
            Err(error) => {
                // The first error says more than that of cleaning up.
                let _ = self.delete(&spec.name).await;
                Err(error)
            }
        }
    }

    /// Creates or replaces proxies in bulk; identical ones are left alone.
    ///
    /// # Errors
    /// [`ClientError::Refused`] when one of them cannot be made; those before it
    /// stay. Any other.
    pub async fn populate(&self, specs: &[ProxySpec]) -> Result<Vec<Proxy>, ClientError> {
        let action = format!("populate {} proxies", specs.len());
        let call = self.call(&action, Method::POST, &["populate"]).body(&specs);
        let Populated { proxies, .. } = call.expect_json(StatusCode::CREATED).await?;
        Ok(proxies)
    }

    /// One proxy.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn get(&self, proxy: &str) -> Result<Proxy, ClientError> {
        let action = format!("show proxy {proxy:?}");
        self.call(&action, Method::GET, &["proxies", proxy]).expect_json(StatusCode::OK).await
    }

    /// Changes a proxy.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn update(&self, proxy: &str, update: &ProxyUpdate) -> Result<Proxy, ClientError> {
        let action = format!("update proxy {proxy:?}");
        let call = self.call(&action, Method::PATCH, &["proxies", proxy]).body(update);
        let updated: Proxy = call.expect_json(StatusCode::OK).await?;
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

    /// The toxics of a proxy, in order of creation.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn toxics(&self, proxy: &str) -> Result<Vec<Toxic>, ClientError> {
        let action = format!("list the toxics of proxy {proxy:?}");
        let call = self.call(&action, Method::GET, &["proxies", proxy, "toxics"]);
        call.expect_json(StatusCode::OK).await
    }

    /// Adds a toxic at the end.
    ///
    /// # Errors
    /// [`ClientError::FractionalMillis`] when a stock server would have to round;
    /// any other.
    pub async fn add_toxic(&self, proxy: &str, toxic: &Toxic) -> Result<Toxic, ClientError> {
        let action = format!("add toxic {:?} to proxy {proxy:?}", toxic.name);
        self.check_fractions(&action, &toxic.effect).await?;
        let call = self.call(&action, Method::POST, &["proxies", proxy, "toxics"]).body(toxic);
        let added = call.expect_json(StatusCode::OK).await?;
        agree(&action, toxic, added)
    }

    /// Gives a toxic, found by its name, the effect and toxicity of `toxic`. Its
    /// type and stream cannot change.
    ///
    /// # Errors
    /// Those of [`Self::add_toxic`].
    pub async fn update_toxic(&self, proxy: &str, toxic: &Toxic) -> Result<Toxic, ClientError> {
        let action = format!("update toxic {:?} of proxy {proxy:?}", toxic.name);
        self.check_fractions(&action, &toxic.effect).await?;
        let attributes = Some(toxic.effect.attributes());
        let update = ToxicUpdate { attributes, toxicity: Some(toxic.toxicity) };
        let path = ["proxies", proxy, "toxics", &toxic.name];
        let call = self.call(&action, Method::PATCH, &path).body(&update);
        let updated = call.expect_json(StatusCode::OK).await?;
        agree(&action, toxic, updated)
    }

    /// Removes a toxic. Under load a stock server may hang in this: see
    /// [`Self::remove_toxic_surely`].
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn remove_toxic(&self, proxy: &str, toxic: &str) -> Result<(), ClientError> {
        let action = format!("remove toxic {toxic:?} of proxy {proxy:?}");
        let call = self.call(&action, Method::DELETE, &["proxies", proxy, "toxics", toxic]);
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
        let version = self.version().await?;
        if !version.is_bundled {
            let version = version.text.clone();
            return Err(ClientError::NotBundled { action: action.to_owned(), version });
        }
        let call = self.call(action, Method::GET, &["dropbed", "counters"]);
        call.expect_json(StatusCode::OK).await
    }

    async fn check_fractions(&self, action: &str, effect: &Effect) -> Result<(), ClientError> {
        let Effect::Latency(Latency { latency, jitter }) = effect else { return Ok(()) };
        for value in [latency, jitter] {
            if !value.is_whole() && !self.version().await?.is_bundled {
                return Err(ClientError::FractionalMillis {
                    action: action.to_owned(),
                    value: *value,
                });
            }
        }
        Ok(())
    }
}

/// `made`, if it is what was asked for. The stock server keeps toxicity in single
/// precision.
fn agree(action: &str, asked: &Toxic, made: Toxic) -> Result<Toxic, ClientError> {
    let same_effect = match (&asked.effect, &made.effect) {
        // A server may fill in attributes that were left out.
        (Effect::Other { kind, .. }, effect) => kind == effect.kind(),
        (asked, made) => asked == made,
    };
    let same_toxicity = (asked.toxicity - made.toxicity).abs() <= f64::from(f32::EPSILON);
    if same_effect && same_toxicity && asked.name == made.name && asked.stream == made.stream {
        Ok(made)
    } else {
        Err(disagreement(action, asked, &made))
    }
}

fn disagreement(action: &str, asked: &impl Serialize, made: &impl Serialize) -> ClientError {
    let text = |value: serde_json::Result<String>| value.unwrap_or_else(|e| e.to_string());
    ClientError::Disagrees {
        action: action.to_owned(),
        asked: text(serde_json::to_string(asked)),
        made: text(serde_json::to_string(made)),
    }
}

#[cfg(test)]
mod tests;
