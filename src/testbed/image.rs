//! The container image: this executable, or it and a peer, in an otherwise empty
//! file system.
//! Building it is a copy, not a compile, and needs no registry.

use std::collections::HashMap;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use bollard::errors::Error;
use bollard::query_parameters::{BuildImageOptionsBuilder, RemoveImageOptionsBuilder};
use bollard::{Docker, body_try_stream};
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use tokio_util::io::{ReaderStream, SyncIoBridge};

use super::runtime::{RuntimeError, docker};

mod context;
mod elf;
mod origin;

pub use elf::{ElfError, is_static};
pub use origin::{Origin, origin_of};

/// Label with the digest of what the image was made from.
pub const DIGEST_LABEL: &str = "dropbed.executable.blake3";

/// Label with the version of the `dropbed` that the image was made from.
pub const VERSION_LABEL: &str = "dropbed.version";

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
    let executable = own_executable()?;
    ensure_image_of(&executable, None, name, force).await
}

/// As [`ensure_image`], with another executable as its daemon. The image's name
/// follows from the peer's path: one that was built anew replaces its image, and
/// different peers do not replace each other's.
///
/// # Errors
/// As there.
pub async fn ensure_image_with_peer(executable: &Path, peer: &Path) -> Result<Built, RuntimeError> {
    ensure_image_of(executable, Some(peer), &peer_image(peer), false).await
}

/// As [`ensure_image`], of another executable, and with `peer` as its daemon.
///
/// # Errors
/// As there.
pub async fn ensure_image_of(
    executable: &Path,
    peer: Option<&Path>,
    name: &str,
    force: bool,
) -> Result<Built, RuntimeError> {
    let docker = docker::connect().await?;
    check_static(executable, OWN_HINT)?;
    peer.map_or(Ok(()), |peer| check_static(peer, PEER_HINT))?;
    let digest = digest_of(executable, peer).await?;
    let previous = find(&docker, name).await?;
    let up_to_date = previous.as_ref().is_some_and(|image| image.digest == digest);
    if force || !up_to_date {
        build(&docker, name, &digest, context_of(executable, peer)).await?;
        if let Some(previous) = previous {
            remove_replaced(&docker, name, &previous.id).await;
        }
    }
    Ok(Built { name: name.to_owned(), digest, rebuilt: force || !up_to_date })
}

struct Found {
    id: String,
    /// Empty where the label is missing: somebody else built it.
    digest: String,
    version: String,
}

/// For an executable of ours that needs a dynamic loader.
const OWN_HINT: &str = "build it in this repository, whose .cargo/config.toml links statically: \
                        `cargo build --release`";

/// For somebody else's.
const PEER_HINT: &str = "link it statically; or make an image of your own with its loader, the \
                         peer as /dropd and this dropbed as /dropbed, and name it by DROPBED_IMAGE";

pub(in crate::testbed) fn own_executable() -> Result<PathBuf, RuntimeError> {
    std::env::current_exe()
        .map_err(|error| failed(format!("this process's own executable is not known: {error}")))
}

/// A tag may have 128 characters; this much of a digest never meets another's.
fn peer_image(peer: &Path) -> String {
    const TAG_CHARS: usize = 16;
    let digest = blake3::hash(peer.as_os_str().as_encoded_bytes()).to_hex();
    format!("dropbed:peer-{}", &digest[..TAG_CHARS])
}

/// Of what an image of these would be made from; an executable is never in memory as
/// a whole for it.
async fn digest_of(executable: &Path, peer: Option<&Path>) -> Result<String, RuntimeError> {
    let (executable, peer) = (executable.to_owned(), peer.map(Path::to_owned));
    let digest = tokio::task::spawn_blocking(move || {
        context::digest(&executable, peer.as_deref())
            .map_err(|error| failed(format!("reading {}: {error}", executable.display())))
    });
    digest.await.unwrap_or_else(|error| Err(failed(format!("hashing an executable: {error}"))))
}

/// Bytes of a build context that are under way to the engine.
const CONTEXT_PIPE_BYTES: usize = 1 << 20;

/// The build context, packed as the engine takes it, so that it is never in memory as
/// a whole. An error ends it in the middle, which the engine refuses.
fn context_of(
    executable: &Path,
    peer: Option<&Path>,
) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
    let (executable, peer) = (executable.to_owned(), peer.map(Path::to_owned));
    let (ours, engines) = tokio::io::duplex(CONTEXT_PIPE_BYTES);
    let packing = tokio::task::spawn_blocking(move || {
        let out = io::BufWriter::with_capacity(CONTEXT_PIPE_BYTES, SyncIoBridge::new(ours));
        context::archive(out, &executable, peer.as_deref())?.flush()
    });
    let packed = async move {
        match packing.await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(Err(error)),
            Err(error) => Some(Err(io::Error::other(error))),
        }
    };
    let end = futures::stream::once(packed).filter_map(std::future::ready);
    ReaderStream::with_capacity(engines, CONTEXT_PIPE_BYTES).chain(end)
}

/// What peers are when these are their executables: a digest, also where no image is
/// made of them.
pub(in crate::testbed) async fn identity_of(
    executable: &Path,
    peer: Option<&Path>,
) -> Result<String, RuntimeError> {
    digest_of(executable, peer).await
}

/// The engine's id of an image; none when it has no such image.
pub(in crate::testbed) async fn id_of(name: &str) -> Result<Option<String>, RuntimeError> {
    let docker = docker::connect().await?;
    Ok(find(&docker, name).await?.map(|image| image.id))
}

/// Program headers stand at the beginning of every executable that linkers make.
const HEADERS_BYTES_MAX: u64 = 1 << 20;

fn check_static(executable: &Path, hint: &str) -> Result<(), RuntimeError> {
    let environment = |what: String| RuntimeError::Environment { what, hint: hint.to_owned() };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(executable);
    file.and_then(|file| file.take(HEADERS_BYTES_MAX).read_to_end(&mut bytes))
        .map_err(|error| failed(format!("reading {}: {error}", executable.display())))?;
    match is_static(&bytes) {
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
            let of = |name| labels.get(name).cloned().unwrap_or_default();
            let (digest, version) = (of(DIGEST_LABEL), of(VERSION_LABEL));
            Ok(image.id.map(|id| Found { id, digest, version }))
        }
        Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
        Err(error) => Err(failed(format!("asking the engine for image {name}: {error}"))),
    }
}

async fn build(
    docker: &Docker,
    name: &str,
    digest: &str,
    context: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
) -> Result<(), RuntimeError> {
    let labels =
        HashMap::from([(DIGEST_LABEL, digest), (VERSION_LABEL, env!("CARGO_PKG_VERSION"))]);
    let options = BuildImageOptionsBuilder::new()
        .t(name)
        .labels(&labels)
        .rm(true)
        // A build that is cut short leaves no container of the engine's own either.
        .forcerm(true)
        .build();
    let context = body_try_stream(context);
    let mut steps = std::pin::pin!(docker.build_image(options, None, Some(context)));
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
