//! Where peers and proxy run: the one seam between a plan and the machines.

use std::path::{Path, PathBuf};

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::plan::Plan;

pub mod attach;
pub mod choice;
pub mod control;
pub mod docker;
pub mod environment;
mod logs;
pub mod owner;
pub mod process;
pub mod procfs;

/// Facts of one run that every runtime needs.
#[derive(Clone, Debug)]
pub struct RunContext {
    /// Label of everything the run makes: `<time>-<name>-<random>`, lower case,
    /// at most 63 characters, so that it is a valid name everywhere.
    pub run_id: String,
    /// Port of the OTLP receiver inside `dropbed`, which listens where
    /// [`Runtime::prepare`] says.
    pub otlp_port: u16,
    /// Log filter for the daemons.
    pub log_filter: String,
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

/// Everything that was started, and how to reach it. Peers in the plan's order.
#[derive(Clone, Debug)]
pub struct World {
    /// Base URL of the proxy's HTTP API, as the orchestrator sees it.
    pub proxy_api: String,
    /// Host that the proxy's link listeners bind to.
    pub link_bind_host: String,
    /// Host at which peers reach those listeners.
    pub link_dial_host: String,
    /// Whether a link listens on [`LinkPlan::port`](super::plan::LinkPlan::port)
    /// (containers) or on any free port (processes).
    pub fixed_link_ports: bool,
    /// The daemons.
    pub peers: Vec<PeerEndpoint>,
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
/// can, and `dropbed gc` does the rest after SIGKILL.
pub trait Runtime: Send {
    /// Which one.
    fn kind(&self) -> RuntimeKind;

    /// Checks what the runtime needs, before anything is started, and prepares
    /// what telemetry needs. Returns the host at which `dropbed` must bind its
    /// OTLP receiver so that daemons reach it.
    fn prepare<'a>(
        &'a mut self,
        plan: &'a Plan,
        run_id: &'a str,
    ) -> BoxFuture<'a, Result<String, RuntimeError>>;

    /// Starts proxy and peers, and returns when all of them answer.
    fn up<'a>(
        &'a mut self,
        plan: &'a Plan,
        context: &'a RunContext,
    ) -> BoxFuture<'a, Result<World, RuntimeError>>;

    /// Resolves when something that `up` started has ended by itself. May be
    /// dropped and called again.
    fn watch(&mut self) -> BoxFuture<'_, Death>;

    /// Writes `<directory>/<name>.log` for each part; makes the directory.
    fn save_logs<'a>(&'a mut self, directory: &'a Path) -> BoxFuture<'a, Result<(), RuntimeError>>;

    /// Removes everything that was started. Goes on after an error, and returns
    /// the first.
    fn down(&mut self) -> BoxFuture<'_, Result<(), RuntimeError>>;
}
