//! Which runtime a run takes, and why.

use super::attach::{AttachOptions, AttachRuntime};
use super::docker::{DockerOptions, DockerRuntime, check_ports_reach_us, engine_answers};
use super::process::ProcessRuntime;
use super::{Runtime, RuntimeError, RuntimeKind};
use crate::testbed::{contract, image};

/// A runtime with the reason why it was taken.
pub struct Choice {
    /// Ready to `prepare`.
    pub runtime: Box<dyn Runtime>,
    /// In words, for the user.
    pub why: String,
}

impl std::fmt::Debug for Choice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Choice")
            .field("kind", &self.runtime.kind())
            .field("why", &self.why)
            .finish_non_exhaustive()
    }
}

/// Takes the runtime asked for; without one, Docker when an engine answers, else
/// processes. For Docker the image is built when it is missing or was made from
/// another executable than this one.
///
/// # Errors
/// Whatever keeps the asked runtime from starting anything.
pub async fn choose(
    asked: Option<RuntimeKind>,
    attach: &AttachOptions,
) -> Result<Choice, RuntimeError> {
    let (kind, why) = match asked {
        Some(kind) => (kind, "as asked".to_owned()),
        None => match engine_answers().await {
            Ok(engine) => {
                match check_ports_reach_us(std::env::var("DOCKER_HOST").ok().as_deref()) {
                    Ok(()) => {
                        (RuntimeKind::Docker, format!("Docker Engine {} answers", engine.version))
                    }
                    Err(error) => (RuntimeKind::Process, error.to_string()),
                }
            }
            Err(error) => (RuntimeKind::Process, format!("no Docker engine answers: {error}")),
        },
    };
    let runtime: Box<dyn Runtime> = match kind {
        RuntimeKind::Process => Box::new(ProcessRuntime::of_current_executable()?),
        RuntimeKind::Attach => Box::new(AttachRuntime::new(attach.clone())),
        RuntimeKind::Docker => {
            let options = DockerOptions::from_environment()?;
            // Somebody's own image is used as it is, never replaced.
            if options.image != contract::IMAGE_DEFAULT {
                let why = format!("{why}; image {}, as the environment says", options.image);
                return Ok(Choice { runtime: Box::new(DockerRuntime::new(options)), why });
            }
            let built = image::ensure_image(&options.image, false).await?;
            let image = if built.rebuilt { "image built" } else { "image up to date" };
            let why = format!("{why}; {image}: {}", built.name);
            return Ok(Choice { runtime: Box::new(DockerRuntime::new(options)), why });
        }
    };
    Ok(Choice { runtime, why })
}
