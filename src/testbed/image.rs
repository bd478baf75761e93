//! The container image: this executable in an otherwise empty file system.
//! Building it is a copy, not a compile, and needs no registry.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use bollard::errors::Error;
use bollard::query_parameters::{BuildImageOptionsBuilder, RemoveImageOptionsBuilder};
use bollard::{Docker, body_full};
use futures::StreamExt as _;

use super::runtime::{RuntimeError, docker};

mod context;
mod elf;

pub use elf::{ElfError, is_static};

/// Label with the digest of what the image was made from.
pub const DIGEST_LABEL: &str = "dropbed.executable.blake3";

/// An image that is there.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Built {
    /// Its name, with tag.
    pub name: String,
    /// BLAKE3, hexadecimal, of the executable and the image's layout.
    pub digest: String,
    /// Whether it had to be built; false: it was up to date.
    pub rebuilt: bool,
}

/// Builds the image from this executable unless it was built from the very same
/// one. `force` builds it anyway.
///
/// # Errors
/// Environment: no engine, or an executable that needs a dynamic loader.
pub async fn ensure_image(name: &str, force: bool) -> Result<Built, RuntimeError> {
    let executable = std::env::current_exe()
        .map_err(|error| failed(format!("this process's own executable is not known: {error}")))?;
    ensure_image_of(&executable, name, force).await
}

/// As [`ensure_image`], of another executable.
///
/// # Errors
/// As there.
pub async fn ensure_image_of(
    executable: &Path,
    name: &str,
    force: bool,
) -> Result<Built, RuntimeError> {
    let docker = docker::connect().await?;
    let bytes = tokio::fs::read(executable)
        .await
        .map_err(|error| failed(format!("reading {}: {error}", executable.display())))?;
    check_static(executable, &bytes)?;
    let digest = context::digest(&bytes);
    let previous = find(&docker, name).await?;
    let up_to_date = previous.as_ref().is_some_and(|image| image.digest == digest);
    if force || !up_to_date {
        let archive = context::archive(&bytes)
            .map_err(|error: io::Error| failed(format!("packing the build context: {error}")))?;
        build(&docker, name, &digest, archive).await?;
        if let Some(previous) = previous {
            remove_replaced(&docker, name, &previous.id).await;
        }
    }
    Ok(Built { name: name.to_owned(), digest, rebuilt: force || !up_to_date })
}

struct Found {
    id: String,
    digest: String,
}

fn check_static(executable: &Path, bytes: &[u8]) -> Result<(), RuntimeError> {
    const HINT: &str = "build it in this repository, whose .cargo/config.toml links statically: \
                        `cargo build --release`";
    let environment = |what: String| RuntimeError::Environment { what, hint: HINT.to_owned() };
    match is_static(bytes) {
        Ok(true) => Ok(()),
        Ok(false) => Err(environment(format!(
            "{} needs a dynamic loader, which the empty image does not have",
            executable.display()
        ))),
        Err(error) => Err(environment(format!("{}: {error}", executable.display()))),
    }
}

async fn find(docker: &Docker, name: &str) -> Result<Option<Found>, RuntimeError> {
    match docker.inspect_image(name).await {
        Ok(image) => {
            let labels = image.config.and_then(|config| config.labels).unwrap_or_default();
            let digest = labels.get(DIGEST_LABEL).cloned().unwrap_or_default();
            Ok(image.id.map(|id| Found { id, digest }))
        }
        Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
        Err(error) => Err(failed(format!("asking the engine for image {name}: {error}"))),
    }
}

async fn build(
    docker: &Docker,
    name: &str,
    digest: &str,
    archive: Vec<u8>,
) -> Result<(), RuntimeError> {
    let labels = HashMap::from([(DIGEST_LABEL, digest)]);
    let options = BuildImageOptionsBuilder::new().t(name).labels(&labels).rm(true).build();
    let mut steps =
        std::pin::pin!(docker.build_image(options, None, Some(body_full(archive.into()))));
    while let Some(step) = steps.next().await {
        let step = step.map_err(|error| failed(format!("building image {name}: {error}")))?;
        if let Some(error) = step.error_detail.and_then(|detail| detail.message) {
            return Err(failed(format!("building image {name}: {error}")));
        }
    }
    Ok(())
}

/// The image that had the name before keeps its disk space until removed. One
/// that a container or another name still uses stays, which is as it should be.
async fn remove_replaced(docker: &Docker, name: &str, previous: &str) {
    if find(docker, name).await.is_ok_and(|now| now.is_some_and(|now| now.id == previous)) {
        return;
    }
    let options = RemoveImageOptionsBuilder::new().build();
    if let Err(error) = docker.remove_image(previous, Some(options), None).await {
        tracing::debug!("the image that {name} was before stays: {error}");
    }
}

const fn failed(message: String) -> RuntimeError {
    RuntimeError::Failed(message)
}

#[cfg(test)]
mod tests;
