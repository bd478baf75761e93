//! The least that FUSE needs, asked for before anything else starts.

use std::time::Duration;

use bollard::Docker;
use bollard::models::{DeviceMapping, HostConfig};
use bollard::query_parameters::RemoveContainerOptionsBuilder;
use testcontainers::ImageExt as _;
use testcontainers::runners::AsyncRunner as _;
use tokio::time::timeout;

use super::containers::{Limits, container_name, last_log_lines, request};
use super::{exits, failed};
use crate::testbed::contract::{DAEMON_PATH, MOUNT_DIR, TESTBED_PATH};
use crate::testbed::plan::{PeerPlan, Plan};
use crate::testbed::runtime::{RunContext, RuntimeError};

const DEVICE: &str = "/dev/fuse";

/// From the order to a container's end: it lives for milliseconds, but an engine that
/// is busy takes seconds to start it.
const PROBE_DEADLINE: Duration = Duration::from_secs(60);

/// Until the engine has removed a container by force.
const REMOVE_DEADLINE: Duration = Duration::from_secs(20);

/// What a container may do beyond the engine's default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::testbed) enum Rights {
    /// No mount: nothing.
    Default,
    /// mount(2) and the device; AppArmor's default profile forbids mount(2).
    Fuse,
    /// Everything; only when the topology says so.
    Privileged,
}

impl Rights {
    pub(super) const fn of(peer: &PeerPlan) -> Self {
        match (peer.privileged, peer.mount) {
            (true, _) => Self::Privileged,
            (false, true) => Self::Fuse,
            (false, false) => Self::Default,
        }
    }

    pub(super) fn apply(self, config: &mut HostConfig) {
        match self {
            Self::Default => {}
            Self::Fuse => {
                config.cap_add = Some(vec!["SYS_ADMIN".to_owned()]);
                config.security_opt = Some(vec!["apparmor:unconfined".to_owned()]);
                config.devices = Some(vec![DeviceMapping {
                    path_on_host: Some(DEVICE.to_owned()),
                    path_in_container: Some(DEVICE.to_owned()),
                    cgroup_permissions: Some("rwm".to_owned()),
                }]);
            }
            Self::Privileged => config.privileged = Some(true),
        }
    }

    /// What the probe's container does with them. Rights that an engine names are not
    /// always rights that it gives (AppArmor, user namespaces), so it really mounts.
    const fn command(self) -> &'static [&'static str] {
        match self {
            Self::Default | Self::Privileged => &[DAEMON_PATH, "--version"],
            Self::Fuse => &[TESTBED_PATH, "probe-mount", MOUNT_DIR],
        }
    }

    /// Name of a probe's container within its run. Another each time: an `up` that was
    /// killed may have left one in a run that goes on.
    pub(super) fn probe_name(self) -> String {
        let kind = match self {
            Self::Default => "default",
            Self::Fuse => "fuse",
            Self::Privileged => "privileged",
        };
        format!("probe-{kind}-{:08x}", rand::random::<u32>())
    }

    const fn in_words(self) -> &'static str {
        match self {
            Self::Default => "an ordinary container",
            Self::Fuse => "a container with CAP_SYS_ADMIN, /dev/fuse and AppArmor unconfined",
            Self::Privileged => "a privileged container",
        }
    }

    const fn hint(self) -> &'static str {
        match self {
            Self::Default => "try `docker run` with the same image; or use `--runtime process`",
            Self::Fuse => {
                "allow these to the engine, or run without a mount: \
                 `--set defaults.peer.mount=false`; or use `--runtime process`"
            }
            Self::Privileged => {
                "leave `privileged` out of the topology: CAP_SYS_ADMIN and /dev/fuse are enough"
            }
        }
    }
}

/// Starts one container with each kind of rights that the plan needs, has it use
/// them, and removes it.
///
/// # Errors
/// Environment, with the engine's words, when it refuses.
pub(super) async fn probe(
    docker: &Docker,
    image: &str,
    context: &RunContext,
    plan: &Plan,
) -> Result<(), RuntimeError> {
    for rights in [Rights::Default, Rights::Fuse, Rights::Privileged] {
        if plan.peers.iter().any(|peer| Rights::of(peer) == rights) {
            probe_rights(docker, image, context, rights).await?;
        }
    }
    Ok(())
}

/// Whether the engine starts a container with these rights, and they are what they
/// should be. The container is removed also after an error.
///
/// # Errors
/// Environment, with the engine's words or the container's, when they are not granted.
pub(in crate::testbed) async fn probe_rights(
    docker: &Docker,
    image: &str,
    context: &RunContext,
    rights: Rights,
) -> Result<(), RuntimeError> {
    let name = rights.probe_name();
    let probing = probe_one(docker, image, context, rights, &name);
    let outcome = match timeout(PROBE_DEADLINE, probing).await {
        Ok(outcome) => outcome,
        Err(_) => Err(failed(format!(
            "{} did not start and end within {PROBE_DEADLINE:?}",
            rights.in_words()
        ))),
    };
    remove_probe(docker, container_name(&context.run_id, &name)).await;
    outcome
}

async fn probe_one(
    docker: &Docker,
    image: &str,
    context: &RunContext,
    rights: Rights,
    name: &str,
) -> Result<(), RuntimeError> {
    let refused = |why: String| RuntimeError::Environment {
        what: format!("the engine does not start {}: {why}", rights.in_words()),
        hint: rights.hint().to_owned(),
    };
    let command = rights.command();
    let container = request(image, context, name, None, Limits::shared(rights))
        .with_cmd(command.iter().copied())
        .start()
        .await
        .map_err(|error| refused(error.to_string()))?;
    let exit = exits::wait(docker, container.id()).await?;
    if exit.code != 0 {
        let lines = last_log_lines(docker, container.id()).await.join("\n");
        let command = command.join(" ");
        return Err(RuntimeError::Environment {
            what: format!(
                "{} cannot do `{command}` in image {image}: {}\n{lines}",
                rights.in_words(),
                exit.how
            ),
            hint: rights.hint().to_owned(),
        });
    }
    let removed = container.rm().await;
    removed.map_err(|error| failed(format!("removing {name}: {error}")))
}

/// testcontainers keeps no handle of a container that the engine refused to
/// start, so it is removed by name. Usually there is none any more.
async fn remove_probe(docker: &Docker, name: String) {
    let options = RemoveContainerOptionsBuilder::new().force(true).build();
    match timeout(REMOVE_DEADLINE, docker.remove_container(&name, Some(options))).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!("{name}: {error}"),
        Err(_) => tracing::warn!("{name} is still being removed; see `dropbed gc`"),
    }
}
