//! Which topology is live: from run directories, from what process runs leave below
//! the directory for temporary files, and from the engine's labels. No daemon is asked.

use std::path::{Path, PathBuf};

use super::{FILE, Live, OtherSchema};
use crate::testbed::runtime::owner::{Liveness, Owner};

mod clues;
mod error;

pub(crate) use error::FindError;

/// Where runs are made unless told otherwise.
pub(crate) const OUT_DEFAULT: &str = "runs";

/// A live run and its directory.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) directory: PathBuf,
    pub(crate) live: Live,
}

/// Which topology the command line means.
#[derive(Clone, Debug, Default)]
pub(crate) struct Which {
    /// The name of a topology, a run's id, or a run's directory; none: the only one.
    pub(crate) run: Option<String>,
    /// Only runs in this directory; none: any run of this machine.
    pub(crate) out: Option<PathBuf>,
    /// Also what a `dropbed down` that was killed left half removed.
    pub(crate) half_removed: bool,
}

/// A run that is live, or that left something.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Of the run.
    pub(crate) directory: PathBuf,
    /// Empty where nothing tells it.
    pub(crate) run_id: String,
    /// None before the links are made, and where the file is gone.
    pub(crate) live: Option<Live>,
    /// Whether something of it was found outside its directory.
    pub(crate) has_parts: bool,
    /// As text, where something tells it.
    pub(crate) owner: String,
    /// Why there is no `live`, where another version wrote it.
    pub(crate) other_schema: Option<OtherSchema>,
}

/// What was found, and what may be missing.
#[derive(Clone, Debug)]
pub(crate) struct Looked {
    /// Newest first.
    pub(crate) seen: Vec<Seen>,
    /// Why topologies in containers may be missing.
    pub(crate) unasked: Option<String>,
}

impl Seen {
    /// Whether it stands.
    pub(crate) fn liveness(&self) -> Liveness {
        match &self.live {
            Some(live) => live.liveness(),
            None => self.owner.parse::<Owner>().map_or(Liveness::Unknown, |owner| owner.liveness()),
        }
    }

    /// The topology's name, or the directory's where nothing tells it.
    pub(crate) fn name(&self) -> String {
        let of_directory = || self.directory.file_name().unwrap_or_default().to_string_lossy();
        self.live.as_ref().map_or_else(|| of_directory().into_owned(), |live| live.name.clone())
    }

    fn is_called(&self, word: &str) -> bool {
        let directory = self.directory.file_name().is_some_and(|name| name == word);
        let is_other = self.other_schema.as_ref().is_some_and(|other| other.is_called(word));
        let is_live = self.live.as_ref().is_some_and(|live| live.name == word);
        directory || self.run_id == word || is_live || is_other
    }
}

/// The topology that is meant. Cancel-safe: it only reads.
pub(crate) async fn find(which: &Which) -> Result<Found, FindError> {
    if let Some(run) = which.run.as_deref().filter(|run| is_path(run)) {
        return at(Path::new(run), which.half_removed);
    }
    let Looked { seen, unasked } = look_quietly(which.out.as_deref()).await;
    let others: Vec<OtherSchema> = seen.iter().filter_map(|one| one.other_schema.clone()).collect();
    let found = choose(seen, which).map_err(|error| error.with_unasked(unasked))?;
    warn(&others);
    Ok(found)
}

/// Everything that is live or left over, newest first. Warns of files that another
/// version wrote.
pub(crate) async fn look(out: Option<&Path>) -> Looked {
    let mut looked = look_quietly(out).await;
    warn(&looked.seen.iter().filter_map(|one| one.other_schema.clone()).collect::<Vec<_>>());
    looked.seen.retain(|one| one.live.is_some() || one.has_parts);
    looked
}

fn warn(others: &[OtherSchema]) {
    others.iter().for_each(|other| tracing::warn!("{other}"));
}

async fn look_quietly(out: Option<&Path>) -> Looked {
    let (clues, unasked) = clues::gather(out.unwrap_or_else(|| Path::new(OUT_DEFAULT))).await;
    let only = out.map(|out| out.canonicalize().unwrap_or_else(|_| out.to_owned()));
    let mut seen: Vec<Seen> = clues
        .into_iter()
        .filter(|(directory, _)| only.is_none() || directory.parent() == only.as_deref())
        .map(|(directory, clue)| clue.into_seen(directory))
        .filter(|seen| seen.live.is_some() || seen.has_parts || seen.other_schema.is_some())
        .collect();
    // Names of directories begin with the time.
    seen.sort_by(|left, right| right.directory.file_name().cmp(&left.directory.file_name()));
    // What stands below a directory that was named has its file there.
    Looked { seen, unasked: unasked.filter(|_| out.is_none()) }
}

/// A word with a slash, and `.`, cannot be a name.
pub(crate) fn is_path(run: &str) -> bool {
    run.contains('/') || run == "." || run == ".."
}

/// The run of that directory, also a half removed one when that will do.
pub(crate) fn at(directory: &Path, half_removed: bool) -> Result<Found, FindError> {
    let not_live =
        |why: String, hint| Err(FindError::NotLive { directory: directory.to_owned(), why, hint });
    if !directory.is_dir() {
        return not_live("there is no such directory".into(), "`dropbed ls --all` shows runs");
    }
    match Live::read(directory) {
        Ok(live) if !is_meant(&live, half_removed) => not_live(
            format!("its owner ({}) has ended", live.owner),
            "`dropbed gc` removes what it left",
        ),
        Ok(live) => {
            let directory = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
            Ok(Found { directory, live })
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => not_live(
            format!("it has no {FILE}, so the run is over or has not yet made its links"),
            "`dropbed run FILE --hold` keeps a run up after its scenario",
        ),
        Err(error) => match OtherSchema::of(&error) {
            Some(other) => Err(other.into()),
            None => not_live(
                format!("its {FILE} cannot be read: {error}"),
                "use the program and the user that run it",
            ),
        },
    }
}

fn is_meant(live: &Live, half_removed: bool) -> bool {
    live.liveness() != Liveness::Gone || (half_removed && live.is_to_remove())
}

/// Every topology in a directory of runs that `dropbed down` has to do with, newest
/// first, and the files there that another version wrote.
pub(crate) fn all(out: &Path) -> (Vec<Found>, Vec<OtherSchema>) {
    // What is found is told to parts that work elsewhere.
    let out = out.canonicalize().unwrap_or_else(|_| out.to_owned());
    let entries = std::fs::read_dir(out).into_iter().flatten().flatten();
    let (mut found, mut others) = (Vec::new(), Vec::new());
    for directory in entries.map(|entry| entry.path()) {
        match Live::read(&directory) {
            Ok(live) if live.is_to_remove() => found.push(Found { directory, live }),
            Ok(_) => {}
            Err(error) => others.extend(OtherSchema::of(&error)),
        }
    }
    // Names begin with the time.
    found.sort_by(|left, right| right.directory.cmp(&left.directory));
    (found, others)
}

/// The one that is meant among these. An owner of another pid namespace cannot be
/// judged from here, so its run counts only where no other does.
fn choose(seen: Vec<Seen>, which: &Which) -> Result<Found, FindError> {
    let place = which.out.clone();
    let (mut alive, mut unknown, mut gone) = (Vec::new(), Vec::new(), Vec::new());
    for one in seen {
        let Some(live) = &one.live else {
            gone.push(one);
            continue;
        };
        match live.liveness() {
            Liveness::Gone if is_meant(live, which.half_removed) => alive.push(one),
            Liveness::Alive => alive.push(one),
            Liveness::Unknown => unknown.push(one),
            Liveness::Gone => gone.push(one),
        }
    }
    let mut meant = if let Some(word) = &which.run {
        let called = |seen: &&Seen| seen.is_called(word);
        let matching: Vec<Seen> = alive.iter().chain(&unknown).filter(called).cloned().collect();
        if matching.is_empty() {
            let here = Path::new(word).is_dir().then(|| PathBuf::from(word));
            if let Some(other) =
                gone.iter().filter(called).find_map(|seen| seen.other_schema.clone())
            {
                return Err(other.into());
            }
            let left = gone.iter().find(called).map(|seen| seen.directory.clone());
            if let Some(directory) = left.or(here) {
                return at(&directory, which.half_removed);
            }
            return Err(FindError::unknown(word, place, alive.iter().chain(&unknown)));
        }
        matching
    } else if alive.is_empty() {
        unknown
    } else {
        alive
    };
    match meant.len() {
        0 => match gone.into_iter().find_map(|seen| seen.other_schema) {
            Some(other) => Err(other.into()),
            None => Err(FindError::NoRun { out: place, unasked: None }),
        },
        1 => {
            let Seen { directory, live, .. } = meant.remove(0);
            Ok(Found { directory, live: live.expect("those without were put aside") })
        }
        _ => Err(FindError::several(place, &meant)),
    }
}

#[cfg(test)]
mod tests;
