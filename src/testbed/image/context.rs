//! What the engine is sent: a Dockerfile and the file system to copy. Pure.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write};
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

/// Writes the build context, a tar archive. Times are zero, so it is reproducible.
///
/// # Errors
/// A file that cannot be read, or that grows or shrinks meanwhile; those of `out`.
pub(super) fn archive<W: Write>(out: W, executable: &Path, peer: Option<&Path>) -> io::Result<W> {
    let mut archive = Builder::new(out);
    let mut dockerfile = header(EntryType::Regular, 0o644, DOCKERFILE.len() as u64);
    archive.append_data(&mut dockerfile, "Dockerfile", DOCKERFILE.as_bytes())?;
    for (name, mode) in std::iter::once(("", 0o755)).chain(DIRECTORIES) {
        let mut directory = header(EntryType::Directory, mode, 0);
        archive.append_data(&mut directory, format!("rootfs/{name}"), io::empty())?;
    }
    append(&mut archive, "rootfs/dropbed", executable)?;
    if let Some(peer) = peer {
        append(&mut archive, "rootfs/dropd", peer)?;
    } else {
        let mut link = header(EntryType::Symlink, 0o777, 0);
        archive.append_link(&mut link, "rootfs/dropd", "dropbed")?;
    }
    archive.into_inner()
}

fn append<W: Write>(archive: &mut Builder<W>, path: &str, from: &Path) -> io::Result<()> {
    let mut file = File::open(from)?;
    let size_bytes = file.metadata()?.len();
    let mut header = header(EntryType::Regular, 0o755, size_bytes);
    archive.append_data(&mut header, path, (&mut file).take(size_bytes))?;
    // The header is out already: what follows must be just as long.
    if file.stream_position()? == size_bytes && file.metadata()?.len() == size_bytes {
        return Ok(());
    }
    Err(io::Error::other(format!("{} changed while it was read", from.display())))
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
