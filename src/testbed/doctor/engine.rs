//! The engine, and the tools beside it.

use std::time::Duration;

use bollard::Docker;
use bollard::models::{SystemInfo, SystemInfoCgroupVersionEnum};
use tokio::process::Command;
use tokio::time::timeout;

use super::Check;
use crate::testbed::runtime::RuntimeError;
use crate::testbed::runtime::docker::{self, API_MIN, EngineInfo, check_ports_reach_us};

/// A tool that does not tell its version within this is as good as none.
const TOOL_DEADLINE: Duration = Duration::from_secs(5);

pub(super) const ENGINE: &str = "engine";

/// The engine, if its containers are of use to us.
pub(super) async fn engine() -> (Check, Option<Docker>) {
    if let Err(error) = check_ports_reach_us(std::env::var("DOCKER_HOST").ok().as_deref()) {
        return (none(error), None);
    }
    let (connected, answered) = tokio::join!(docker::connect(), docker::engine_answers());
    match (connected, answered) {
        (Ok(docker), Ok(info)) => (Check::ok(ENGINE, told(&info)), Some(docker)),
        (Err(error), _) => (none(error), None),
        (Ok(_), Err(why)) => (Check::warning(ENGINE, why, "start Docker"), None),
    }
}

fn told(info: &EngineInfo) -> String {
    let (major, minor) = API_MIN;
    let EngineInfo { version, api_version, host } = info;
    format!("{version}, API {api_version} ({major}.{minor} is needed), at {host}")
}

/// Runs go without containers then, so it is a warning.
fn none(error: RuntimeError) -> Check {
    match error {
        RuntimeError::Environment { what, hint } => Check::warning(ENGINE, what, hint),
        error => Check::warning(ENGINE, error.to_string(), "start Docker"),
    }
}

/// Whether the engine can hold peers to what a topology gives them.
pub(super) fn limits(info: &SystemInfo) -> Check {
    const NAME: &str = "limits";
    let cgroups = match info.cgroup_version {
        Some(SystemInfoCgroupVersionEnum::_1) => "cgroup v1",
        Some(SystemInfoCgroupVersionEnum::_2) => "cgroup v2",
        _ => "cgroups of an unknown version",
    };
    let lacking: Vec<_> = [("memory", info.memory_limit), ("cpus", info.cpu_cfs_quota)]
        .into_iter()
        .filter_map(|(what, can)| match can {
            Some(true) => None,
            Some(false) => Some(format!("{what} cannot be limited")),
            None => Some(format!("whether {what} can be limited is not said")),
        })
        .collect();
    if lacking.is_empty() {
        return Check::ok(NAME, format!("{cgroups}: memory and cpus can be limited"));
    }
    Check::warning(
        NAME,
        format!("{cgroups}: {}", lacking.join(", ")),
        "turn the controllers on (`docker info` names them); until then a peer's `resources` \
         do not hold in containers",
    )
}

/// Either generation serves; neither is needed but for the demo.
pub(super) async fn compose() -> Check {
    const NAME: &str = "compose";
    let (plugin, tool) = tokio::join!(
        version_of("docker", &["compose", "version", "--short"]),
        version_of("docker-compose", &["version", "--short"]),
    );
    match (plugin, tool) {
        (Some(version), _) => Check::ok(NAME, format!("docker compose {version}")),
        (None, Some(version)) => Check::ok(NAME, format!("docker-compose {version}")),
        (None, None) => Check::warning(
            NAME,
            "neither docker compose nor docker-compose answers",
            "install the package docker-compose for the demo; `dropbed run` does not need it",
        ),
    }
}

/// The first line that the program prints; none unless it succeeds.
pub(super) async fn version_of(program: &str, arguments: &[&str]) -> Option<String> {
    let running = Command::new(program).args(arguments).kill_on_drop(true).output();
    let output = timeout(TOOL_DEADLINE, running).await.ok()?.ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.lines().next()?.trim();
    (output.status.success() && !line.is_empty()).then(|| line.to_owned())
}
