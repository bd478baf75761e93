//! Peers and proxy that somebody else started: they are awaited, driven,
//! watched, and (if asked) stopped.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::future::{BoxFuture, join_all, select_all, try_join_all};
use tokio::time::{sleep, timeout};

use super::part::{PROXY, PartPlace, Place};
use super::{
    Claim, ControlAddress, Death, LinkHosts, PeerEndpoint, Prepared, RunContext, Runtime,
    RuntimeError, RuntimeKind, Spans, Standing, World, control,
};
use crate::proto::control::StopRequest;
use crate::testbed::contract;
use crate::testbed::plan::{PeerPlan, Plan};

mod token;

/// Pause between two looks at a peer that answered.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// A part that has not answered for this long is dead: a daemon answers from
/// memory, and a link's faults never touch the control network.
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// Pause between two questions to a proxy that does not answer.
const ASK_PROXY_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Longest wait for one answer of the proxy's API, and for one daemon's stop.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Stands for a peer's name in an address.
const PEER: &str = "{peer}";

/// Where everything is. The defaults are those of the Compose rendering.
#[derive(Clone, Debug, clap::Args)]
pub struct AttachOptions {
    /// Base URL of the proxy's HTTP API
    #[arg(long = "attach-proxy-api", env = "DROPBED_ATTACH_PROXY_API", value_name = "URL",
          default_value_t = format!("http://proxy:{}", contract::PROXY_API_PORT))]
    pub proxy_api: String,
    /// Control address of a peer; {peer} stands for its name
    #[arg(long = "attach-control", env = "DROPBED_ATTACH_CONTROL", value_name = "HOST:PORT",
          default_value_t = format!("{PEER}:{}", contract::CONTROL_PORT))]
    pub control: String,
    /// Peer listener, as the proxy reaches it; {peer} stands for the peer's name
    #[arg(long = "attach-upstream", env = "DROPBED_ATTACH_UPSTREAM", value_name = "HOST:PORT",
          default_value_t = format!("{PEER}:{}", contract::PEER_PORT))]
    pub upstream: String,
    /// Host that the proxy's listeners bind to
    #[arg(
        long = "attach-link-bind-host",
        env = "DROPBED_ATTACH_LINK_BIND_HOST",
        value_name = "HOST",
        default_value = "0.0.0.0"
    )]
    pub link_bind_host: String,
    /// Host at which peers reach the proxy's listeners
    #[arg(
        long = "attach-link-dial-host",
        env = "DROPBED_ATTACH_LINK_DIAL_HOST",
        value_name = "HOST",
        default_value = "proxy"
    )]
    pub link_dial_host: String,
    /// Host to receive OTLP on
    #[arg(
        long = "attach-otlp-host",
        env = "DROPBED_ATTACH_OTLP_HOST",
        value_name = "HOST",
        default_value = "0.0.0.0"
    )]
    pub otlp_host: String,
    /// File with the control token; made if it is not there
    #[arg(long = "attach-token-file", env = contract::env::CONTROL_TOKEN_FILE,
          value_name = "FILE", default_value = contract::TOKEN_FILE)]
    pub token_file: PathBuf,
    /// How long to wait until proxy and peers answer, in seconds
    #[arg(
        long = "attach-deadline-s",
        env = "DROPBED_ATTACH_DEADLINE_S",
        value_name = "SECONDS",
        default_value_t = 60
    )]
    pub deadline_s: u64,
    /// Stop the daemons at the end of the run
    #[arg(long = "attach-stop-peers", env = "DROPBED_ATTACH_STOP_PEERS")]
    pub stop_peers: bool,
}

/// Drives what runs already.
#[derive(Debug)]
pub struct AttachRuntime {
    options: AttachOptions,
    /// Those that have answered.
    peers: Vec<PeerEndpoint>,
}

impl AttachRuntime {
    /// Nothing is asked yet.
    pub const fn new(options: AttachOptions) -> Self {
        Self { options, peers: Vec::new() }
    }

    async fn wait_for_all(&mut self, plan: &Plan) -> Result<World, RuntimeError> {
        let token = token::read_or_create(&self.options.token_file)?;
        let deadline = Duration::from_secs(self.options.deadline_s);
        let proxy = async {
            match timeout(deadline, wait_for_proxy(&self.options.proxy_api)).await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(why)) => Err(missing(why)),
                Err(_) => Err(missing(format!(
                    "the proxy at {} did not answer within {deadline:?}",
                    self.options.proxy_api
                ))),
            }
        };
        let peers = plan.peers.iter().map(|peer| {
            let endpoint = endpoint(&self.options, &peer.name, &token);
            async move {
                match control::wait_until_ready(&endpoint.control, deadline).await {
                    Ok(_) => Ok(endpoint),
                    Err(error) => Err(missing(format!("peer {}: {error}", endpoint.name))),
                }
            }
        });
        let ((), peers) = futures::future::try_join(proxy, try_join_all(peers)).await?;
        self.peers.clone_from(&peers);
        Ok(World {
            proxy_api: self.options.proxy_api.clone(),
            link_hosts: LinkHosts {
                bind: self.options.link_bind_host.clone(),
                dial: self.options.link_dial_host.clone(),
                fixed_ports: true,
            },
            peers,
        })
    }
}

impl Runtime for AttachRuntime {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Attach
    }

    /// Makes the token's file, for daemons wait for it before they answer.
    fn prepare<'a>(
        &'a mut self,
        _plan: &'a Plan,
        _context: &'a RunContext,
    ) -> BoxFuture<'a, Result<Prepared, RuntimeError>> {
        Box::pin(async move {
            token::read_or_create(&self.options.token_file)?;
            let otlp_host = self.options.otlp_host.clone();
            Ok(Prepared { otlp_host, warnings: Vec::new() })
        })
    }

    fn resume<'a>(
        &'a mut self,
        _plan: Option<&'a Plan>,
        _standing: &'a Standing,
        _context: &'a RunContext,
        _claim: Claim,
    ) -> BoxFuture<'a, Result<(), RuntimeError>> {
        Box::pin(std::future::ready(Err(not_ours())))
    }

    fn up<'a>(
        &'a mut self,
        plan: &'a Plan,
        _spans: &'a Spans,
    ) -> BoxFuture<'a, Result<World, RuntimeError>> {
        Box::pin(self.wait_for_all(plan))
    }

    fn start<'a>(
        &'a mut self,
        _peers: &'a [PeerPlan],
        _spans: &'a Spans,
    ) -> BoxFuture<'a, Result<Vec<PeerEndpoint>, RuntimeError>> {
        Box::pin(std::future::ready(Err(not_ours())))
    }

    fn remove<'a>(&'a mut self, _peer: &'a str) -> BoxFuture<'a, Result<(), RuntimeError>> {
        Box::pin(std::future::ready(Err(not_ours())))
    }

    fn parts(&self) -> Vec<PartPlace> {
        let peers = self.peers.iter().map(|peer| peer.name.clone());
        let names = std::iter::once(PROXY.to_owned()).chain(peers);
        names.map(|name| PartPlace { name, place: Place::Elsewhere }).collect()
    }

    fn release(&mut self) {
        self.peers.clear();
    }

    fn watch(&mut self) -> BoxFuture<'_, Death> {
        Box::pin(async move {
            if self.peers.is_empty() {
                return std::future::pending().await;
            }
            let proxy: BoxFuture<'_, Death> = Box::pin(proxy_silence(&self.options.proxy_api));
            let peers = self
                .peers
                .iter()
                .map(|peer| -> BoxFuture<'_, Death> { Box::pin(peer_silence(peer)) });
            select_all(peers.chain([proxy])).await.0
        })
    }

    /// Nothing: whoever started the parts has their logs.
    fn save_logs<'a>(
        &'a mut self,
        _directory: &'a Path,
    ) -> BoxFuture<'a, Result<(), RuntimeError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn down(&mut self) -> BoxFuture<'_, Result<(), RuntimeError>> {
        Box::pin(async move {
            let peers = std::mem::take(&mut self.peers);
            if !self.options.stop_peers {
                return Ok(());
            }
            join_all(peers.iter().map(stop)).await.into_iter().collect()
        })
    }
}

fn endpoint(options: &AttachOptions, peer: &str, token: &str) -> PeerEndpoint {
    PeerEndpoint {
        name: peer.to_owned(),
        control: ControlAddress::Tcp {
            address: options.control.replace(PEER, peer),
            token: token.to_owned(),
        },
        upstream: options.upstream.replace(PEER, peer),
    }
}

async fn peer_silence(peer: &PeerEndpoint) -> Death {
    loop {
        if let Err(error) = control::wait_until_ready(&peer.control, SILENCE_MAX).await {
            return silent(&peer.name, &error.to_string());
        }
        sleep(LOOK_AGAIN_AFTER).await;
    }
}

async fn proxy_silence(api: &str) -> Death {
    loop {
        match timeout(SILENCE_MAX, wait_for_proxy(api)).await {
            Ok(Ok(())) => sleep(LOOK_AGAIN_AFTER).await,
            Ok(Err(why)) => return silent("proxy", &why),
            Err(_) => return silent("proxy", &format!("no answer from {api} for {SILENCE_MAX:?}")),
        }
    }
}

fn silent(who: &str, why: &str) -> Death {
    Death {
        who: who.to_owned(),
        exit_code: None,
        how: format!("stopped answering: {why}"),
        last_log_lines: Vec::new(),
    }
}

/// Resolves when it answers; an error only for an address of no use.
async fn wait_for_proxy(api: &str) -> Result<(), String> {
    let client = reqwest::Client::builder()
        .timeout(ANSWER_TIMEOUT)
        .no_proxy()
        .build()
        .map_err(|error| format!("making an HTTP client: {error}"))?;
    loop {
        match client.get(format!("{api}/version")).send().await {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            Err(error) if error.is_builder() => return Err(format!("proxy at {api}: {error}")),
            Ok(_) | Err(_) => sleep(ASK_PROXY_AGAIN_AFTER).await,
        }
    }
}

async fn stop(peer: &PeerEndpoint) -> Result<(), RuntimeError> {
    let stopping = async {
        let mut client = control::connect(&peer.control).await.map_err(|e| e.to_string())?;
        client.stop(StopRequest {}).await.map_err(|status| status.to_string())?;
        Ok(())
    };
    let outcome: Result<(), String> = match timeout(ANSWER_TIMEOUT, stopping).await {
        Ok(outcome) => outcome,
        Err(_) => Err(format!("no answer within {ANSWER_TIMEOUT:?}")),
    };
    outcome.map_err(|why| RuntimeError::Failed(format!("stopping peer {}: {why}", peer.name)))
}

fn not_ours() -> RuntimeError {
    RuntimeError::Environment {
        what: "peers that somebody else started are theirs to start and to stop".to_owned(),
        hint: "use `--runtime process` or `--runtime docker`".to_owned(),
    }
}

fn missing(what: String) -> RuntimeError {
    RuntimeError::Environment {
        what,
        hint: "start proxy and peers first, or say where they are with the --attach options"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests;
