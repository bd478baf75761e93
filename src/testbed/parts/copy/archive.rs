//! What travels: one tar archive with the file or directory under a fixed name, and
//! an entry at its end by which a cut one is told from a whole one.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tar::{Archive, Builder, EntryType, Header};

/// The file or directory itself.
const ROOT: &str = "root";

/// The last entry: whoever packed came to its end.
const END: &str = "end";

/// Of directories that hold what is not complete.
const PARTIAL_PREFIX: &str = ".dropbed-partial-";

/// Whether a path was wrong that somebody gave.
pub(crate) fn is_input(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Packs what is at `path`. A link there is followed; links within are kept as such.
pub(in crate::testbed::parts) fn pack(path: &Path, to: impl Write) -> io::Result<()> {
    let told =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let mut archive = Builder::new(to);
    archive.follow_symlinks(false);
    // Holes are bytes here: not every file system tells where they are.
    archive.sparse(false);
    if fs::metadata(path).map_err(told)?.is_dir() {
        archive.append_dir_all(ROOT, path).map_err(told)?;
    } else {
        let mut file = File::open(path).map_err(told)?;
        archive.append_file(ROOT, &mut file).map_err(told)?;
    }
    let mut end = Header::new_gnu();
    end.set_entry_type(EntryType::Regular);
    end.set_mode(0o600);
    end.set_size(0);
    archive.append_data(&mut end, END, io::empty())?;
    archive.into_inner()?.flush()
}

/// Unpacks to `target`; into it, under `name`, where it is a directory. It appears
/// there complete, in place of a file that was there.
pub(in crate::testbed::parts) fn unpack(
    from: impl Read,
    target: &Path,
    name: &str,
) -> io::Result<()> {
    let goal = if target.is_dir() { target.join(name) } else { target.to_owned() };
    let parent = goal.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or_else(|| Path::new("."));
    let told = |what: &str, error: io::Error| {
        io::Error::new(error.kind(), format!("{what} {}: {error}", goal.display()))
    };
    let work = tempfile::Builder::new().prefix(PARTIAL_PREFIX).tempdir_in(parent);
    let work = work.map_err(|error| told("writing beside", error))?;
    let mut archive = Archive::new(from);
    archive.set_preserve_permissions(true);
    archive.unpack(work.path()).map_err(|error| told("writing", error))?;
    if !work.path().join(END).is_file() {
        return Err(told("writing", io::Error::from(io::ErrorKind::UnexpectedEof)));
    }
    put(&work.path().join(ROOT), &goal).map_err(|error| told("naming it", error))
}

/// Renames it; a directory can only be moved by whoever may write in it.
fn put(made: &Path, goal: &Path) -> io::Result<()> {
    let made_as = fs::symlink_metadata(made)?;
    if !made_as.is_dir() {
        return fs::rename(made, goal);
    }
    const OWN: u32 = 0o700;
    let permissions = made_as.permissions();
    fs::set_permissions(made, Permissions::from_mode(permissions.mode() | OWN))?;
    fs::rename(made, goal)?;
    fs::set_permissions(goal, permissions)
}

#[cfg(test)]
mod tests;
