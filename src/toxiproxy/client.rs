//! A typed client for a Toxiproxy server, bundled or stock.
//!
//! Strict: each call knows the one status that means success, reads the body as
//! JSON whatever its content type says, and compares what the server made with
//! what was asked. Every call has a deadline and ignores proxy settings of the
//! environment. What only the bundled server has is refused before it is sent to
//! a stock one, with [`ClientError::NotBundled`].
//!
//! ```
//! use dropbed::toxiproxy::api::{Millis, ProxySpec, Stream, Toxic};
//! use dropbed::toxiproxy::client::Client;
//! use dropbed::toxiproxy::server::{Options, serve};
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//!
//! // Any Toxiproxy server will do; this one lives in the same process.
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let client = Client::new(&format!("http://{}", listener.local_addr()?))?;
//! tokio::spawn(serve(listener, Options::default(), std::future::pending()));
//!
//! let spec = ProxySpec {
//!     name: "database".to_owned(),
//!     listen: "127.0.0.1:0".to_owned(),
//!     upstream: "127.0.0.1:5432".to_owned(),
//!     enabled: None,
//! };
//! // A round trip of 50 ms, from the first connection on.
//! let slow = Stream::ALL.map(|stream| Toxic::latency(stream, Millis::from_micros(25_000)));
//! let guard = client.create_guarded(&spec, &slow).await?;
//! println!("connect to {}", guard.proxy().listen);
//! assert_eq!(client.toxics("database").await?, slow);
//!
//! // Dropping the guard would delete the proxy, too, but without waiting for it.
//! guard.undo().await?;
//! assert!(client.proxies().await?.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, StatusCode, Url, redirect};
use serde::Serialize;
use tokio::sync::OnceCell;

use super::api::{BUNDLED_MARK, VersionBody};
pub use error::ClientError;
pub use guard::{ProxyGuard, ToxicGuard};
pub use remove::Removal;

mod call;
mod error;
mod guard;
mod proxies;
mod remove;
mod toxics;

/// Deadline of a call unless told otherwise: a little more than the 25 s after
/// which a server gives up by itself.
pub const CALL_DEADLINE: Duration = Duration::from_secs(28);

/// A connection that was idle for longer is not used again: shorter than the 15 s
/// after which the bundled server closes it, so that no call meets the closing.
const IDLE_DEADLINE: Duration = Duration::from_secs(10);

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
            .pool_idle_timeout(IDLE_DEADLINE)
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

    async fn need_bundled(&self, action: &str, extension: String) -> Result<(), ClientError> {
        let version = self.version().await?;
        if version.is_bundled {
            return Ok(());
        }
        let version = version.text.clone();
        Err(ClientError::NotBundled { action: action.to_owned(), extension, version })
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
