//! Removes what runs left that were killed. Works by label, environment and
//! owner file alone, so it needs nothing that a run would have had to tell.
//!
//! A run whose owner lives is never touched. Neither is one whose owner cannot
//! be judged from here (another pid namespace), unless [`Options::all`] is set.

use std::fmt::{self, Write as _};

use super::contract::label;
use super::runtime::docker;
use super::runtime::owner::{Liveness, OWNER_LABEL, Owner};

mod directories;
mod processes;

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
    /// `container`, `volume`, `network`, `process`, `mount` or `directory`.
    pub kind: &'static str,
    /// Its name: for a process its id, for a mount or directory its path.
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
    // Processes first: they hold mounts, and mounts hold directories.
    processes::sweep(options, &mut report).await;
    directories::sweep(options, &mut report).await;
    sweep_engine(options, &mut report).await;
    report
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        let verb = if self.dry_run { "would remove" } else { "removed" };
        let groups = [
            (verb, &self.removed),
            ("kept, alive:", &self.living),
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
    Unknown,
}

/// By the owner's text, as it stands on labels, in environments and files.
fn judge(owner: Option<&str>, all: bool) -> Verdict {
    let liveness = owner
        .and_then(|text| text.parse::<Owner>().ok())
        .map_or(Liveness::Unknown, |owner| owner.liveness());
    match (liveness, all) {
        (Liveness::Alive, _) => Verdict::Living,
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

async fn sweep_engine(options: Options, report: &mut Report) {
    // Owners are judged by this machine's processes.
    let here = docker::check_ports_reach_us(std::env::var("DOCKER_HOST").ok().as_deref());
    let connected = match here {
        Ok(()) => docker::connect().await,
        Err(error) => Err(error),
    };
    let docker = match connected {
        Ok(docker) => docker,
        Err(error) => {
            let why = error.to_string();
            let why = why.lines().next().unwrap_or_default();
            report.notes.push(format!("containers, volumes and networks were left out: {why}"));
            return;
        }
    };
    let found = match docker::find_all(&docker, &docker::label_filter(None)).await {
        Ok(found) => found,
        Err(error) => {
            report.failures.push(error.to_string());
            return;
        }
    };
    for one in found {
        let verdict = judge(one.labels.get(OWNER_LABEL).map(String::as_str), options.all);
        let run_id = one.labels.get(label::RUN).cloned().unwrap_or_default();
        let leftover = Leftover { kind: one.kind.name(), name: one.name.clone(), run_id };
        if report.decide(verdict, leftover.clone()) {
            let outcome = docker::remove(&docker, &one).await;
            report.record(leftover, outcome);
        }
    }
}

#[cfg(test)]
mod tests;
