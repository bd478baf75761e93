//! The least that FUSE needs, asked for before anything else starts.

use bollard::Docker;
use bollard::models::{DeviceMapping, HostConfig};
use bollard::query_parameters::RemoveContainerOptionsBuilder;
use testcontainers::ImageExt as _;
use testcontainers::runners::AsyncRunner as _;

use super::containers::{container_name, last_log_lines, request};
use super::{exits, failed};
use crate::testbed::contract::DAEMON_PATH;
use crate::testbed::plan::{PeerPlan, Plan};
use crate::testbed::runtime::RuntimeError;

const DEVICE: &str = "/dev/fuse";
const PROBE: &str = "rights-probe";

/// What a container may do beyond the engine's default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rights {
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

/// Starts one container with each kind of rights that the plan needs, which
/// only prints the daemon's version, and removes it.
///
/// # Errors
/// Environment, with the engine's words, when it refuses.
pub(super) async fn probe(
    docker: &Docker,
    image: &str,
    run_id: &str,
    plan: &Plan,
) -> Result<(), RuntimeError> {
    for rights in [Rights::Default, Rights::Fuse, Rights::Privileged] {
        if plan.peers.iter().any(|peer| Rights::of(peer) == rights) {
            let outcome = probe_one(docker, image, run_id, rights).await;
            remove_probe(docker, run_id).await;
            outcome?;
        }
    }
    Ok(())
}

/// Whether the engine starts a container that could mount.
///
/// # Errors
/// Environment, with the engine's words, when it refuses.
pub(in crate::testbed) async fn probe_fuse(
    docker: &Docker,
    image: &str,
    run_id: &str,
) -> Result<(), RuntimeError> {
    let outcome = probe_one(docker, image, run_id, Rights::Fuse).await;
    remove_probe(docker, run_id).await;
    outcome
}

async fn probe_one(
    docker: &Docker,
    image: &str,
    run_id: &str,
    rights: Rights,
) -> Result<(), RuntimeError> {
    let refused = |why: String| RuntimeError::Environment {
        what: format!("the engine does not start {}: {why}", rights.in_words()),
        hint: rights.hint().to_owned(),
    };
    let container = request(image, run_id, PROBE, None, rights)
        .with_cmd([DAEMON_PATH, "--version"])
        .start()
        .await
        .map_err(|error| refused(error.to_string()))?;
    let exit = exits::wait(docker, container.id()).await?;
    if exit.code != 0 {
        let lines = last_log_lines(docker, container.id()).await.join("\n");
        return Err(refused(format!("{DAEMON_PATH} --version in {image}: {}\n{lines}", exit.how)));
    }
    container.rm().await.map_err(|error| failed(format!("removing {PROBE}: {error}")))
}

/// testcontainers keeps no handle of a container that the engine refused to
/// start, so it is removed by name. Usually there is none any more.
async fn remove_probe(docker: &Docker, run_id: &str) {
    let options = RemoveContainerOptionsBuilder::new().force(true).build();
    let name = container_name(run_id, PROBE);
    if let Err(error) = docker.remove_container(&name, Some(options)).await {
        tracing::debug!("{name}: {error}");
    }
}
