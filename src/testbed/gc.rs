//! Removes what runs left that were killed. Works by label, environment and
//! owner file alone, so it needs nothing that a run would have had to tell.
//!
//! A run whose owner lives is never touched, nor a topology that was kept up on
//! purpose (`kept`). Neither is one whose owner cannot be judged from here
//! (another pid namespace), unless [`Options::all`] is set.

use std::fmt::{self, Write as _};
use std::path::Path;

use super::runtime::owner::{Liveness, Owner};

pub(in crate::testbed) mod directories;
mod engine;
mod kept;
mod processes;

use kept::Swept;
pub use kept::kept;

/// What to sweep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Also what belongs to nobody that can be judged from here.
    pub all: bool,
    /// Only say what would be removed.
    pub dry_run: bool,
}

/// One thing that a run left, or that belongs to one.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Leftover {
    /// `container`, `volume`, `network`, `process`, `mount`, `directory` or `file`.
    pub kind: &'static str,
    /// Its name: for a process its id, for a mount, directory or file its path.
    pub name: String,
    /// Empty when it does not say.
    pub run_id: String,
}

/// What a sweep found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// Nothing was removed; `removed` says what would have been.
    pub dry_run: bool,
    /// In order of removal.
    pub removed: Vec<Leftover>,
    /// Of living runs.
    pub living: Vec<Leftover>,
    /// Of topologies that `dropbed up` left up; `dropbed down` removes them.
    pub up: Vec<Leftover>,
    /// Of owners that cannot be judged from here; `--all` removes them.
    pub unknown: Vec<Leftover>,
    /// What could not be removed or looked at, and why.
    pub failures: Vec<String>,
    /// What was not looked at, and why that is no failure.
    pub notes: Vec<String>,
}

/// Looks for leftovers and removes them. Not cancel-safe in that a dropped sweep
/// may have removed a part; the next one does the rest.
///
/// Never fails as a whole: what fails is in [`Report::failures`].
pub async fn sweep(options: Options) -> Report {
    let mut report = Report { dry_run: options.dry_run, ..Report::default() };
    let mut swept = Swept::default();
    // Processes first: they hold mounts, and mounts hold directories.
    processes::sweep(options, &mut report, &mut swept).await;
    directories::sweep(options, &mut report, &mut swept).await;
    engine::sweep(options, &mut report, &mut swept).await;
    swept.remove_tokens(&mut report);
    report
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        let verb = if self.dry_run { "would remove" } else { "removed" };
        let groups = [
            (verb, &self.removed),
            ("kept, alive:", &self.living),
            ("kept, up:", &self.up),
            ("kept, unknown owner:", &self.unknown),
        ];
        for (verb, leftovers) in groups {
            for Leftover { kind, name, run_id } in leftovers {
                writeln!(text, "{verb} {kind} {name} (run {run_id})")?;
            }
        }
        for failure in &self.failures {
            writeln!(text, "failed: {failure}")?;
        }
        for note in &self.notes {
            writeln!(text, "note: {note}")?;
        }
        if self.removed.is_empty() && self.failures.is_empty() {
            writeln!(text, "nothing to remove")?;
        }
        formatter.write_str(&text)
    }
}

/// What is to be done with a leftover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Remove,
    Living,
    Up,
    Unknown,
}

/// What a leftover says about itself: on labels, in an environment, in a file.
#[derive(Clone, Copy, Debug)]
struct Claim<'a> {
    owner: Option<&'a str>,
    run_id: &'a str,
    /// The run's directory.
    directory: Option<&'a Path>,
}

/// By the owner, and by the run's directory when that has ended. Even `all` leaves
/// alone what was kept up on purpose.
fn judge(claim: Claim<'_>, all: bool) -> Verdict {
    let liveness = claim
        .owner
        .and_then(|text| text.parse::<Owner>().ok())
        .map_or(Liveness::Unknown, |owner| owner.liveness());
    let is_kept = || claim.directory.is_some_and(|directory| kept(directory, claim.run_id));
    match (liveness, all) {
        (Liveness::Alive, _) => Verdict::Living,
        (Liveness::Gone | Liveness::Unknown, _) if is_kept() => Verdict::Up,
        (Liveness::Gone, _) | (Liveness::Unknown, true) => Verdict::Remove,
        (Liveness::Unknown, false) => Verdict::Unknown,
    }
}

impl Report {
    /// Whether something that should be gone may still be there.
    pub const fn failed(&self) -> bool {
        !self.failures.is_empty()
    }

    /// Files it under its verdict; true when it is to be removed now.
    fn decide(&mut self, verdict: Verdict, leftover: Leftover) -> bool {
        match verdict {
            Verdict::Living => self.living.push(leftover),
            Verdict::Up => self.up.push(leftover),
            Verdict::Unknown => self.unknown.push(leftover),
            Verdict::Remove if self.dry_run => self.removed.push(leftover),
            Verdict::Remove => return true,
        }
        false
    }

    fn record<E: fmt::Display>(&mut self, leftover: Leftover, outcome: Result<(), E>) {
        match outcome {
            Ok(()) => self.removed.push(leftover),
            Err(error) => self.failures.push(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
