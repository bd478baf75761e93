//! `live.json`: what another process has to know of a topology that stands, so that
//! no verb needs a daemon of the testbed's own.
//!
//! The file lies in the run's directory from when everything is up to the end. It
//! holds control tokens, so only its owner can read it.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::plan::{LinkPlan, Shape};
use super::runtime::owner::{Liveness, Owner};
use super::runtime::part::PartPlace;
use super::runtime::{LinkHosts, PeerEndpoint, RuntimeKind, Standing, World};
use super::scenario;

pub(crate) mod change;
pub(crate) mod error;
pub(crate) mod find;
pub(crate) mod probe;
pub(crate) mod site;
pub(crate) mod table;
pub(crate) mod view;

/// Name of the file in a run's directory.
pub(crate) const FILE: &str = "live.json";

/// Raised when an older reader would misunderstand a newer file.
const SCHEMA: u32 = 2;

/// A topology that stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Live {
    /// See [`SCHEMA`].
    pub(crate) schema: u32,
    /// The topology's own name.
    pub(crate) name: String,
    /// Its file, absolute.
    pub(crate) file: PathBuf,
    /// Label of everything the run made.
    pub(crate) run_id: String,
    /// Which process made it, or removes it: an [`Owner`] as text. Unless it is kept
    /// ([`Phase::Up`]), it ends with that process.
    pub(crate) owner: String,
    /// `process`, `docker` or `attach`.
    pub(crate) runtime: String,
    /// Nanoseconds since 1970: time zero of the run's events.
    pub(crate) started_unix_ns: u64,
    /// What it is doing.
    pub(crate) phase: Phase,
    /// Base URL of the proxy's HTTP API, as the owner sees it.
    pub(crate) proxy_api: String,
    /// Where its links listen.
    pub(crate) link_hosts: LinkHosts,
    /// In the plan's order.
    pub(crate) links: Vec<LinkPlace>,
    /// In the plan's order.
    pub(crate) peers: Vec<PeerEndpoint>,
    /// Proxy and peers: where they are.
    pub(crate) parts: Vec<PartPlace>,
    /// What `up` started the peers from (`runtime::choice::peers_source`); empty where
    /// nobody will ask.
    #[serde(default)]
    pub(crate) peers_source: String,
}

/// What a live run is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Phase {
    /// Its scenario: whoever meddles spoils figures.
    Measuring,
    /// Its scenario is over; everything stays up as long as its process.
    Held,
    /// It was made by `dropbed up`, and stands until `dropbed down`.
    Up,
    /// It stood, and its owner is removing it. Once that has ended, what is left is
    /// for whoever comes: another `dropbed down`, or `dropbed gc`.
    Ending,
}

impl Phase {
    /// Whether it belongs to a run, whose process removes it.
    pub(crate) const fn is_of_a_run(self) -> bool {
        matches!(self, Self::Measuring | Self::Held)
    }
}

/// A link, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LinkPlace {
    /// Names, and in `shape` what the run asks of the link now.
    #[serde(flatten)]
    pub(crate) plan: LinkPlan,
    /// Where the proxy listens, as the proxy sees it.
    pub(crate) listen: String,
    /// The same as the dialler sees it.
    pub(crate) dial: String,
    /// The same as the owner of the run sees it, where it can be reached from there.
    pub(crate) host: Option<String>,
    /// What the proxy dials: the listener, as the proxy sees it.
    pub(crate) upstream: String,
    /// What the path adds to the link's delay by itself, both ways together: the
    /// toxics are that much below what is asked.
    pub(crate) correction_us: i64,
}

/// What a live run is, beside what it started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) name: &'a str,
    pub(crate) file: &'a Path,
    pub(crate) run_id: &'a str,
    pub(crate) runtime: &'a str,
    pub(crate) started_unix_ns: u64,
}

impl Live {
    /// Where what `up` made stands: it makes nothing elsewhere.
    pub(crate) fn runtime_kind(&self) -> RuntimeKind {
        if self.runtime == RuntimeKind::Docker.to_string() {
            RuntimeKind::Docker
        } else {
            RuntimeKind::Process
        }
    }

    /// What is to be known when everything is up; `links` are the scenario's.
    pub(crate) fn of(
        run: Facts<'_>,
        world: &World,
        parts: Vec<PartPlace>,
        links: &[scenario::LiveLink],
    ) -> Self {
        // Containers' links are not published; processes share one loopback.
        let is_local = !world.link_hosts.fixed_ports;
        let place = |link: &scenario::LiveLink| LinkPlace {
            plan: link.plan.clone(),
            listen: link.listen.clone(),
            dial: link.dial.clone(),
            host: is_local.then(|| link.dial.clone()),
            upstream: link.upstream.clone(),
            correction_us: link.correction_us,
        };
        Self {
            schema: SCHEMA,
            name: run.name.to_owned(),
            file: run.file.to_owned(),
            run_id: run.run_id.to_owned(),
            owner: Owner::current().to_string(),
            runtime: run.runtime.to_owned(),
            started_unix_ns: run.started_unix_ns,
            phase: Phase::Measuring,
            proxy_api: world.proxy_api.clone(),
            link_hosts: world.link_hosts.clone(),
            links: links.iter().map(place).collect(),
            peers: world.peers.clone(),
            parts,
            peers_source: String::new(),
        }
    }

    /// What a runtime needs to work on it.
    pub(crate) fn standing(&self) -> Standing {
        let (peers, parts) = (self.peers.clone(), self.parts.clone());
        Standing { proxy_api: self.proxy_api.clone(), peers, parts }
    }

    /// Takes over what the links are now asked to be.
    pub(crate) fn follow(&mut self, links: &[scenario::LiveLink], shapes: &[Shape]) {
        for ((place, link), shape) in self.links.iter_mut().zip(links).zip(shapes) {
            place.plan.shape = *shape;
            place.correction_us = link.correction_us;
        }
    }

    /// The link of that name, which any proxy of the server need not be.
    pub(crate) fn link(&self, name: &str) -> Option<&LinkPlace> {
        self.links.iter().find(|link| link.plan.name == name)
    }

    /// A warning, when it is in the middle of its figures.
    pub(crate) fn disturbs(&self) -> Option<String> {
        (self.phase == Phase::Measuring).then(|| {
            format!(
                "the run {} is measuring (`dropbed run --hold` waits after the scenario): this \
                 spoils the figures of its running cell",
                self.run_id
            )
        })
    }

    /// Whether it stands: whether its owner runs, unless it was made to outlive it.
    pub(crate) fn liveness(&self) -> Liveness {
        if self.phase == Phase::Up {
            let owner = self.owner.parse::<Owner>().ok();
            let here = owner.is_some_and(|owner| owner.is_of_this_boot());
            return if here { Liveness::Alive } else { Liveness::Gone };
        }
        self.owner.parse::<Owner>().map_or(Liveness::Unknown, |owner| owner.liveness())
    }

    /// Whether there may be something of it for `dropbed down`: also what another
    /// one left half removed.
    pub(crate) fn is_to_remove(&self) -> bool {
        self.phase == Phase::Ending || self.liveness() != Liveness::Gone
    }

    /// Reads a run's file. One of another schema is an error with [`OtherSchema`] in it.
    pub(crate) fn read(directory: &Path) -> io::Result<Self> {
        let path = directory.join(FILE);
        let text = std::fs::read_to_string(&path)?;
        // Before the rest, which may mean anything.
        let head: Head = serde_json::from_str(&text)?;
        if head.schema == SCHEMA {
            return Ok(serde_json::from_str(&text)?);
        }
        let Head { schema, name, run_id } = head;
        Err(io::Error::other(OtherSchema { path, schema, name, run_id }))
    }
}

/// What every schema has had so far.
#[derive(Debug, Deserialize)]
struct Head {
    schema: u32,
    #[serde(default)]
    name: String,
    #[serde(default)]
    run_id: String,
}

/// A file that another version of dropbed wrote; what it means is not guessed at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} has schema {schema}, and this dropbed knows {SCHEMA}: another version wrote it\n  hint: \
     that version's `dropbed down` removes what it tells of; `dropbed gc` does once its run has \
     ended or the machine was restarted",
    path.display()
)]
pub(crate) struct OtherSchema {
    /// The file.
    path: PathBuf,
    schema: u32,
    /// The topology's name, where it says so.
    name: String,
    /// Likewise.
    run_id: String,
}

impl OtherSchema {
    /// Of an error of [`Live::read`].
    pub(crate) fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref::<Self>().cloned()
    }

    /// Whether a name or id on the command line means it.
    pub(crate) fn is_called(&self, word: &str) -> bool {
        let directory = self.path.parent().and_then(Path::file_name);
        self.name == word || self.run_id == word || directory.is_some_and(|name| name == word)
    }
}

/// The file of a run that goes on; removed when dropped, unless kept.
#[derive(Debug)]
pub(crate) struct LiveFile {
    directory: PathBuf,
    live: Live,
    kept: bool,
}

impl LiveFile {
    /// Writes it for the first time.
    pub(crate) fn create(directory: &Path, live: Live) -> io::Result<Self> {
        let file = Self { directory: directory.to_owned(), live, kept: false };
        file.write()?;
        Ok(file)
    }

    /// The file that another process left, to change or to remove it.
    pub(crate) fn adopt(directory: &Path, live: Live) -> Self {
        Self { directory: directory.to_owned(), live, kept: true }
    }

    /// What it says.
    pub(crate) const fn live(&self) -> &Live {
        &self.live
    }

    /// Leaves the file, which from then on says that the topology stands by itself.
    pub(crate) fn keep(mut self) -> io::Result<()> {
        self.live.phase = Phase::Up;
        self.write()?;
        self.kept = true;
        Ok(())
    }

    /// Says that this process removes the topology from now on.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        self.update(|live| {
            live.phase = Phase::Ending;
            live.owner = Owner::current().to_string();
        })
    }

    /// Removes the file also when it was kept.
    pub(crate) fn remove(mut self) {
        self.kept = false;
    }

    /// Changes it; readers see the old or the new one, and nothing between.
    pub(crate) fn update(&mut self, change: impl FnOnce(&mut Live)) -> io::Result<()> {
        let before = self.live.clone();
        change(&mut self.live);
        if self.live == before {
            return Ok(());
        }
        self.write()
    }

    fn write(&self) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(&self.live)?;
        text.push(b'\n');
        // Such a file has mode 0600 from the start.
        let mut file = tempfile::NamedTempFile::new_in(&self.directory)?;
        file.write_all(&text)?;
        file.persist(self.directory.join(FILE)).map_err(|error| error.error)?;
        Ok(())
    }
}

impl Drop for LiveFile {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        let path = self.directory.join(FILE);
        if let Err(error) = std::fs::remove_file(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!("cannot remove {}, which holds control tokens: {error}", path.display());
        }
    }
}

#[cfg(test)]
pub(in crate::testbed) mod tests;
