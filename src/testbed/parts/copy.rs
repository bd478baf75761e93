//! Files into a peer and out of it. Each side packs or unpacks one archive; in a
//! container that is done by our own executable there, which sees its mounts.

use std::path::{Component, Path, PathBuf};

use tokio_util::sync::CancellationToken;

use super::{Parts, VerbError};
use crate::testbed::contract::SHARE_DIR;
use streams::{Sink, Source};

pub(super) mod archive;
mod streams;

/// Where to copy from or to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Here.
    Local(PathBuf),
    /// In a peer: absolute, as it sees it.
    Peer { name: String, path: PathBuf },
}

impl Side {
    /// `PEER:PATH`, or a path of this machine: one that has a slash before its first
    /// colon, or no colon. A peer's relative path is below its share.
    pub(crate) fn parse(text: &str) -> Result<Self, VerbError> {
        let Some((name, path)) = text.split_once(':').filter(|(name, _)| !name.contains('/'))
        else {
            return Ok(Self::Local(PathBuf::from(text)));
        };
        if Path::new(path).components().any(|part| part == Component::ParentDir) {
            return Err(VerbError::input(
                format!("`{text}` leads upward"),
                "write the path without `..`",
            ));
        }
        Ok(Self::Peer { name: name.to_owned(), path: Path::new(SHARE_DIR).join(path) })
    }

    /// Under which name a copy appears in a directory.
    fn file_name(&self) -> Result<String, VerbError> {
        let path = match self {
            Self::Local(path) => path.canonicalize().unwrap_or_else(|_| path.clone()),
            Self::Peer { path, .. } => path.clone(),
        };
        let name = path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
        let refuse = || format!("{} has no name that could be given to its copy", path.display());
        name.ok_or_else(|| VerbError::input(refuse(), "copy what is in it, one by one"))
    }
}

/// Which peer is copied from or to, and that it is one.
pub(crate) fn peer_of<'a>(from: &'a Side, to: &'a Side) -> Result<&'a str, VerbError> {
    match (from, to) {
        (Side::Peer { name, .. }, Side::Local(_)) | (Side::Local(_), Side::Peer { name, .. }) => {
            Ok(name)
        }
        (Side::Local(_), Side::Local(_)) => Err(VerbError::input(
            "neither side is in a peer",
            "write `PEER:PATH` for one of them: `dropbed cp bob:big.bin .`",
        )),
        (Side::Peer { .. }, Side::Peer { .. }) => Err(VerbError::input(
            "both sides are in a peer",
            "peers read each other's shares: `dropbed exec bob -- dropd pull alice/big.bin`",
        )),
    }
}

/// That there is something here to copy, or room for a copy: told before anything is
/// asked of a peer.
pub(crate) fn check_here(from: &Side, to: &Side) -> Result<(), VerbError> {
    if let Side::Local(path) = from {
        path.metadata().map_err(|error| {
            let what = format!("cannot copy {}: {error}", path.display());
            VerbError::input(what, "name a file or a directory of this machine")
        })?;
    }
    if let Side::Local(path) = to
        && let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty())
        && !parent.is_dir()
    {
        let what =
            format!("cannot copy to {}: {} is no directory", path.display(), parent.display());
        return Err(VerbError::input(what, "make it first: a copy makes no directories above it"));
    }
    Ok(())
}

/// Copies a file or a directory with all that is in it; bytes, modes and times stay.
/// What appears is complete: until then it has another name. `progress` is told how
/// many bytes have passed. The bytes of all.
pub(crate) async fn copy(
    parts: &Parts,
    from: &Side,
    to: &Side,
    progress: impl Fn(u64),
    stop: CancellationToken,
) -> Result<u64, VerbError> {
    let name = from.file_name()?;
    let part = parts.part(peer_of(from, to)?).await?;
    let mut source = Source::open(from, &part).await?;
    let mut sink = Sink::open(to, &part, &name).await?;
    let moved = tokio::select! {
        moved = pump(&mut source, &mut sink, progress) => moved,
        () = stop.cancelled() => Err(Cut::Reading(VerbError::failed("interrupted"))),
    };
    let moved = match moved {
        Ok(bytes) => source.finish().await.map(|()| bytes).map_err(Cut::Reading),
        cut => cut,
    };
    // Whoever packs ends now, if it has not; the sink notices that it was not all.
    drop(source);
    let kept = sink.finish().await;
    match moved {
        Err(Cut::Reading(error)) => Err(error),
        // A sink that fails says why; that it takes no bytes follows from it.
        Err(Cut::Writing(error)) => Err(kept.err().unwrap_or(error)),
        Ok(bytes) => kept.map(|()| bytes),
    }
}

/// Why not all bytes passed.
enum Cut {
    Reading(VerbError),
    Writing(VerbError),
}

async fn pump(source: &mut Source, sink: &mut Sink, progress: impl Fn(u64)) -> Result<u64, Cut> {
    let mut bytes = 0;
    while let Some(chunk) = source.next().await.map_err(Cut::Reading)? {
        sink.write(&chunk).await.map_err(Cut::Writing)?;
        bytes += chunk.len() as u64;
        progress(bytes);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
