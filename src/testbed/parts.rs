//! The parts of a live topology, worked on from any process: looked at, stopped and
//! started, and run commands in. What each kind can do is in a file of its own.

use std::path::PathBuf;

use bollard::Docker;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::events::Events;
use super::live::find::{self, Found, Which};
use super::live::{Live, LiveFile, Phase};
use super::runtime::PeerEndpoint;
use super::runtime::docker::connect;
use super::runtime::part::{PROXY, PartPlace, Place};
use super::topology::suggest;
use super::up::lock::Lock;
use container::ContainerPart;
use elsewhere::ElsewherePart;
use process::ProcessPart;

mod container;
pub(crate) mod copy;
mod elsewhere;
mod error;
pub(crate) mod history;
pub(crate) mod inside;
mod lock;
pub(crate) mod logs;
mod output;
mod part;
mod process;
pub(crate) mod restart;
pub(crate) mod view;
pub(crate) mod watch;

pub(crate) use error::VerbError;
pub(crate) use output::{Chunk, Lines, Stream};
pub(crate) use part::{Action, Part, PartState, RunState};

/// The run's history, in its directory.
pub(crate) const EVENTS_FILE: &str = "events.ndjson";

/// A live topology and how to reach its parts.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) found: Found,
    /// Asked for when the first container is.
    docker: OnceCell<Docker>,
}

impl Parts {
    /// Of the topology that is meant.
    pub(crate) async fn open(which: &Which) -> Result<Self, VerbError> {
        Ok(Self::of(find::find(which).await?))
    }

    /// Of this topology.
    pub(crate) fn of(found: Found) -> Self {
        Self { found, docker: OnceCell::new() }
    }

    /// What is known of the topology.
    pub(crate) fn live(&self) -> &Live {
        &self.found.live
    }

    /// Those parts, in this order, each once; all peers when none is named. The proxy
    /// is one only where it is named.
    pub(crate) async fn named(&self, names: &[String]) -> Result<Vec<Part>, VerbError> {
        let mut parts = Vec::new();
        if names.is_empty() {
            for peer in &self.live().peers {
                parts.push(self.part(&peer.name).await?);
            }
        }
        for (index, name) in names.iter().enumerate() {
            if !names[..index].contains(name) {
                parts.push(self.part(name).await?);
            }
        }
        Ok(parts)
    }

    /// As [`Self::named`], of peers alone.
    pub(crate) async fn peers(&self, names: &[String]) -> Result<Vec<Part>, VerbError> {
        if names.iter().any(|name| name == PROXY) {
            return Err(VerbError::input(
                "the proxy is no peer",
                "`dropbed link set LINK --disable` takes a link away",
            ));
        }
        self.named(names).await
    }

    /// One part by its name.
    pub(crate) async fn part(&self, name: &str) -> Result<Part, VerbError> {
        let Some(PartPlace { place, .. }) = self.live().parts.iter().find(|part| part.name == name)
        else {
            let names: Vec<&str> =
                self.live().parts.iter().map(|part| part.name.as_str()).collect();
            return Err(VerbError::input(
                format!("there is no `{name}` in {}", self.live().name),
                suggest::hint(name, &names),
            ));
        };
        let endpoint = self.live().peers.iter().find(|peer| peer.name == name).cloned();
        Ok(match place.clone() {
            Place::Process { pid, start_ticks, home, log } => {
                Part::Process(ProcessPart { name: name.to_owned(), pid, start_ticks, home, log })
            }
            Place::Container { id, .. } => {
                let docker = self.docker.get_or_try_init(connect).await?.clone();
                Part::Container(ContainerPart { name: name.to_owned(), id, docker })
            }
            Place::Elsewhere => Part::Elsewhere(ElsewherePart { name: name.to_owned(), endpoint }),
        })
    }

    /// How a peer is reached.
    pub(crate) fn endpoint(&self, name: &str) -> Result<&PeerEndpoint, VerbError> {
        let found = self.live().peers.iter().find(|peer| peer.name == name);
        found.ok_or_else(|| VerbError::failed(format!("no address of {name} is known")))
    }

    /// The run's history.
    pub(crate) fn events_file(&self) -> PathBuf {
        self.found.directory.join(EVENTS_FILE)
    }

    /// Adds to the run's history who did what.
    pub(crate) fn note(&self, event: &str, peer: &str) {
        self.note_with(event, json!({ "peer": peer }));
    }

    /// The same with these facts, an object.
    pub(crate) fn note_with(&self, event: &str, facts: Value) {
        let path = self.events_file();
        match Events::join(&path, self.live().started_unix_ns) {
            Ok(events) => events.add(event, facts),
            Err(error) => tracing::warn!("cannot add to {}: {error}", path.display()),
        }
    }

    /// What is known now, with the lock in hand.
    fn read_again(&mut self, _lock: &Lock) -> Result<(), VerbError> {
        let directory = &self.found.directory;
        self.found.live = Live::read(directory).map_err(|error| {
            VerbError::lacks(
                format!("{} is live no more: {error}", directory.display()),
                "`dropbed ls` shows what is",
            )
        })?;
        if self.live().phase == Phase::Ending {
            let what = format!("{} is half removed", directory.display());
            return Err(VerbError::lacks(what, "`dropbed down` removes the rest"));
        }
        Ok(())
    }

    /// Changes what others know of the topology, with the lock in hand: no change of
    /// another process is lost.
    fn change(&mut self, lock: &Lock, change: impl FnOnce(&mut Live)) -> Result<(), VerbError> {
        self.read_again(lock)?;
        let directory = &self.found.directory;
        let mut file = LiveFile::adopt(directory, self.found.live.clone());
        file.update(change).map_err(|error| {
            VerbError::failed(format!("noting it in {}: {error}", directory.display()))
        })?;
        self.read_again(lock)
    }
}
