//! The engine itself: is there one, and may we use it.

use std::time::Duration;

use bollard::Docker;
use testcontainers::core::client::docker_client_instance;
use tokio::time::timeout;

use super::failed;
use crate::testbed::runtime::RuntimeError;

/// An engine that does not tell its version within this is as good as none.
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);

/// The oldest API that is enough, that of Docker Engine 20.10: the first in which a
/// container can name the engine's machine (`host-gateway`).
pub(in crate::testbed) const API_MIN: (u32, u32) = (1, 41);

/// What an engine says about itself.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct EngineInfo {
    /// Of the engine.
    pub version: String,
    /// The newest API version that it speaks.
    pub api_version: String,
    /// Where it was asked.
    pub host: String,
}

/// Whether an engine answers, for `--runtime auto` and `doctor`.
///
/// # Errors
/// What was tried, and how it ended, in words.
pub async fn engine_answers() -> Result<EngineInfo, String> {
    let docker = client().await?;
    let version = ask_version(&docker).await?;
    check_api(version.api_version.as_deref().unwrap_or_default())?;
    Ok(EngineInfo {
        version: version.version.unwrap_or_default(),
        api_version: version.api_version.unwrap_or_default(),
        host: tried(),
    })
}

/// A client of an engine that answers; the same engine that testcontainers uses.
pub(in crate::testbed) async fn connect() -> Result<Docker, RuntimeError> {
    let connecting = async { checked(client().await?).await };
    connecting.await.map_err(|what| RuntimeError::Environment {
        what,
        hint: "start Docker, or run without containers: `--runtime process`".to_owned(),
    })
}

/// The same; none where nobody names an engine and there is no socket of one.
pub(in crate::testbed) async fn connect_if_any() -> Result<Option<Docker>, String> {
    match client().await {
        Ok(docker) => checked(docker).await.map(Some),
        Err(why) if std::env::var_os("DOCKER_HOST").is_some() => Err(why),
        Err(_) => Ok(None),
    }
}

async fn checked(docker: Docker) -> Result<Docker, String> {
    let version = ask_version(&docker).await?;
    check_api(version.api_version.as_deref().unwrap_or_default())?;
    Ok(docker)
}

/// Whether an engine whose newest API is `found` can do what runs need. One that
/// does not say gets its chance.
pub(super) fn check_api(found: &str) -> Result<(), String> {
    let parsed = found
        .split_once('.')
        .and_then(|(major, minor)| Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?)));
    let (major, minor) = API_MIN;
    match parsed {
        Some(version) if version < API_MIN => Err(format!(
            "the container engine at {} is too old: it speaks API {found}, and {major}.{minor} \
             (Docker Engine 20.10) is needed",
            tried()
        )),
        _ => Ok(()),
    }
}

/// The image must be there: it is built here, so no registry has it.
pub(super) async fn check_image(docker: &Docker, image: &str) -> Result<(), RuntimeError> {
    use bollard::errors::Error;
    match docker.inspect_image(image).await {
        Ok(_) => Ok(()),
        Err(Error::DockerResponseServerError { status_code: 404, .. }) => {
            Err(RuntimeError::Environment {
                what: format!("the engine has no image {image}"),
                hint: "build it with `dropbed image`".to_owned(),
            })
        }
        Err(error) => Err(failed(format!("asking the engine for image {image}: {error}"))),
    }
}

/// Ports are published on the loopback address of the engine's machine.
pub(in crate::testbed) fn check_ports_reach_us(
    docker_host: Option<&str>,
) -> Result<(), RuntimeError> {
    let Some(host) = docker_host else { return Ok(()) };
    let Some((scheme, rest)) = host.split_once("://") else { return Ok(()) };
    let authority = rest.split('/').next().unwrap_or_default();
    let name = authority.rsplit_once(':').map_or(authority, |(name, _)| name);
    let here = matches!(name, "localhost" | "[::1]") || name.starts_with("127.");
    if matches!(scheme, "unix" | "npipe") || here {
        return Ok(());
    }
    Err(RuntimeError::Environment {
        what: format!("the engine {host} is another machine, whose loopback ports are not ours"),
        hint: "run dropbed on that machine, or start the peers there and use `--runtime attach`"
            .to_owned(),
    })
}

async fn client() -> Result<Docker, String> {
    docker_client_instance().await.map_err(|error| format!("no container engine: {error}"))
}

async fn ask_version(docker: &Docker) -> Result<bollard::models::SystemVersion, String> {
    match timeout(ANSWER_DEADLINE, docker.version()).await {
        Ok(Ok(version)) => Ok(version),
        Ok(Err(error)) => Err(format!("no container engine answers at {}: {error}", tried())),
        Err(_) => {
            Err(format!("the engine at {} did not answer within {ANSWER_DEADLINE:?}", tried()))
        }
    }
}

fn tried() -> String {
    match std::env::var("DOCKER_HOST") {
        Ok(host) => format!("{host} (DOCKER_HOST)"),
        Err(_) => "unix:///var/run/docker.sock (DOCKER_HOST is not set)".to_owned(),
    }
}
