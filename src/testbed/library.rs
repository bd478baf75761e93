//! The testbed as a library: a topology for the length of a test.
//!
//! ```no_run
//! use dropbed::testbed::Testbed;
//! use dropbed::testbed::plan::TransferMode;
//! use dropbed::testbed::runtime::RuntimeKind;
//!
//! # async fn test() -> Result<(), Box<dyn std::error::Error>> {
//! // In a #[tokio::test(flavor = "multi_thread")] of your own:
//! let mut bed = Testbed::from_file("topologies/two-peer.yaml")
//!     .set("rtt=100ms")
//!     .runtime(RuntimeKind::Process)
//!     // A test's executable is not `dropbed`: say which is.
//!     .executable("/usr/local/bin/dropbed")
//!     .up()
//!     .await?;
//! let pushed = bed.transfer("alice", "bob", "small.bin", TransferMode::Push).await?;
//! let by_turns = bed.transfer("alice", "bob", "small.bin", TransferMode::RequestResponse).await?;
//! assert!(pushed.wall_ns < by_turns.wall_ns);
//! bed.down().await?;
//! # Ok(())
//! # }
//! ```
//!
//! A bed that is dropped without `down`, as by a failed assertion, is removed too;
//! what a killed test leaves, `dropbed gc` removes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::timeout;

use super::bed::Desk;
use super::live::LiveFile;
use super::plan::{self, StepPlan, TransferDestination, TransferMode, TransferPlan};
use super::result::{StepResult, TransferResult, TurnResult};
use super::run::directory::RunDirectory;
use super::runtime::choice::{Choice, Wanted, choose};
use super::runtime::control::Client as Control;
use super::runtime::{Runtime, RuntimeError, RuntimeKind};
use super::scenario::Stage;
use super::topology;
use super::topology::defaults::STEP_DEADLINE_MS;
use super::ui::Ui;
use crate::toxiproxy::client::{Client as Proxy, ProxyGuard};
pub use error::TestbedError;
use error::file;
use standing::{stand, take_down, watched};

mod error;
mod standing;

/// What is to be brought up. Nothing is read or started before [`Testbed::up`].
#[derive(Clone, Debug)]
pub struct Testbed {
    file: PathBuf,
    sets: Vec<String>,
    runtime: Option<RuntimeKind>,
    executable: Option<PathBuf>,
    peer: Option<PathBuf>,
    out: Option<PathBuf>,
    force: bool,
    ui: Ui,
}

/// A topology that stands for as long as this lives.
#[derive(Debug)]
pub struct LiveTestbed {
    stage: Stage,
    /// Taken by `down`.
    runtime: Option<Box<dyn Runtime>>,
    links: Vec<ProxyGuard>,
    live: Option<LiveFile>,
    directory: RunDirectory,
    warnings: Vec<String>,
    /// Removed with the bed, unless the caller named a directory.
    _out: Option<TempDir>,
}

impl Testbed {
    /// The topology (YAML).
    pub fn from_file(file: impl Into<PathBuf>) -> Self {
        Self {
            file: file.into(),
            sets: Vec::new(),
            runtime: None,
            executable: None,
            peer: None,
            out: None,
            force: false,
            ui: Ui::new(true),
        }
    }

    /// An override of the file, as `--set` takes it: `rtt=100ms`.
    #[must_use]
    pub fn set(mut self, assignment: impl Into<String>) -> Self {
        self.sets.push(assignment.into());
        self
    }

    /// Where peers run; without it, Docker when an engine answers, else processes.
    /// [`RuntimeKind::Attach`] starts nothing, and is refused.
    #[must_use]
    pub fn runtime(self, runtime: RuntimeKind) -> Self {
        Self { runtime: Some(runtime), ..self }
    }

    /// The `dropbed` that is proxy and daemon; without it, this process's own
    /// executable, which is right only within `dropbed` itself.
    #[must_use]
    pub fn executable(self, executable: impl Into<PathBuf>) -> Self {
        Self { executable: Some(executable.into()), ..self }
    }

    /// Another executable as every peer (docs/peer-contract.md).
    #[must_use]
    pub fn peer_executable(self, peer: impl Into<PathBuf>) -> Self {
        Self { peer: Some(peer.into()), ..self }
    }

    /// Directory of runs, in which the run's own stays; without it, a temporary one.
    #[must_use]
    pub fn out(self, directory: impl Into<PathBuf>) -> Self {
        Self { out: Some(directory.into()), ..self }
    }

    /// Tries also what the plan advises against.
    #[must_use]
    pub fn force(self) -> Self {
        Self { force: true, ..self }
    }

    /// Shows progress on standard error.
    #[must_use]
    pub fn verbose(self) -> Self {
        Self { ui: Ui::new(false), ..self }
    }

    /// Starts everything, makes links and files, and measures every link. Needs a
    /// tokio runtime of several threads. Dropped half way, it removes what it
    /// started, as far as a destructor can.
    ///
    /// # Errors
    /// [`TestbedError`]; what was started is removed.
    pub async fn up(self) -> Result<LiveTestbed, TestbedError> {
        let (topology, plan) = plan::load(&self.file, &self.sets)?;
        plan.refusal(self.force).map_or(Ok(()), Err)?;
        if self.runtime == Some(RuntimeKind::Attach) {
            let what = "a bed starts its peers, and the runtime attach does not".to_owned();
            let hint = "take `process` or `docker`".to_owned();
            return Err(RuntimeError::Environment { what, hint }.into());
        }
        let wanted = Wanted {
            runtime: self.runtime,
            attach: None,
            peer: self.peer.as_deref(),
            executable: self.executable.as_deref(),
        };
        let Choice { mut runtime, .. } = choose(wanted).await?;
        if runtime.kind() != RuntimeKind::Process {
            plan.refusal_of_fixed_ports().map_or(Ok(()), Err)?;
        }
        let temporary = match self.out {
            Some(_) => None,
            None => Some(tempfile::tempdir().map_err(|e| file(&std::env::temp_dir(), e))?),
        };
        let named = self.out.as_deref().or_else(|| temporary.as_ref().map(TempDir::path));
        let out = named.expect("one of both was just made sure of");
        let created = RunDirectory::create(out, &plan.name, &self.file);
        let (directory, events) = created.map_err(|error| file(out, error))?;
        let written = directory.write_inputs(&topology, &plan);
        written.map_err(|error| file(&directory.path, error))?;

        let (plan, events) = (Arc::new(plan), Arc::new(events));
        let mut links = Vec::new();
        let deadline = Duration::from_millis(plan.deadline_ms);
        let desk = Desk { directory: &directory, events: &events, ui: self.ui };
        let standing = stand(&plan, runtime.as_mut(), desk, &mut links);
        let stood = timeout(deadline, standing).await.unwrap_or_else(|_| {
            Err(TestbedError::Harness(format!(
                "it does not stand within {deadline:?} (run.deadline)"
            )))
        });
        match stood {
            Ok((stage, live, warnings)) => Ok(LiveTestbed {
                stage,
                runtime: Some(runtime),
                links,
                live: Some(live),
                directory,
                warnings,
                _out: temporary,
            }),
            Err(error) => {
                links.into_iter().for_each(|link| drop(link.keep()));
                match take_down(runtime.as_mut(), &directory).await {
                    Ok(()) => Err(error),
                    Err(left) => Err(error.and(&left)),
                }
            }
        }
    }
}

impl LiveTestbed {
    /// The peers' names, in the plan's order.
    pub fn peers(&self) -> impl Iterator<Item = &str> {
        self.stage.peers.iter().map(|peer| peer.name.as_str())
    }

    /// The run's directory: plan, events, `live.json`. `dropbed inspect --run` and the
    /// other verbs take it while the bed stands.
    pub fn directory(&self) -> &Path {
        &self.directory.path
    }

    /// Label of everything that it consists of.
    pub fn run_id(&self) -> &str {
        &self.directory.run_id
    }

    /// What the plan asks for and the runtime cannot give.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// A daemon's control service.
    ///
    /// # Errors
    /// [`TestbedError::Unknown`].
    pub fn control(&self, peer: &str) -> Result<Control, TestbedError> {
        let found = self.stage.peers.iter().find(|one| one.name == peer);
        found.map(|one| one.control.clone()).ok_or_else(|| self.unknown_peer(peer))
    }

    /// The proxy's API, to change links or to break them: each link is a proxy of the
    /// name `<dialler>:<listener>`.
    pub const fn proxy(&self) -> &Proxy {
        &self.stage.proxy
    }

    /// Has `to` read a file of `from`'s dataset, and checks its digest and the bytes on
    /// the link. Read otherwise than through the mount, it is hashed as it arrives.
    /// Dropped, it leaves the daemon to notice that nobody listens.
    ///
    /// # Errors
    /// [`TestbedError::Assertion`] when it is not what it should be.
    pub async fn transfer(
        &mut self,
        from: &str,
        to: &str,
        path: &str,
        mode: TransferMode,
    ) -> Result<TransferResult, TestbedError> {
        let plan = self.transfer_plan(from, to, path, mode)?;
        let runtime = self.runtime.as_mut().expect("taken only by `down`, which ends the bed");
        let step = StepPlan::Transfer(plan);
        let (result, failed) = watched(runtime.as_mut(), self.stage.step(&step)).await?;
        match result {
            StepResult::Transfer(result) if failed.is_empty() => Ok(*result),
            _ => Err(TestbedError::Assertion(failed)),
        }
    }

    /// Carries out the topology's scenario, every turn of it.
    ///
    /// # Errors
    /// [`TestbedError::Assertion`] with everything that does not hold.
    pub async fn scenario(&mut self) -> Result<Vec<TurnResult>, TestbedError> {
        let plan = Arc::clone(&self.stage.plan);
        let runtime = self.runtime.as_mut().expect("taken only by `down`, which ends the bed");
        let (mut turns, mut failures) = (Vec::new(), Vec::new());
        for &turn in &plan.order {
            let work = self.stage.turn(turn, &mut failures);
            turns.push(watched(runtime.as_mut(), work).await?);
        }
        if failures.is_empty() { Ok(turns) } else { Err(TestbedError::Assertion(failures)) }
    }

    /// Removes everything; the logs are kept in the run's directory.
    ///
    /// # Errors
    /// What could not be removed; `dropbed gc` does then.
    pub async fn down(mut self) -> Result<(), TestbedError> {
        self.live = None;
        self.links.drain(..).for_each(|link| drop(link.keep()));
        let mut runtime = self.runtime.take().expect("taken only here, and by value");
        take_down(runtime.as_mut(), &self.directory).await
    }

    fn transfer_plan(
        &self,
        from: &str,
        to: &str,
        path: &str,
        mode: TransferMode,
    ) -> Result<TransferPlan, TestbedError> {
        let plan = &self.stage.plan;
        for peer in [from, to] {
            self.control(peer)?;
        }
        let sample = plan.samples.iter().position(|one| one.peer == from && one.path == path);
        let sample = sample.ok_or_else(|| {
            let files = plan.samples.iter().map(|one| format!("{}/{}", one.peer, one.path));
            let hint = format!("the dataset has {}", files.collect::<Vec<_>>().join(", "));
            TestbedError::Unknown { what: format!("{from} has no file {path}"), hint }
        })?;
        let link = |link: &&plan::LinkPlan| *link.dialler == *to && *link.listener == *from;
        if !plan.links.iter().any(|one| link(&one)) {
            let what = format!("{to} has no link by which it could read from {from}");
            let hint = "add one to `links` of the topology".to_owned();
            return Err(TestbedError::Unknown { what, hint });
        }
        Ok(TransferPlan {
            name: format!("{from}/{path}"),
            from: from.to_owned(),
            to: to.to_owned(),
            sample,
            mode,
            chunk_bytes: None,
            depth: None,
            lanes: None,
            destination: TransferDestination::Hash,
            rekey_at_permille: Vec::new(),
            deadline_ms: STEP_DEADLINE_MS,
            rekeys_min: 0,
        })
    }

    fn unknown_peer(&self, peer: &str) -> TestbedError {
        let names: Vec<&str> = self.peers().collect();
        let hint = topology::suggest::hint(peer, &names);
        TestbedError::Unknown { what: format!("there is no peer {peer}"), hint }
    }
}

impl Drop for LiveTestbed {
    /// The links end with their proxy, and that with the runtime.
    fn drop(&mut self) {
        self.links.drain(..).for_each(|link| drop(link.keep()));
    }
}

#[cfg(test)]
mod tests;
