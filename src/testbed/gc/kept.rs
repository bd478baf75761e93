//! What a run's directory says about its leftovers: whether its topology was kept
//! up on purpose, and its file of control tokens.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use serde::Deserialize;

use super::{Leftover, Report};
use crate::testbed::live;
use crate::testbed::runtime::owner::{Liveness, Owner};

/// Largest `live.json` that is read: a full mesh of 100 peers has 5 MiB.
const LIVE_BYTES_MAX: u64 = 64 << 20;

/// The value of `phase` that says that `dropbed up` has left.
const PHASE_UP: &str = "up";

/// The one that says that `owner` is removing it.
const PHASE_ENDING: &str = "ending";

/// The fields that are of use here; others may come and go.
#[derive(Debug, Deserialize)]
struct Said {
    run_id: String,
    phase: String,
    #[serde(default)]
    owner: String,
}

/// Whether the run's topology was left up on purpose: its directory holds a
/// `live.json` that names this run and says that it is up. Then its owner is gone
/// because it was done, and only `dropbed down` may remove its things. While one
/// does, they are left to it; what it leaves when it is killed is kept no more.
///
/// False when the file is missing, unreadable, of another run or no such file. May
/// block for as long as the disk does.
pub fn kept(directory: &Path, run_id: &str) -> bool {
    read(directory).is_ok_and(|said| said.run_id == run_id && said.keeps())
}

impl Said {
    fn keeps(&self) -> bool {
        let is_alive = |owner: Owner| owner.liveness() == Liveness::Alive;
        match self.phase.as_str() {
            // Nothing of it has run on since the machine was started.
            PHASE_UP => {
                let owner = self.owner.parse::<Owner>().ok();
                owner.is_none_or(|owner| owner.is_of_this_boot())
            }
            PHASE_ENDING => self.owner.parse().is_ok_and(is_alive),
            _ => false,
        }
    }
}

/// Directories of runs of which something was removed, with the run's id.
#[derive(Debug, Default)]
pub(super) struct Swept(BTreeSet<(PathBuf, String)>);

impl Swept {
    pub(super) fn add(&mut self, directory: Option<&Path>, run_id: &str) {
        if let Some(directory) = directory {
            self.0.insert((directory.to_owned(), run_id.to_owned()));
        }
    }

    /// Removes their `live.json`: a killed run leaves it, control tokens included,
    /// and they open nothing any more. One of another run is left alone.
    pub(super) fn remove_tokens(self, report: &mut Report) {
        for (directory, run_id) in self.0 {
            if !read(&directory).is_ok_and(|said| said.run_id == run_id) {
                continue;
            }
            let file = directory.join(live::FILE);
            let leftover = Leftover { kind: "file", name: file.display().to_string(), run_id };
            let outcome = if report.dry_run { Ok(()) } else { remove(&file) };
            report.record(leftover, outcome);
        }
    }
}

fn remove(file: &Path) -> Result<(), String> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(format!("removing {}, which holds control tokens: {error}", file.display()))
        }
        _ => Ok(()),
    }
}

fn read(directory: &Path) -> io::Result<Said> {
    // The path comes from a label or a variable, which anybody can write.
    if !directory.is_absolute() {
        return Err(io::Error::other("the run's directory is no absolute path"));
    }
    let file = open(&directory.join(live::FILE))?;
    let mut text = Vec::new();
    file.take(LIVE_BYTES_MAX).read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

/// Without waiting for a writer, should it be a pipe.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is no file")) }
}
