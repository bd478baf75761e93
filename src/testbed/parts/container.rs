//! A part that is a container.

use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::ContainerState;
use bollard::query_parameters::{
    KillContainerOptionsBuilder, RestartContainerOptionsBuilder, StatsOptionsBuilder,
};
use futures::StreamExt as _;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::part::paused;
use super::{Action, Chunk, PartState, RunState, VerbError};
use crate::testbed::contract::{CONTROL_PORT, MOUNT_DIR};
use crate::testbed::runtime::docker::ANSWER_DEADLINE;
use crate::testbed::runtime::environment::RUN_ID_VARIABLE;
use crate::testbed::runtime::{Death, docker, procfs};

mod exec;

pub(super) use exec::Inside;

/// From a signal to the end, and for the engine's answers.
const END_DEADLINE: Duration = Duration::from_secs(10);

/// From SIGTERM to SIGKILL at a restart, in the engine's unit: a daemon closes its
/// sessions and unmounts.
const STOP_TIMEOUT_S: i32 = 5;

/// Figures that take longer are left out.
const STATS_DEADLINE: Duration = Duration::from_secs(2);

/// One container.
#[derive(Clone, Debug)]
pub(crate) struct ContainerPart {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) docker: Docker,
}

impl ContainerPart {
    pub(super) async fn state(&self) -> Result<PartState, VerbError> {
        let Some(state) = self.engine_state().await? else {
            let how = Some("its container is gone".to_owned());
            return Ok(PartState { how, ..PartState::only(RunState::Ended) });
        };
        if !state.running.unwrap_or_default() {
            let out_of_memory = state.oom_killed.unwrap_or_default();
            let how = docker::in_words(state.exit_code.unwrap_or_default(), out_of_memory);
            return Ok(PartState { how: Some(how), ..PartState::only(RunState::Ended) });
        }
        let paused = state.paused.unwrap_or_default();
        let (memory_bytes, cpu_ms) = self.usage().await.unwrap_or_default();
        Ok(PartState {
            running: if paused { RunState::Paused } else { RunState::Running },
            how: None,
            pid: state.pid.and_then(|pid| u32::try_from(pid).ok()),
            memory_bytes,
            cpu_ms,
        })
    }

    pub(super) async fn act(&self, action: Action) -> Result<(), VerbError> {
        match action {
            Action::Pause => self.ask("pausing", self.docker.pause_container(&self.id)).await,
            Action::Unpause => self.ask("unpausing", self.docker.unpause_container(&self.id)).await,
            Action::Kill => self.end("SIGKILL").await,
            Action::Term => self.end("SIGTERM").await,
        }
    }

    /// Runs it through the testbed's own executable in there, which ends it when we go.
    pub(super) async fn exec(
        &self,
        command: &[String],
        output: mpsc::Sender<Chunk>,
        stop: CancellationToken,
    ) -> Result<u8, VerbError> {
        let inside = Inside::start(self, &["exec", "--"], command).await?;
        inside.follow(output, stop).await
    }

    pub(super) async fn death(&self) -> Death {
        docker::death(&self.docker, &self.id, &self.name).await
    }

    /// Stops it and starts it again, with all that it has on disk.
    pub(super) async fn restart(&self) -> Result<(), VerbError> {
        let options = RestartContainerOptionsBuilder::new().t(STOP_TIMEOUT_S).build();
        self.ask("restarting", self.docker.restart_container(&self.id, Some(options))).await
    }

    /// `host:port` at which its control service is published now.
    pub(super) async fn control_address(&self) -> Result<String, VerbError> {
        let found = self.ask("asking about", self.docker.inspect_container(&self.id, None)).await?;
        let ports = found.network_settings.and_then(|settings| settings.ports);
        let published = ports.and_then(|mut ports| ports.remove(&format!("{CONTROL_PORT}/tcp")));
        let binding = published.flatten().and_then(|bindings| bindings.into_iter().next());
        let address = binding.and_then(|at| Some(format!("{}:{}", at.host_ip?, at.host_port?)));
        address.ok_or_else(|| {
            VerbError::failed(format!("the engine publishes no control port of {}", self.name))
        })
    }

    /// Whether its mount is one, as the kernel says; none where we cannot look.
    pub(super) fn mounted(&self, pid: Option<u32>, run_id: &str) -> Option<bool> {
        let pid = pid?;
        let environ = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
        // Where the engine counts processes otherwise than we do, it is a stranger.
        let is_it = procfs::parse_environ(&environ).any(|pair| pair == (RUN_ID_VARIABLE, run_id));
        let table = std::fs::read_to_string(format!("/proc/{pid}/mountinfo")).ok()?;
        let is_ours = |mount: &procfs::MountEntry| {
            mount.target.as_os_str() == MOUNT_DIR && mount.run_id() == Some(run_id)
        };
        is_it.then(|| procfs::parse_mountinfo(&table).iter().any(is_ours))
    }

    async fn end(&self, signal: &str) -> Result<(), VerbError> {
        let options = KillContainerOptionsBuilder::new().signal(signal).build();
        let killed = self.docker.kill_container(&self.id, Some(options));
        match self.answer("ending", killed).await? {
            Err(Error::DockerResponseServerError { status_code: 409, .. }) => {
                return Err(VerbError::failed(format!("{} has ended already", self.name)));
            }
            killed => killed.map_err(|error| self.failed("ending", &error))?,
        }
        timeout(END_DEADLINE, self.death()).await.map(|_| ()).map_err(|_| {
            VerbError::TimedOut(format!(
                "{} is still there {END_DEADLINE:?} after {signal}\n  hint: `dropbed peer kill {}`",
                self.name, self.name
            ))
        })
    }

    /// None when the engine does not know it.
    pub(super) async fn engine_state(&self) -> Result<Option<ContainerState>, VerbError> {
        let found = self.docker.inspect_container(&self.id, None);
        match self.answer("asking about", found).await? {
            Ok(found) => Ok(found.state),
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            Err(error) => Err(self.failed("asking about", &error)),
        }
    }

    /// Bytes of memory and milliseconds of processor time.
    async fn usage(&self) -> Option<(Option<u64>, Option<u64>)> {
        const NS_PER_MS: u64 = 1_000_000;
        let options = StatsOptionsBuilder::new().stream(false).one_shot(true).build();
        let mut stats = std::pin::pin!(self.docker.stats(&self.id, Some(options)));
        let stats = timeout(STATS_DEADLINE, stats.next()).await.ok()??.ok()?;
        let memory_bytes = stats.memory_stats.and_then(|memory| memory.usage);
        let cpu_ns = stats.cpu_stats.and_then(|cpu| cpu.cpu_usage?.total_usage);
        Some((memory_bytes, cpu_ns.map(|ns| ns / NS_PER_MS)))
    }

    /// What the engine answers; refusals are errors.
    async fn ask<T>(
        &self,
        what: &str,
        asking: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, VerbError> {
        self.answer(what, asking).await?.map_err(|error| self.failed(what, &error))
    }

    /// What the engine answers, if it does.
    pub(super) async fn answer<T>(
        &self,
        what: &str,
        asking: impl Future<Output = T>,
    ) -> Result<T, VerbError> {
        timeout(ANSWER_DEADLINE, asking).await.map_err(|_| {
            VerbError::TimedOut(format!(
                "{what} {}: the engine did not answer within {ANSWER_DEADLINE:?}\n  hint: does \
                 `docker ps` answer?",
                self.name
            ))
        })
    }

    pub(super) fn failed(&self, what: &str, error: &Error) -> VerbError {
        let Self { name, id, .. } = self;
        match error {
            Error::DockerResponseServerError { status_code: 404, .. } => VerbError::lacks(
                format!("{what} {name}: the engine has no container {id} any more"),
                "`dropbed ls` shows what is live",
            ),
            // The engine's own sentence names the container by its id.
            Error::DockerResponseServerError { status_code: 409, message }
                if message.contains("unpause") =>
            {
                VerbError::failed(paused(name))
            }
            Error::DockerResponseServerError { message, .. } => {
                VerbError::failed(format!("{what} {name}: {}", message.trim()))
            }
            error => VerbError::failed(format!("{what} {name}: {error}")),
        }
    }
}
