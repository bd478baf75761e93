//! What this machine lacks, before a run finds out.

use std::path::PathBuf;

use super::runtime::docker::DockerOptions;
use super::runtime::{RuntimeError, RuntimeKind, choice};

mod containers;
mod disk;
mod engine;
mod kernel;
mod machine;
mod render;

pub use render::render;

/// Names the runtime that a run takes which is not told; the command line's.
const RUNTIME_VARIABLE: &str = "DROPBED_RUNTIME";

/// What to examine with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// What containers would be started with.
    pub docker: DockerOptions,
    /// The runtime that was asked for; none: whichever a run would take.
    pub asked: Option<RuntimeKind>,
    /// Where run directories would go: its disk is measured.
    pub runs: PathBuf,
    /// Mount a file system, build the own image and start containers, to see what
    /// kernel and engine grant.
    pub probe: bool,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Something will be missing, or could not be looked at.
    Warning,
    /// A runtime or the mount cannot work.
    Failed,
}

/// One thing looked at.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How it ended.
    pub verdict: Verdict,
    /// What was found.
    pub detail: String,
    /// What to do about it; empty when it is well.
    pub hint: String,
}

/// Everything looked at.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Diagnosis {
    /// In the order of looking.
    pub checks: Vec<Check>,
    /// Whether `--runtime process` can run a topology that mounts.
    pub process_works: bool,
    /// Whether `--runtime docker` can.
    pub docker_works: bool,
    /// The runtime that `dropbed run` takes here without `--runtime`.
    pub run_takes: RuntimeKind,
    /// Why that one.
    pub why: String,
}

/// As [`examine_with`], with what a run started here would use.
///
/// # Errors
/// An environment variable of the testbed that makes no sense.
pub async fn examine() -> Result<Diagnosis, RuntimeError> {
    let docker = DockerOptions::from_environment()?;
    let asked = asked(std::env::var(RUNTIME_VARIABLE).ok().as_deref())?;
    Ok(examine_with(&Options { docker, asked, runs: PathBuf::from("runs"), probe: true }).await)
}

/// Looks at everything. Changes nothing but, with [`Options::probe`], builds the own
/// image where it is not this executable, mounts and unmounts a file system, and
/// starts and removes two containers.
///
/// Every question that others answer has a deadline, so it ends. When dropped, a
/// container may stay for `dropbed gc`.
pub async fn examine_with(options: &Options) -> Diagnosis {
    let (taken, machine, containers, compose, disks) = tokio::join!(
        take(options.asked),
        machine::checks(options.probe),
        containers::checks(options),
        engine::compose(),
        disk::checks(&options.runs),
    );
    let (run_takes, why) = taken;
    let process_works = machine::works(&machine);
    let docker_works = containers::work(&containers);
    let mut checks = machine;
    checks.extend(containers);
    checks.push(compose);
    checks.extend(disks);
    Diagnosis { checks, process_works, docker_works, run_takes, why }
}

impl Diagnosis {
    /// Whether `dropbed run` works as it is; else `dropbed doctor` ends with exit code 3.
    pub const fn can_run(&self) -> bool {
        match self.run_takes {
            RuntimeKind::Process => self.process_works,
            RuntimeKind::Docker => self.docker_works,
            // What it needs is elsewhere.
            RuntimeKind::Attach => true,
        }
    }
}

impl Check {
    fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Ok, detail: detail.into(), hint: String::new() }
    }

    fn warning(name: &'static str, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Warning, detail: detail.into(), hint: hint.into() }
    }

    fn failed(name: &'static str, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Failed, detail: detail.into(), hint: hint.into() }
    }
}

async fn take(asked: Option<RuntimeKind>) -> (RuntimeKind, String) {
    match asked {
        Some(kind) => (kind, format!("{RUNTIME_VARIABLE} says so")),
        None => choice::unasked().await,
    }
}

/// What [`RUNTIME_VARIABLE`] asks for.
fn asked(variable: Option<&str>) -> Result<Option<RuntimeKind>, RuntimeError> {
    match variable {
        None | Some("" | "auto") => Ok(None),
        Some("process") => Ok(Some(RuntimeKind::Process)),
        Some("docker") => Ok(Some(RuntimeKind::Docker)),
        Some("attach") => Ok(Some(RuntimeKind::Attach)),
        Some(other) => Err(RuntimeError::Environment {
            what: format!("{RUNTIME_VARIABLE}: there is no runtime {other:?}"),
            hint: "set it to auto, process, docker or attach, or unset it".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests;
