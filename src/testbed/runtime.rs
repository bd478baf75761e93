//! Where peers and proxy run: the one seam between a plan and the machines.

use std::path::{Path, PathBuf};

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::plan::{PeerPlan, Plan};
use part::PartPlace;

pub(in crate::testbed) use logs::tail as last_log_lines;

pub mod attach;
pub mod choice;
pub mod control;
pub mod docker;
pub mod environment;
mod logs;
pub mod owner;
pub mod part;
pub mod process;
pub mod procfs;

/// Facts of one run that every runtime needs.
#[derive(Clone, Debug)]
pub struct RunContext {
    /// Label of everything the run makes: `<time>-<name>-<random>`, lower case,
    /// at most 63 characters, so that it is a valid name everywhere.
    pub run_id: String,
    /// The run's directory, absolute: what outlives its maker is known by it.
    pub directory: PathBuf,
    /// Log filter for the daemons.
    pub log_filter: String,
    /// Whether what is started is meant to outlive this process. It is still
    /// removed unless [`Runtime::release`] is called.
    pub outlives: bool,
}

impl RunContext {
    /// Of something short that no run asked for.
    pub(in crate::testbed) fn of_probe(run_id: &str) -> Self {
        Self {
            run_id: run_id.to_owned(),
            directory: PathBuf::new(),
            log_filter: String::new(),
            outlives: false,
        }
    }
}

/// Where daemons send their spans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spans {
    /// To the OTLP receiver inside `dropbed`, at this port of the host that
    /// [`Runtime::prepare`] tells.
    ToUs(u16),
    /// To somebody else's collector, by its URL.
    To(String),
    /// Nowhere.
    Off,
}

/// What a runtime says before anything is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// Host at which `dropbed` must bind its OTLP receiver so that daemons reach it.
    pub otlp_host: String,
    /// What the plan asks for and this runtime cannot give; the run goes on.
    pub warnings: Vec<String>,
}

/// How to reach one daemon's control service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlAddress {
    /// A unix socket.
    Unix(PathBuf),
    /// `host:port`, with the bearer token of this run.
    Tcp {
        /// Where to connect.
        address: String,
        /// Sent as `authorization: Bearer <token>`.
        token: String,
    },
}

/// A daemon that answers on its control address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerEndpoint {
    /// From the plan.
    pub name: String,
    /// For the orchestrator.
    pub control: ControlAddress,
    /// `host:port` of its peer listener, as the proxy sees it.
    pub upstream: String,
}

impl PeerEndpoint {
    /// The token that its control service wants, if it wants one.
    pub fn token(&self) -> Option<&str> {
        match &self.control {
            ControlAddress::Unix(_) => None,
            ControlAddress::Tcp { token, .. } => Some(token),
        }
    }
}

/// Everything that was started, and how to reach it. Peers in the plan's order.
#[derive(Clone, Debug)]
pub struct World {
    /// Base URL of the proxy's HTTP API, as the orchestrator sees it.
    pub proxy_api: String,
    /// Where links listen.
    pub link_hosts: LinkHosts,
    /// The daemons.
    pub peers: Vec<PeerEndpoint>,
}

/// Where the proxy's link listeners are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkHosts {
    /// Host that they bind to.
    pub bind: String,
    /// Host at which peers reach them.
    pub dial: String,
    /// Whether a link listens on [`LinkPlan::port`](super::plan::LinkPlan::port)
    /// (containers) or on any free port (processes).
    pub fixed_ports: bool,
}

/// What another process released: enough to work on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Base URL of the proxy's HTTP API.
    pub proxy_api: String,
    /// The daemons.
    pub peers: Vec<PeerEndpoint>,
    /// The proxy and the daemons.
    pub parts: Vec<PartPlace>,
}

/// What a resumed runtime takes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// `save_logs`, `watch` and `down` concern only what it starts itself.
    Beside,
    /// They concern all that stands.
    Whole,
}

/// Something the run needs ended by itself.
#[derive(Clone, Debug)]
pub struct Death {
    /// A peer's name, or `proxy`.
    pub who: String,
    /// Exit code, or `None` when a signal (named in `how`) ended it.
    pub exit_code: Option<i32>,
    /// In words: "exit code 3", "signal 9 (SIGKILL)", "out of memory".
    pub how: String,
    /// Its last log lines, oldest first.
    pub last_log_lines: Vec<String>,
}

impl std::fmt::Display for Death {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ended by itself: {}", self.who, self.how)?;
        if !self.last_log_lines.is_empty() {
            write!(f, "\n  its last log lines:")?;
        }
        for line in &self.last_log_lines {
            write!(f, "\n    {line}")?;
        }
        Ok(())
    }
}

/// Why a runtime could not do its part.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// Something this machine lacks. Exit code 3.
    #[error("{what}\n  hint: {hint}")]
    Environment {
        /// What is missing.
        what: String,
        /// What to do about it.
        hint: String,
    },
    /// A part ended while it was being started. Exit code 4.
    #[error("while it was being started, {0}")]
    Died(Death),
    /// Anything else. Exit code 4.
    #[error("{0}")]
    Failed(String),
}

/// The kinds of runtime, as `--runtime` names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RuntimeKind {
    /// Local processes on 127.0.0.x; no engine needed.
    Process,
    /// Containers, by testcontainers.
    Docker,
    /// Peers and proxy that already run (Compose): only driven.
    Attach,
}

impl std::fmt::Display for RuntimeKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Process => "process",
            Self::Docker => "docker",
            Self::Attach => "attach",
        })
    }
}

/// Starts and removes what a plan names.
///
/// `down` is called exactly once, after success, failure and Ctrl-C alike, and
/// leaves nothing behind; dropping without it cleans up as far as a destructor
/// can, and `dropbed gc` does the rest after SIGKILL. After `release` neither
/// removes anything.
pub trait Runtime: Send + std::fmt::Debug {
    /// Which one.
    fn kind(&self) -> RuntimeKind;

    /// Checks what the runtime needs, before anything is started, and prepares
    /// what telemetry needs.
    fn prepare<'a>(
        &'a mut self,
        plan: &'a Plan,
        context: &'a RunContext,
    ) -> BoxFuture<'a, Result<Prepared, RuntimeError>>;

    /// In place of `prepare` and `up`: works on what another process released. The
    /// plan is needed by whoever starts something.
    fn resume<'a>(
        &'a mut self,
        plan: Option<&'a Plan>,
        standing: &'a Standing,
        context: &'a RunContext,
        claim: Claim,
    ) -> BoxFuture<'a, Result<(), RuntimeError>>;

    /// Starts proxy and peers, and returns when all of them answer.
    fn up<'a>(
        &'a mut self,
        plan: &'a Plan,
        spans: &'a Spans,
    ) -> BoxFuture<'a, Result<World, RuntimeError>>;

    /// Starts these peers beside what stands; they are not among it. Returns when
    /// they answer, in this order.
    fn start<'a>(
        &'a mut self,
        peers: &'a [PeerPlan],
        spans: &'a Spans,
    ) -> BoxFuture<'a, Result<Vec<PeerEndpoint>, RuntimeError>>;

    /// Removes a peer that stands, with its data.
    fn remove<'a>(&'a mut self, peer: &'a str) -> BoxFuture<'a, Result<(), RuntimeError>>;

    /// Where the parts are that this runtime started: the proxy and peers.
    fn parts(&self) -> Vec<PartPlace>;

    /// Lets go of everything: it now stands until `dropbed down`.
    fn release(&mut self);

    /// Resolves when something that this runtime started has ended by itself. May
    /// be dropped and called again.
    fn watch(&mut self) -> BoxFuture<'_, Death>;

    /// Writes `<directory>/<name>.log` for each part; makes the directory.
    fn save_logs<'a>(&'a mut self, directory: &'a Path) -> BoxFuture<'a, Result<(), RuntimeError>>;

    /// Removes everything that was started. Goes on after an error, and returns
    /// the first.
    fn down(&mut self) -> BoxFuture<'_, Result<(), RuntimeError>>;
}
