//! Peers and proxy as containers: by testcontainers where it can, by the
//! engine's API where it cannot (networks, volumes, waiting for exits).

use std::net::{IpAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use bollard::Docker;
use futures::future::BoxFuture;
use testcontainers::{ContainerAsync, GenericImage};
use tokio_util::task::AbortOnDropHandle;

use self::networks::{Management, Networks};
use self::subnets::Subnet;
use super::{Death, RunContext, Runtime, RuntimeError, RuntimeKind, World};
use crate::testbed::contract;
use crate::testbed::plan::Plan;

mod containers;
mod engine;
mod exits;
mod networks;
mod peers;
mod removal;
mod rights;
pub mod subnets;

pub use engine::{EngineInfo, engine_answers};
pub(in crate::testbed) use engine::{check_ports_reach_us, connect};
pub(in crate::testbed) use networks::taken_subnets;
pub(in crate::testbed) use peers::new_token;
pub(in crate::testbed) use removal::{find_all, label_filter, remove};
pub(in crate::testbed) use rights::probe_fuse;

/// Where a run's networks come from unless told otherwise: 4096 of /28, in a
/// range that engines do not take by default.
pub const POOL_DEFAULT: &str = "10.213.0.0/16";

/// Overrides [`POOL_DEFAULT`].
pub const POOL_VARIABLE: &str = "DROPBED_NETWORK_POOL";

/// Bound on what a destructor may take; `gc` does what remains.
const DROP_DEADLINE: Duration = Duration::from_secs(30);

/// What the command line says about containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DockerOptions {
    /// Name of the image that peers and proxy run.
    pub image: String,
    /// Where the run's networks come from.
    pub pool: Subnet,
}

impl Default for DockerOptions {
    fn default() -> Self {
        Self {
            image: contract::IMAGE_DEFAULT.to_owned(),
            pool: POOL_DEFAULT.parse().expect("POOL_DEFAULT is a subnet"),
        }
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
            options.pool = pool.parse().map_err(|error| RuntimeError::Environment {
                what: format!("{POOL_VARIABLE}: {error}"),
                hint: format!("unset it for {POOL_DEFAULT}"),
            })?;
        }
        Ok(options)
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
    run_id: String,
    networks: Networks,
    /// Proxy first, then peers in the plan's order.
    parts: Vec<Part>,
    exit: Option<AbortOnDropHandle<Death>>,
    death: Option<Death>,
}

/// A container and what the run calls it.
#[derive(Debug)]
struct Part {
    name: String,
    container: ContainerAsync<GenericImage>,
}

impl DockerRuntime {
    /// Nothing is asked of the engine yet.
    pub const fn new(options: DockerOptions) -> Self {
        Self { options, run: None }
    }

    async fn check_and_prepare(
        &mut self,
        plan: &Plan,
        run_id: &str,
    ) -> Result<String, RuntimeError> {
        check_ports_reach_us(std::env::var("DOCKER_HOST").ok().as_deref())?;
        let docker = connect().await?;
        engine::check_image(&docker, &self.options.image).await?;
        let networks = Networks::new(docker.clone(), self.options.pool, run_id);
        let run = self.run.insert(Run {
            docker,
            run_id: run_id.to_owned(),
            networks,
            parts: Vec::new(),
            exit: None,
            death: None,
        });
        // From here on `down` finds by label whatever was made, the probe included.
        rights::probe(&run.docker, &self.options.image, run_id, plan).await?;
        let management = run.networks.create_management(plan.peers.len()).await?;
        Ok(otlp_host(management))
    }
}

impl Runtime for DockerRuntime {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Docker
    }

    fn prepare<'a>(
        &'a mut self,
        plan: &'a Plan,
        run_id: &'a str,
    ) -> BoxFuture<'a, Result<String, RuntimeError>> {
        Box::pin(self.check_and_prepare(plan, run_id))
    }

    fn up<'a>(
        &'a mut self,
        plan: &'a Plan,
        context: &'a RunContext,
    ) -> BoxFuture<'a, Result<World, RuntimeError>> {
        Box::pin(async move {
            let run = self.run.as_mut().ok_or_else(|| failed("up was called before prepare"))?;
            peers::start_all(run, &self.options.image, plan, context).await
        })
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
                let saved = containers::save_log(&run.docker, part.container.id(), &file).await;
                first = first.and(saved);
            }
            first
        })
    }

    fn down(&mut self) -> BoxFuture<'_, Result<(), RuntimeError>> {
        Box::pin(async move {
            let Some(run) = self.run.take() else { return Ok(()) };
            removal::end_run(run.docker, run.run_id, run.parts).await
        })
    }
}

impl Drop for DockerRuntime {
    /// On a runtime of its own: this one may be gone, or be blocked by us.
    fn drop(&mut self) {
        let Some(run) = self.run.take() else { return };
        let cleaning = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async move {
                let ending = removal::end_run(run.docker, run.run_id, run.parts);
                match tokio::time::timeout(DROP_DEADLINE, ending).await {
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
