//! The daemon's own files: samples, digests, downloads.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;

use tonic::Status;

use crate::daemon::core::Core;
use crate::proto::control as wire;
use crate::proto::control::digest_request::File as Which;
use crate::sample::{Entropy, Sample};
use crate::source::{SharePath, check_name};
use crate::transfer::limits::CHUNK_BYTES_MAX;
use crate::transfer::pull::PARTIAL_PREFIX;

/// Where the download of this name lies or will lie.
pub(super) fn download(core: &Core, name: &str) -> Result<PathBuf, Status> {
    check_name(name)?;
    if name.starts_with(PARTIAL_PREFIX) {
        let reason = format!("names that begin with `{PARTIAL_PREFIX}` are for incomplete files");
        return Err(Status::invalid_argument(reason));
    }
    Ok(core.downloads().join(name))
}

/// Makes a sample in the own share. It appears complete, in place of what was there.
pub(super) async fn make_sample(
    core: &Core,
    request: wire::MakeSampleRequest,
) -> Result<wire::MakeSampleReply, Status> {
    let entropy = entropy(request.entropy)?;
    let wire::MakeSampleRequest { path, size_bytes, seed, entropy: _ } = request;
    let path = SharePath::parse(&path)?;
    let file = core.source.directory().join(path.as_str());
    let directory = file.parent().unwrap_or_else(|| core.source.directory()).to_owned();
    let digest = blocking(&path.to_string(), "make the sample", move || {
        fs::create_dir_all(&directory)?;
        let mut partial = tempfile::Builder::new()
            .prefix(PARTIAL_PREFIX)
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .tempfile_in(&directory)?;
        let mut sample = Sample::of(entropy, seed, size_bytes);
        let mut hasher = blake3::Hasher::new();
        while let Some(block) = sample.next_block() {
            hasher.update(block);
            partial.write_all(block)?;
        }
        partial.persist(&file).map_err(|failed| failed.error)?;
        Ok(hasher.finalize())
    })
    .await?;
    Ok(wire::MakeSampleReply { blake3: digest.as_bytes().to_vec() })
}

/// A number that is none of ours would make other bytes than were asked for.
fn entropy(number: i32) -> Result<Entropy, Status> {
    match wire::Entropy::try_from(number) {
        Ok(wire::Entropy::Unspecified | wire::Entropy::Random) => Ok(Entropy::Random),
        Ok(wire::Entropy::Text) => Ok(Entropy::Text),
        Ok(wire::Entropy::Zeros) => Ok(Entropy::Zeros),
        Err(_) => Err(Status::invalid_argument(format!("there is no entropy {number}"))),
    }
}

/// Digests a file from disk.
pub(super) async fn digest(
    core: &Core,
    request: wire::DigestRequest,
) -> Result<wire::DigestReply, Status> {
    let (name, path) = match request.file {
        Some(Which::Share(path)) => {
            let path = SharePath::parse(&path)?;
            (path.to_string(), core.source.directory().join(path.as_str()))
        }
        Some(Which::Download(name)) => (name.clone(), download(core, &name)?),
        None => return Err(Status::invalid_argument("no file to digest")),
    };
    let (size_bytes, digest) = blocking(&name, "digest", move || {
        let mut file = File::open(path)?;
        let mut hasher = blake3::Hasher::new();
        let mut buffer = vec![0; CHUNK_BYTES_MAX as usize];
        let mut size_bytes = 0;
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok((size_bytes, hasher.finalize())),
                Ok(length) => {
                    hasher.update(&buffer[..length]);
                    size_bytes += length as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    })
    .await?;
    Ok(wire::DigestReply { size_bytes, blake3: digest.as_bytes().to_vec() })
}

/// Removes a download.
pub(super) async fn discard(
    core: &Core,
    request: wire::DiscardRequest,
) -> Result<wire::DiscardReply, Status> {
    let path = download(core, &request.download)?;
    blocking(&request.download, "remove", move || fs::remove_file(path)).await?;
    Ok(wire::DiscardReply {})
}

async fn blocking<T: Send + 'static>(
    name: &str,
    action: &'static str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Status> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(|error| Status::internal(format!("{name}: {action}: {error}")))?;
    done.map_err(|error| {
        let words = format!("{name}: cannot {action}: {error}");
        match error.kind() {
            io::ErrorKind::NotFound => Status::not_found(words),
            io::ErrorKind::PermissionDenied => Status::permission_denied(words),
            _ => Status::aborted(words),
        }
    })
}
