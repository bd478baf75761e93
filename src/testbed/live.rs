//! `live.json`: what another process has to know of a run that goes on, so that
//! `dropbed link` needs no daemon of its own.
//!
//! The file lies in the run's directory from the first turn to the end. It holds
//! control tokens, so only its owner can read it.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::plan::{LinkPlan, Shape};
use super::runtime::owner::{Liveness, Owner};
use super::runtime::{PeerEndpoint, World};
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
const SCHEMA: u32 = 1;

/// A run that goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Live {
    /// See [`SCHEMA`].
    pub(crate) schema: u32,
    /// Label of everything the run made.
    pub(crate) run_id: String,
    /// Which process runs it: an [`Owner`] as text.
    pub(crate) owner: String,
    /// `process`, `docker` or `attach`.
    pub(crate) runtime: String,
    /// Nanoseconds since 1970: time zero of the run's events.
    pub(crate) started_unix_ns: u64,
    /// What it is doing.
    pub(crate) phase: Phase,
    /// Base URL of the proxy's HTTP API, as the owner sees it.
    pub(crate) proxy_api: String,
    /// In the plan's order.
    pub(crate) links: Vec<LinkPlace>,
    /// In the plan's order.
    pub(crate) peers: Vec<PeerEndpoint>,
}

/// What a live run is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Phase {
    /// Its scenario: whoever meddles spoils figures.
    Measuring,
    /// Its scenario is over; everything stays up.
    Held,
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

impl Live {
    /// What is to be known when everything is up; `links` are the scenario's.
    pub(crate) fn of(
        world: &World,
        links: &[scenario::LiveLink],
        run_id: &str,
        runtime: &str,
        started_unix_ns: u64,
    ) -> Self {
        // Containers' links are not published; processes share one loopback.
        let is_local = !world.fixed_link_ports;
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
            run_id: run_id.to_owned(),
            owner: Owner::current().to_string(),
            runtime: runtime.to_owned(),
            started_unix_ns,
            phase: Phase::Measuring,
            proxy_api: world.proxy_api.clone(),
            links: links.iter().map(place).collect(),
            peers: world.peers.clone(),
        }
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

    /// Whether its owner runs.
    pub(crate) fn liveness(&self) -> Liveness {
        self.owner.parse::<Owner>().map_or(Liveness::Unknown, |owner| owner.liveness())
    }

    /// Reads a run's file.
    pub(crate) fn read(directory: &Path) -> io::Result<Self> {
        let text = std::fs::read_to_string(directory.join(FILE))?;
        let live: Self = serde_json::from_str(&text)?;
        if live.schema == SCHEMA {
            return Ok(live);
        }
        let why = format!("it has schema {}, and this program knows {SCHEMA}", live.schema);
        Err(io::Error::other(why))
    }
}

/// The file of a run that goes on; removed when dropped.
#[derive(Debug)]
pub(crate) struct LiveFile {
    directory: PathBuf,
    live: Live,
}

impl LiveFile {
    /// Writes it for the first time.
    pub(crate) fn create(directory: &Path, live: Live) -> io::Result<Self> {
        let file = Self { directory: directory.to_owned(), live };
        file.write()?;
        Ok(file)
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
        let path = self.directory.join(FILE);
        if let Err(error) = std::fs::remove_file(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!("cannot remove {}, which holds control tokens: {error}", path.display());
        }
    }
}

#[cfg(test)]
mod tests;
