//! What this machine lacks, before a run finds out.

use std::fmt;
use std::path::PathBuf;

use super::runtime::RuntimeError;
use super::runtime::docker::DockerOptions;

mod checks;

/// What to examine with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// What containers would be started with.
    pub docker: DockerOptions,
    /// Where run directories would go: its disk is measured.
    pub runs: PathBuf,
    /// Start a container, to see what the engine grants.
    pub probe: bool,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Something will be missing, or was not looked at.
    Warn,
    /// A runtime or the mount cannot work.
    Fail,
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
}

/// As [`examine_with`], with what a run started here would use.
///
/// # Errors
/// An environment variable of the testbed that makes no sense.
pub async fn examine() -> Result<Diagnosis, RuntimeError> {
    let docker = DockerOptions::from_environment()?;
    Ok(examine_with(&Options { docker, runs: PathBuf::from("."), probe: true }).await)
}

/// Looks at everything. Changes nothing but, with [`Options::probe`], starts and
/// removes one container.
pub async fn examine_with(options: &Options) -> Diagnosis {
    let device = checks::fuse_device();
    let mount = checks::mount_rights();
    let executable = checks::static_executable();
    let (engine, docker) = checks::engine().await;
    let (subnets, rights) = match &docker {
        Some(docker) => (
            checks::free_subnets(docker, options.docker.pool).await,
            checks::container_rights(docker, options).await,
        ),
        None => {
            let no_engine = "not looked at: no engine";
            (
                Check::warn("free networks", no_engine, "see engine"),
                Check::warn("container rights", no_engine, "see engine"),
            )
        }
    };
    let process_works = [&device, &mount].iter().all(|check| check.verdict != Verdict::Fail);
    let docker_works = docker.is_some()
        && [&executable, &subnets, &rights].iter().all(|check| check.verdict != Verdict::Fail);
    let checks = vec![
        device,
        mount,
        executable,
        engine,
        subnets,
        rights,
        checks::compose().await,
        checks::processors(),
        checks::disk_space(&options.runs),
    ];
    Diagnosis { checks, process_works, docker_works }
}

impl Diagnosis {
    /// Whether a runtime works; else `dropbed doctor` ends with exit code 3.
    pub const fn can_run(&self) -> bool {
        self.process_works || self.docker_works
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Check { name, verdict, detail, hint } in &self.checks {
            let verdict = match verdict {
                Verdict::Ok => "ok  ",
                Verdict::Warn => "warn",
                Verdict::Fail => "FAIL",
            };
            writeln!(formatter, "{verdict}  {name}: {detail}")?;
            if !hint.is_empty() {
                writeln!(formatter, "      hint: {hint}")?;
            }
        }
        let works = |works| if works { "works" } else { "does not work" };
        writeln!(formatter, "--runtime process {} here", works(self.process_works))?;
        writeln!(formatter, "--runtime docker {} here", works(self.docker_works))
    }
}

impl Check {
    fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Ok, detail: detail.into(), hint: String::new() }
    }

    fn warn(name: &'static str, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Warn, detail: detail.into(), hint: hint.into() }
    }

    fn fail(name: &'static str, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Fail, detail: detail.into(), hint: hint.into() }
    }
}

#[cfg(test)]
mod tests;
