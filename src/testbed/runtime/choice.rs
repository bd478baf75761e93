//! Which runtime a run takes, and why.

use std::path::Path;

use super::attach::{AttachOptions, AttachRuntime};
use super::docker::{DockerOptions, DockerRuntime, check_ports_reach_us, engine_answers};
use super::process::ProcessRuntime;
use super::{Runtime, RuntimeError, RuntimeKind};
use crate::testbed::{contract, image};

/// A runtime with the reason why it was taken.
#[derive(Debug)]
pub struct Choice {
    /// Ready to `prepare`.
    pub runtime: Box<dyn Runtime>,
    /// In words, for the user.
    pub why: String,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// None takes Docker when an engine answers, else processes.
    pub runtime: Option<RuntimeKind>,
    /// Where everything is, for [`RuntimeKind::Attach`].
    pub attach: Option<&'a AttachOptions>,
    /// The peers' executable; none: the daemon within ours.
    pub peer: Option<&'a Path>,
    /// The testbed's executable, which is proxy and daemon too; none: this process's.
    pub executable: Option<&'a Path>,
}

/// Takes the runtime asked for; without one, Docker when an engine answers, else
/// processes. For Docker the image is built when it is missing or was made from
/// another executable than this one. With `peer`, that executable is every peer.
///
/// # Errors
/// Whatever keeps the asked runtime from starting anything.
pub async fn choose(wanted: Wanted<'_>) -> Result<Choice, RuntimeError> {
    let executable = match wanted.executable {
        Some(executable) => executable.to_owned(),
        None => image::own_executable()?,
    };
    let (kind, why) = match wanted.runtime {
        Some(kind) => (kind, "as asked".to_owned()),
        None => unasked().await,
    };
    let why = match wanted.peer {
        Some(peer) => format!("{why}; peers are {}", peer.display()),
        None => why,
    };
    let runtime: Box<dyn Runtime> = match kind {
        RuntimeKind::Process => {
            let runtime = ProcessRuntime::new(executable);
            Box::new(match wanted.peer {
                None => runtime,
                Some(peer) => runtime.with_peer(peer.to_owned()),
            })
        }
        RuntimeKind::Attach if wanted.peer.is_some() => return Err(refused("peers run already")),
        RuntimeKind::Attach => {
            let options =
                wanted.attach.expect("only what starts nothing asks for attach, and says where");
            Box::new(AttachRuntime::new(options.clone()))
        }
        RuntimeKind::Docker => return containers(&executable, wanted.peer, why).await,
    };
    Ok(Choice { runtime, why })
}

/// What peers would be started from, so that it can be told from what they were started
/// from: a digest, or the engine's id of somebody's own image. Builds nothing.
///
/// # Errors
/// An executable cannot be read, or the engine does not answer.
pub(in crate::testbed) async fn peers_source(
    kind: RuntimeKind,
    wanted: Wanted<'_>,
) -> Result<String, RuntimeError> {
    let executable = match wanted.executable {
        Some(executable) => executable.to_owned(),
        None => image::own_executable()?,
    };
    if kind != RuntimeKind::Docker {
        return image::identity_of(wanted.peer.unwrap_or(&executable), None).await;
    }
    let named = DockerOptions::from_environment()?.image;
    if named == contract::IMAGE_DEFAULT {
        return image::identity_of(&executable, wanted.peer).await;
    }
    // One that is missing is an error of `prepare`, which says what to do.
    Ok(image::id_of(&named).await?.unwrap_or(named))
}

/// What a run takes that asks for none, and why.
pub(in crate::testbed) async fn unasked() -> (RuntimeKind, String) {
    match engine_answers().await {
        Ok(engine) => match check_ports_reach_us(std::env::var("DOCKER_HOST").ok().as_deref()) {
            Ok(()) => (RuntimeKind::Docker, format!("Docker Engine {} answers", engine.version)),
            Err(error) => (RuntimeKind::Process, error.to_string()),
        },
        Err(error) => (RuntimeKind::Process, format!("no Docker engine answers: {error}")),
    }
}

/// Says when the daemons under test will not be those of this executable. Somebody
/// may want just that, so it is no error.
async fn check_foreign(image: &str) -> Result<(), RuntimeError> {
    let origin = image::origin_of(image).await?;
    // An image that is missing is an error of `prepare`, which says what to do.
    if let Some(warning) = origin.and_then(|origin| origin.warning(image)) {
        tracing::warn!("{warning}");
    }
    Ok(())
}

async fn containers(
    executable: &Path,
    peer: Option<&Path>,
    why: String,
) -> Result<Choice, RuntimeError> {
    let mut options = DockerOptions::from_environment()?;
    // Somebody's own image is used as it is, never replaced.
    if options.image != contract::IMAGE_DEFAULT {
        if peer.is_some() {
            return Err(refused("an image that DROPBED_IMAGE names holds its own peer"));
        }
        check_foreign(&options.image).await?;
        let why = format!("{why}; image {}, as the environment says", options.image);
        return Ok(Choice { runtime: Box::new(DockerRuntime::new(options)), why });
    }
    let built = match peer {
        None => image::ensure_image_of(executable, None, &options.image, false).await?,
        Some(peer) => image::ensure_image_with_peer(executable, peer).await?,
    };
    let state = if built.rebuilt { "image built" } else { "image up to date" };
    let why = format!("{why}; {state}: {}", built.name);
    options.image = built.name;
    Ok(Choice { runtime: Box::new(DockerRuntime::new(options)), why })
}

/// A peer's executable where it would be without effect.
fn refused(why: &str) -> RuntimeError {
    RuntimeError::Environment {
        what: format!("--peer-executable cannot be heeded: {why}"),
        hint: format!(
            "leave it out, and unset {} and {}",
            contract::env::PEER,
            contract::env::IMAGE
        ),
    }
}
