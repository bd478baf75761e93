//! Which run is live.

use std::path::{Path, PathBuf};

use super::error::LinkError;
use super::{FILE, Live};
use crate::testbed::runtime::owner::Liveness;

/// A live run and its directory.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) directory: PathBuf,
    pub(crate) live: Live,
}

/// The run of that directory.
pub(crate) fn at(directory: &Path) -> Result<Found, LinkError> {
    let not_live =
        |why: String, hint| Err(LinkError::NotLive { directory: directory.to_owned(), why, hint });
    if !directory.is_dir() {
        return not_live("there is no such directory".into(), "`ls runs/` shows those of runs");
    }
    match Live::read(directory) {
        Ok(live) if live.liveness() == Liveness::Gone => not_live(
            format!("its owner ({}) has ended", live.owner),
            "`dropbed gc` removes what it left",
        ),
        Ok(live) => Ok(Found { directory: directory.to_owned(), live }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => not_live(
            format!("it has no {FILE}, so the run is over or has not yet made its links"),
            "`dropbed run FILE --hold` keeps a run up after its scenario",
        ),
        Err(error) => not_live(
            format!("its {FILE} cannot be read: {error}"),
            "use the program and the user that run it",
        ),
    }
}

/// The only live run below `out`. An owner of another pid namespace cannot be
/// judged from here, so its run counts only where no other does.
pub(crate) fn below(out: &Path) -> Result<Found, LinkError> {
    let mut alive = Vec::new();
    let mut unknown = Vec::new();
    let entries = std::fs::read_dir(out).into_iter().flatten().flatten();
    for directory in entries.map(|entry| entry.path()) {
        let Ok(live) = Live::read(&directory) else { continue };
        match live.liveness() {
            Liveness::Alive => alive.push(Found { directory, live }),
            Liveness::Unknown => unknown.push(Found { directory, live }),
            Liveness::Gone => {}
        }
    }
    let mut found = if alive.is_empty() { unknown } else { alive };
    // Names begin with the time: the newest is named first.
    found.sort_by(|left, right| right.directory.cmp(&left.directory));
    match found.len() {
        0 => Err(LinkError::NoRun { out: out.to_owned() }),
        1 => Ok(found.remove(0)),
        _ => Err(LinkError::SeveralRuns {
            out: out.to_owned(),
            found: found.into_iter().map(|found| found.directory).collect(),
        }),
    }
}

#[cfg(test)]
mod tests;
