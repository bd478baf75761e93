//! Peers and proxy as containers: by testcontainers where it can, by the
//! engine's API where it cannot (networks, volumes, waiting for exits).

use std::net::{IpAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use bollard::Docker;
use futures::future::BoxFuture;
use tokio::time::timeout;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use self::networks::{Management, Networks};
use self::subnets::Subnet;
use super::part::{PROXY, PartPlace, Place};
use super::{
    Claim, Death, PeerEndpoint, Prepared, RunContext, Runtime, RuntimeError, RuntimeKind, Spans,
    Standing, World,
};
use crate::testbed::contract;
use crate::testbed::plan::{PeerPlan, Plan};

mod containers;
mod engine;
mod exits;
mod networks;
mod peers;
mod removal;
mod rights;
pub mod subnets;

pub(in crate::testbed) use engine::{API_MIN, check_ports_reach_us, connect, connect_if_any};
pub use engine::{EngineInfo, engine_answers};
pub(in crate::testbed) use exits::{death, in_words};
pub(in crate::testbed) use networks::{Taken, taken_subnets};
pub(in crate::testbed) use peers::new_token;
pub(in crate::testbed) use removal::{ANSWER_DEADLINE, Found, find_all, label_filter, remove};
pub(in crate::testbed) use rights::{Rights, probe_rights};

/// Where a run's networks come from unless told otherwise: 4096 of /28, in a
/// range that engines do not take by default.
pub const POOL_DEFAULT: &str = "10.213.0.0/16";

/// Overrides [`POOL_DEFAULT`].
pub const POOL_VARIABLE: &str = "DROPBED_NETWORK_POOL";

/// Bound on waiting for containers whose start was given up: the engine takes a second
/// or two for one.
const STARTS_DEADLINE: Duration = Duration::from_secs(15);

/// Bound on what a destructor may take; `gc` does what remains.
const DROP_DEADLINE: Duration = Duration::from_secs(30);

/// What the command line says about containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DockerOptions {
    /// Name of the image that peers and proxy run.
    pub image: String,
    /// Where networks come from, whatever a topology says; none: from where it says.
    pub pool: Option<Subnet>,
}

impl Default for DockerOptions {
    fn default() -> Self {
        Self { image: contract::IMAGE_DEFAULT.to_owned(), pool: None }
    }
}

impl DockerOptions {
    /// The defaults, but for what `DROPBED_IMAGE` and [`POOL_VARIABLE`] say.
    ///
    /// # Errors
    /// Environment, for a pool that is no network.
    pub fn from_environment() -> Result<Self, RuntimeError> {
        let mut options = Self::default();
        if let Ok(image) = std::env::var(contract::env::IMAGE) {
            options.image = image;
        }
        if let Ok(pool) = std::env::var(POOL_VARIABLE) {
            let pool = pool.parse().map_err(|error| RuntimeError::Environment {
                what: format!("{POOL_VARIABLE}: {error}"),
                hint: format!("unset it for {POOL_DEFAULT}, or what a topology says"),
            })?;
            options.pool = Some(pool);
        }
        Ok(options)
    }

    /// Where the networks of a plan come from; [`POOL_DEFAULT`] without a plan.
    pub fn pool_for(&self, plan: Option<&Plan>) -> Subnet {
        let range = plan.map_or(POOL_DEFAULT, |plan| &plan.networks.range);
        // A plan is made from a range that was parsed.
        self.pool.unwrap_or_else(|| range.parse().expect("the range is a subnet"))
    }
}

/// Containers on the engine that `DOCKER_HOST` names, or the local one.
#[derive(Debug)]
pub struct DockerRuntime {
    options: DockerOptions,
    run: Option<Run>,
}

/// What has been made so far.
#[derive(Debug)]
struct Run {
    docker: Docker,
    context: RunContext,
    networks: Networks,
    /// Proxy first, then peers in the order of their start.
    parts: Vec<Part>,
    /// Shown by us to every daemon; random, or that of a topology that stands.
    token: String,
    /// The engine's id of the proxy, once there is one.
    proxy_id: String,
    /// Whether the run itself is another process's making.
    resumed: bool,
    /// Containers that the engine is making.
    starts: TaskTracker,
    /// Peers of which something may be there, also when their start was given up.
    begun: Vec<String>,
    exit: Option<AbortOnDropHandle<Death>>,
    death: Option<Death>,
}

/// A container and what the run calls it.
#[derive(Clone, Debug)]
struct Part {
    name: String,
    id: String,
}

impl Part {
    fn of(part: &PartPlace) -> Option<Self> {
        match &part.place {
            Place::Container { id, .. } => Some(Self { name: part.name.clone(), id: id.clone() }),
            Place::Process { .. } | Place::Elsewhere => None,
        }
    }
}

impl DockerRuntime {
    /// Nothing is asked of the engine yet.
    pub const fn new(options: DockerOptions) -> Self {
        Self { options, run: None }
    }

    async fn check_and_prepare(
        &mut self,
        plan: &Plan,
        context: &RunContext,
    ) -> Result<Prepared, RuntimeError> {
        let token = new_token()?;
        let run = self.open(Some(plan), context, token, false).await?;
        engine::check_image(&run.docker, &self.options.image).await?;
        let run = self.run.insert(run);
        // From here on `down` finds by label whatever was made, the probe included.
        rights::probe(&run.docker, &self.options.image, context, plan).await?;
        let management = run.networks.create_management(plan.peers.len()).await?;
        Ok(Prepared { otlp_host: otlp_host(management), warnings: Vec::new() })
    }

    /// Nothing of it is made yet.
    async fn open(
        &self,
        plan: Option<&Plan>,
        context: &RunContext,
        token: String,
        resumed: bool,
    ) -> Result<Run, RuntimeError> {
        check_ports_reach_us(std::env::var("DOCKER_HOST").ok().as_deref())?;
        let docker = connect().await?;
        let pool = self.options.pool_for(plan);
        Ok(Run {
            networks: Networks::new(docker.clone(), pool, context.clone()),
            docker,
            context: context.clone(),
            parts: Vec::new(),
            token,
            proxy_id: String::new(),
            resumed,
            starts: TaskTracker::new(),
            begun: Vec::new(),
            exit: None,
            death: None,
        })
    }

    async fn find_standing(
        &mut self,
        plan: Option<&Plan>,
        standing: &Standing,
        context: &RunContext,
        claim: Claim,
    ) -> Result<(), RuntimeError> {
        let token = standing.peers.iter().find_map(PeerEndpoint::token);
        if claim == Claim::Whole {
            let mut run =
                self.open(plan, context, token.unwrap_or_default().to_owned(), false).await?;
            run.parts = standing.parts.iter().filter_map(Part::of).collect();
            self.run = Some(run);
            return Ok(());
        }
        let token = token.ok_or_else(|| failed("no peer stands whose token could be used"))?;
        let proxy = standing.parts.iter().find(|part| part.name == PROXY);
        let Some(Place::Container { id, .. }) = proxy.map(|proxy| &proxy.place) else {
            return Err(failed("the proxy that stands is no container"));
        };
        let mut run = self.open(plan, context, token.to_owned(), true).await?;
        engine::check_image(&run.docker, &self.options.image).await?;
        if let Some(plan) = plan {
            rights::probe(&run.docker, &self.options.image, context, plan).await?;
        }
        run.proxy_id.clone_from(id);
        run.networks.find_management().await?;
        self.run = Some(run);
        Ok(())
    }

    fn run(&mut self) -> Result<&mut Run, RuntimeError> {
        self.run.as_mut().ok_or_else(|| failed("this runtime was neither prepared nor resumed"))
    }
}

impl Runtime for DockerRuntime {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Docker
    }

    fn prepare<'a>(
        &'a mut self,
        plan: &'a Plan,
        context: &'a RunContext,
    ) -> BoxFuture<'a, Result<Prepared, RuntimeError>> {
        Box::pin(self.check_and_prepare(plan, context))
    }

    fn resume<'a>(
        &'a mut self,
        plan: Option<&'a Plan>,
        standing: &'a Standing,
        context: &'a RunContext,
        claim: Claim,
    ) -> BoxFuture<'a, Result<(), RuntimeError>> {
        Box::pin(self.find_standing(plan, standing, context, claim))
    }

    fn up<'a>(
        &'a mut self,
        plan: &'a Plan,
        spans: &'a Spans,
    ) -> BoxFuture<'a, Result<World, RuntimeError>> {
        Box::pin(async move {
            let image = self.options.image.clone();
            peers::start_all(self.run()?, &image, plan, spans).await
        })
    }

    fn start<'a>(
        &'a mut self,
        peers: &'a [PeerPlan],
        spans: &'a Spans,
    ) -> BoxFuture<'a, Result<Vec<PeerEndpoint>, RuntimeError>> {
        Box::pin(async move {
            let image = self.options.image.clone();
            peers::start_peers(self.run()?, &image, peers, spans).await
        })
    }

    fn remove<'a>(&'a mut self, peer: &'a str) -> BoxFuture<'a, Result<(), RuntimeError>> {
        Box::pin(async move {
            let run = self.run()?;
            run.parts.retain(|part| part.name != peer);
            run.begun.retain(|begun| begun != peer);
            removal::end_peer(&run.docker, &run.context.run_id, peer).await
        })
    }

    fn parts(&self) -> Vec<PartPlace> {
        let Some(run) = &self.run else { return Vec::new() };
        let run_id = &run.context.run_id;
        let place = |part: &Part| {
            let container = containers::container_name(run_id, &part.name);
            let place = Place::Container { id: part.id.clone(), container };
            PartPlace { name: part.name.clone(), place }
        };
        run.parts.iter().map(place).collect()
    }

    fn release(&mut self) {
        self.run = None;
    }

    fn watch(&mut self) -> BoxFuture<'_, Death> {
        Box::pin(async move {
            let Some(run) = &mut self.run else { return std::future::pending().await };
            if let Some(death) = &run.death {
                return death.clone();
            }
            let Some(exit) = &mut run.exit else { return std::future::pending().await };
            let death = exit.await.unwrap_or_else(|error| Death {
                who: "dropbed".to_owned(),
                exit_code: None,
                how: format!("the task that waits for containers ended: {error}"),
                last_log_lines: Vec::new(),
            });
            run.death.insert(death).clone()
        })
    }

    fn save_logs<'a>(&'a mut self, directory: &'a Path) -> BoxFuture<'a, Result<(), RuntimeError>> {
        Box::pin(async move {
            let Some(run) = &self.run else { return Ok(()) };
            tokio::fs::create_dir_all(directory)
                .await
                .map_err(|error| failed(format!("making {}: {error}", directory.display())))?;
            let mut first = Ok(());
            for part in &run.parts {
                let file = directory.join(format!("{}.log", part.name));
                let saved = containers::save_log(&run.docker, &part.id, &file).await;
                first = first.and(saved);
            }
            first
        })
    }

    fn down(&mut self) -> BoxFuture<'_, Result<(), RuntimeError>> {
        Box::pin(async move {
            let Some(run) = self.run.take() else { return Ok(()) };
            run.remove().await
        })
    }
}

impl Run {
    /// All of it, or what was started beside what stands.
    async fn remove(self) -> Result<(), RuntimeError> {
        let Self { docker, context, parts, resumed, begun, starts, .. } = self;
        starts.close();
        if timeout(STARTS_DEADLINE, starts.wait()).await.is_err() {
            tracing::warn!("containers are still being made; see `dropbed gc`");
        }
        if !resumed {
            return removal::end_run(docker, &context.run_id, &parts).await;
        }
        let mut first = Ok(());
        for peer in begun {
            first = first.and(removal::end_peer(&docker, &context.run_id, &peer).await);
        }
        first
    }
}

impl Drop for DockerRuntime {
    /// On a runtime of its own: this one may be gone, or be blocked by us.
    fn drop(&mut self) {
        let Some(run) = self.run.take() else { return };
        let cleaning = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async move {
                match timeout(DROP_DEADLINE, run.remove()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::warn!("{error}; `dropbed gc` removes the rest"),
                    Err(_) => tracing::warn!("clean-up took too long; see `dropbed gc`"),
                }
            });
            Ok::<(), std::io::Error>(())
        });
        if !matches!(cleaning.join(), Ok(Ok(()))) {
            tracing::warn!("clean-up could not run; see `dropbed gc`");
        }
    }
}

/// Whether a container runs; not when the engine does not know it.
///
/// # Errors
/// No engine answers.
pub(super) async fn is_running(id: &str) -> Result<bool, RuntimeError> {
    exits::is_running(&connect().await?, id).await
}

/// The management network's gateway is ours when containers share our kernel;
/// where they live in a VM, they come in by whichever address the VM has.
fn otlp_host(management: &Management) -> String {
    let gateway = IpAddr::V4(management.gateway);
    match TcpListener::bind((gateway, 0)) {
        Ok(_) => gateway.to_string(),
        Err(_) => "0.0.0.0".to_owned(),
    }
}

fn failed(message: impl Into<String>) -> RuntimeError {
    RuntimeError::Failed(message.into())
}

#[cfg(test)]
mod tests;
