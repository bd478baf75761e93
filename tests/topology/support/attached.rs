//! Parts that the test starts itself, for runs with `--runtime attach`: two daemons,
//! a proxy, and between the orchestrator and the proxy's API somebody who meddles.
//!
//! Ports are fixed in this runtime, so each test process has a network of its own in
//! 127.0.0.0/8. A peer's name is the last part of its address.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::Response;
use serde_json::Value;
use tempfile::TempDir;

use super::{Peer, Run, dropbed};

/// Who reads, and so who dials.
pub(crate) const READER: &str = "3";

/// Who serves.
pub(crate) const OWNER: &str = "2";

/// Dialler and listener.
pub(crate) const LINK: &str = "3:2";

/// What the testbed's contract gives [`LINK`], daemons, their control and spans.
const LINK_PORT: u16 = 21_000;
const PEER_PORT: u16 = 4600;
const CONTROL_PORT: u16 = 4601;
const OTLP_PORT: u16 = 4317;

/// One world at a time: their ports and addresses are the same.
static NETWORK: Mutex<()> = Mutex::new(());

/// Larger than any body of the proxy's API in these tests.
const BODY_BYTES_MAX: usize = 1 << 20;

/// What to change at the proxy behind the orchestrator's back, once it was asked
/// something and has answered: paths of toxics, and their new attributes.
pub(crate) type Meddle = fn(&Method, &str, &Value) -> Vec<(String, Value)>;

/// Changes nothing.
pub(crate) fn leave_alone(_: &Method, _: &str, _: &Value) -> Vec<(String, Value)> {
    Vec::new()
}

/// A world of two daemons and a proxy.
pub(crate) struct Attached {
    network: String,
    directory: TempDir,
    direct: bool,
    peer: Peer,
    /// The proxy, the owner, the reader.
    children: Vec<Child>,
    /// Where the orchestrator is told that the proxy's API is.
    api: SocketAddr,
    _meddler: tokio::runtime::Runtime,
    /// Given back when the children have ended.
    _turn: MutexGuard<'static, ()>,
}

impl Attached {
    /// Starts everything. With `direct`, daemons listen on the ports of the links that
    /// lead to them, and diallers are told the owner's host and not the proxy's.
    pub(crate) fn start(meddle: Meddle, direct: bool) -> Self {
        Self::start_with(Peer::Dropd, &[], meddle, direct)
    }

    /// The same with these peers, and more in the owner's environment.
    pub(crate) fn start_with(
        peer: Peer,
        of_owner: &[(&str, &str)],
        meddle: Meddle,
        direct: bool,
    ) -> Self {
        let turn = NETWORK.lock().unwrap_or_else(PoisonError::into_inner);
        let [low, high, ..] = std::process::id().to_le_bytes();
        let network = format!("127.{high}.{low}");
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let mut proxy = dropbed(["toxiproxy", "--port", "0"]);
        proxy.args(["--host", &format!("{network}.1")]);
        let (proxy, line) = spawn_until(proxy, "listening on ");
        let proxy_api = line.rsplit(' ').next().expect("an address").trim().to_owned();
        let meddler = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime can be made");
        let api = meddler.block_on(meddle_at(&network, proxy_api, meddle));
        let mut attached = Self {
            network,
            directory,
            direct,
            peer,
            children: vec![proxy],
            api,
            _meddler: meddler,
            _turn: turn,
        };
        let token = "t".repeat(32);
        std::fs::write(attached.token(), token).expect("the directory is ours");
        for name in [OWNER, READER] {
            let more = if name == OWNER { of_owner } else { &[] };
            let daemon = attached.daemon(name, more);
            attached.children.push(daemon);
        }
        attached
    }

    /// A run over these parts, of a topology with the peers [`OWNER`] and [`READER`].
    pub(crate) fn run(&self, topology: &str) -> Run {
        let file = self.directory.path().join("topology.yaml");
        std::fs::write(&file, topology).expect("the directory is ours");
        let network = &self.network;
        let link_dial_host = if self.direct { OWNER } else { "1" };
        Run::new(&file.display().to_string(), "attach")
            .option("--attach-proxy-api", &self.api())
            .option("--attach-control", &format!("{network}.{{peer}}:{CONTROL_PORT}"))
            .option("--attach-upstream", &format!("{network}.{{peer}}:{PEER_PORT}"))
            .option("--attach-link-bind-host", &format!("{network}.1"))
            .option("--attach-link-dial-host", &format!("{network}.{link_dial_host}"))
            .option("--attach-otlp-host", &format!("{network}.1"))
            .option("--attach-token-file", &self.token().display().to_string())
    }

    /// Base URL of the proxy's API.
    pub(crate) fn api(&self) -> String {
        format!("http://{}", self.api)
    }

    /// Kills the owner.
    pub(crate) fn kill_owner(&mut self) {
        let owner = self.children.get_mut(1).expect("all were started");
        owner.kill().expect("it has not been waited for");
    }

    fn token(&self) -> PathBuf {
        self.directory.path().join("token")
    }

    fn daemon(&self, name: &str, more: &[(&str, &str)]) -> Child {
        let (network, home) = (&self.network, self.directory.path().join(name));
        let share = home.join("share");
        std::fs::create_dir_all(&share).expect("the directory is ours");
        let listen = match (self.direct, name) {
            (false, _) => format!("{network}.{name}:{PEER_PORT}"),
            (true, OWNER) => format!("{network}.{OWNER}:{LINK_PORT}"),
            // The link back, which is the second.
            (true, _) => format!("{network}.{OWNER}:{}", LINK_PORT + 1),
        };
        let mut command = self.peer.command(["run"]);
        command
            .envs(more.iter().copied())
            .env("DROPD_NAME", name)
            .env("DROPD_LISTEN", listen)
            .env("DROPD_CONTROL", format!("{network}.{name}:{CONTROL_PORT}"))
            .env("DROPD_CONTROL_TOKEN_FILE", self.token())
            .env("DROPD_STATE", home.join("state"))
            .env("DROPD_SHARE", share)
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{network}.1:{OTLP_PORT}"));
        spawn_until(command, "ready").0
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        for child in &mut self.children {
            // It may have ended by itself, which is as good.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Starts a command and reads its stderr up to the line with `text`. The rest is
/// read to nowhere, so that the command never waits for it.
fn spawn_until(mut command: Command, text: &str) -> (Child, String) {
    let mut child = command.stderr(Stdio::piped()).spawn().expect("the executable was just built");
    let mut stderr = BufReader::new(child.stderr.take().expect("stderr is piped"));
    let (mut said, mut line) = (String::new(), String::new());
    while !line.contains(text) {
        line.clear();
        let read = stderr.read_line(&mut line).expect("stderr is UTF-8");
        said.push_str(&line);
        assert!(read > 0, "it ended without saying `{text}`:\n{said}");
    }
    std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
    (child, line)
}

#[derive(Clone)]
struct Meddler {
    proxy_api: String,
    http: reqwest::Client,
    meddle: Meddle,
}

/// Serves the proxy's API at another address.
async fn meddle_at(network: &str, proxy_api: String, meddle: Meddle) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind(format!("{network}.1:0")).await;
    let listener = listener.expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let http = reqwest::Client::builder().no_proxy().build().expect("a client can be made");
    let router = axum::Router::new().fallback(forward);
    let router = router.with_state(Meddler { proxy_api, http, meddle });
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// Passes a request on as it is, and its answer back as it is; in between, meddles.
async fn forward(State(meddler): State<Meddler>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, BODY_BYTES_MAX).await.expect("bodies are small");
    let path = parts.uri.path().to_owned();
    let (status, answer) = meddler.ask(parts.method.clone(), &path, body.into()).await;
    let value = serde_json::from_slice(&answer).unwrap_or(Value::Null);
    if status.is_success() {
        for (toxic, attributes) in (meddler.meddle)(&parts.method, &path, &value) {
            let update = serde_json::json!({ "attributes": attributes }).to_string();
            let (status, answer) = meddler.ask(Method::PATCH, &toxic, update.into()).await;
            assert!(status.is_success(), "{toxic}: {}", String::from_utf8_lossy(&answer));
        }
    }
    let mut response = Response::new(Body::from(answer));
    *response.status_mut() = status;
    response
}

impl Meddler {
    async fn ask(&self, method: Method, path: &str, body: Vec<u8>) -> (StatusCode, Vec<u8>) {
        let request = self.http.request(method, format!("http://{}{path}", self.proxy_api));
        let request = request.header(header::CONTENT_TYPE, "application/json").body(body);
        let answer = request.send().await.expect("the proxy answers");
        let status = answer.status();
        (status, answer.bytes().await.expect("the proxy answers whole").into())
    }
}
