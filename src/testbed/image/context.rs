//! What the engine is sent: a Dockerfile and the file system to copy. Pure.

use std::fs::File;
use std::io;
use std::path::Path;

use tar::{Builder, EntryType, Header};

/// No base image. The `/dropd` of the copied tree is another peer, or a link to
/// `/dropbed`, which looks at the name that it was started under.
const DOCKERFILE: &str =
    "FROM scratch\nCOPY rootfs/ /\nENV PATH=/\nCMD [\"/dropbed\", \"--help\"]\n";

/// Directories that daemons need in an empty file system, and their modes.
const DIRECTORIES: [(&str, u32); 7] = [
    ("mnt", 0o755),
    ("mnt/dropd", 0o755),
    ("run", 0o755),
    ("run/dropbed", 0o755),
    ("share", 0o755),
    ("state", 0o700),
    ("tmp", 0o1777),
];

/// Same executables, same layout, same digest: hexadecimal BLAKE3.
///
/// # Errors
/// One of the files cannot be read.
pub(super) fn digest(executable: &Path, peer: Option<&Path>) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(DOCKERFILE.as_bytes());
    for (name, mode) in DIRECTORIES {
        hasher.update(name.as_bytes());
        hasher.update(&mode.to_le_bytes());
    }
    if let Some(peer) = peer {
        // With its length: no other division of the same bytes is the same image.
        let file = File::open(peer)?;
        hasher.update(&file.metadata()?.len().to_le_bytes()).update_reader(file)?;
    }
    hasher.update_reader(File::open(executable)?)?;
    Ok(hasher.finalize().to_hex().to_string())
}

/// The build context, as a tar archive. Times are zero, so it is reproducible.
///
/// # Errors
/// An executable too large for the format.
pub(super) fn archive(executable: &[u8], peer: Option<&[u8]>) -> io::Result<Vec<u8>> {
    let peer_bytes = peer.map_or(0, <[u8]>::len);
    let mut archive = Builder::new(Vec::with_capacity(executable.len() + peer_bytes + (1 << 16)));
    append(&mut archive, "Dockerfile", EntryType::Regular, 0o644, DOCKERFILE.as_bytes())?;
    append(&mut archive, "rootfs", EntryType::Directory, 0o755, &[])?;
    for (name, mode) in DIRECTORIES {
        append(&mut archive, &format!("rootfs/{name}"), EntryType::Directory, mode, &[])?;
    }
    append(&mut archive, "rootfs/dropbed", EntryType::Regular, 0o755, executable)?;
    if let Some(peer) = peer {
        append(&mut archive, "rootfs/dropd", EntryType::Regular, 0o755, peer)?;
    } else {
        let mut link = header(EntryType::Symlink, 0o777, 0);
        archive.append_link(&mut link, "rootfs/dropd", "dropbed")?;
    }
    archive.into_inner()
}

fn append(
    archive: &mut Builder<Vec<u8>>,
    path: &str,
    kind: EntryType,
    mode: u32,
    bytes: &[u8],
) -> io::Result<()> {
    let size = u64::try_from(bytes.len()).map_err(io::Error::other)?;
    archive.append_data(&mut header(kind, mode, size), path, bytes)
}

fn header(kind: EntryType, mode: u32, size_bytes: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size_bytes);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}
