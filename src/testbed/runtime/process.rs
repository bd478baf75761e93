//! Peers and proxy as children of this process, on loopback addresses.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::future::{BoxFuture, join_all, select_all, try_join_all};

use self::children::{Part, Spawner};
use self::directory::RunDirectory;
use self::pids::EndError;
use super::environment::{self, Placement};
use super::owner::Owner;
use super::part::{PartPlace, Place};
use super::{
    Claim, ControlAddress, Death, LinkHosts, PeerEndpoint, Prepared, RunContext, Runtime,
    RuntimeError, RuntimeKind, Spans, Standing, World, control,
};
use crate::testbed::plan::{PeerPlan, Plan};

mod children;
mod directory;
mod fuse;
pub(in crate::testbed) mod pids;
mod proxy;
mod volumes;

pub(in crate::testbed) use children::Start;
pub(in crate::testbed) use directory::{OWNER_FILE, PREFIX, detach, remove_owned, unmount_below};

/// From a daemon's start to its first answer; a debug build on a machine that
/// is busy needs seconds, a release build tens of milliseconds.
const READY_DEADLINE: Duration = Duration::from_secs(30);

/// Host of everything but the peers' own listeners.
const LOOPBACK: &str = "127.0.0.1";

/// Local processes on 127.0.0.x.
#[derive(Debug)]
pub struct ProcessRuntime {
    executable: PathBuf,
    peer: PathBuf,
    context: Option<RunContext>,
    running: Option<Running>,
}

impl ProcessRuntime {
    /// Starts `executable` under the names `dropd` and `dropbed`.
    pub fn new(executable: PathBuf) -> Self {
        Self { peer: executable.clone(), executable, context: None, running: None }
    }

    /// With another executable as every peer.
    #[must_use]
    pub fn with_peer(self, peer: PathBuf) -> Self {
        Self { peer, ..self }
    }

    /// Starts this very executable.
    ///
    /// # Errors
    /// The operating system does not tell which file this process runs.
    pub fn of_current_executable() -> Result<Self, RuntimeError> {
        let executable = std::env::current_exe().map_err(|error| {
            failed(format!("this process's own executable is not known: {error}"))
        })?;
        Ok(Self::new(executable))
    }

    async fn start_all(&mut self, plan: &Plan, spans: &Spans) -> Result<World, RuntimeError> {
        assert!(self.running.is_none(), "up is called once");
        let context = self.context.clone().ok_or_else(not_prepared)?;
        let directory = RunDirectory::create(&context)?;
        let running = Running::new(context, directory, Standing::default())?;
        // From here on, whatever was started is in `running`, so `down` finds it.
        let running = self.running.insert(running);
        let proxy_api = proxy::start(running, &self.executable).await?;
        let peers = running.start_peers(&self.peer, &plan.peers, spans).await?;
        Ok(World {
            proxy_api,
            link_hosts: LinkHosts {
                bind: LOOPBACK.to_owned(),
                dial: LOOPBACK.to_owned(),
                fixed_ports: false,
            },
            peers,
        })
    }
}

impl Runtime for ProcessRuntime {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Process
    }

    fn prepare<'a>(
        &'a mut self,
        plan: &'a Plan,
        context: &'a RunContext,
    ) -> BoxFuture<'a, Result<Prepared, RuntimeError>> {
        Box::pin(async move {
            if plan.peers.iter().any(|peer| peer.mount) {
                fuse::check(&fuse::Fuse::of_this_machine(), plan)?;
            }
            self.context = Some(context.clone());
            let otlp_host = LOOPBACK.to_owned();
            Ok(Prepared { otlp_host, warnings: volumes::warnings(plan) })
        })
    }

    fn resume<'a>(
        &'a mut self,
        plan: Option<&'a Plan>,
        standing: &'a Standing,
        context: &'a RunContext,
        claim: Claim,
    ) -> BoxFuture<'a, Result<(), RuntimeError>> {
        Box::pin(async move {
            if let Some(plan) = plan.filter(|plan| plan.peers.iter().any(|peer| peer.mount)) {
                fuse::check(&fuse::Fuse::of_this_machine(), plan)?;
            }
            let directory = RunDirectory::of_parts(&standing.parts, claim)?;
            let running = Running::new(context.clone(), directory, standing.clone())?;
            self.running = Some(Running { claim, ..running });
            Ok(())
        })
    }

    fn up<'a>(
        &'a mut self,
        plan: &'a Plan,
        spans: &'a Spans,
    ) -> BoxFuture<'a, Result<World, RuntimeError>> {
        Box::pin(self.start_all(plan, spans))
    }

    fn start<'a>(
        &'a mut self,
        peers: &'a [PeerPlan],
        spans: &'a Spans,
    ) -> BoxFuture<'a, Result<Vec<PeerEndpoint>, RuntimeError>> {
        Box::pin(async move {
            let running = self.running.as_mut().ok_or_else(not_prepared)?;
            running.start_peers(&self.peer, peers, spans).await
        })
    }

    fn remove<'a>(&'a mut self, peer: &'a str) -> BoxFuture<'a, Result<(), RuntimeError>> {
        Box::pin(async move {
            let running = self.running.as_mut().ok_or_else(not_prepared)?;
            running.remove_peer(peer).await
        })
    }

    fn parts(&self) -> Vec<PartPlace> {
        self.running.iter().flat_map(|running| &running.parts).map(Part::place).collect()
    }

    fn release(&mut self) {
        let Some(mut running) = self.running.take() else { return };
        running.parts.drain(..).for_each(Part::release);
        running.directory.release();
    }

    fn watch(&mut self) -> BoxFuture<'_, Death> {
        Box::pin(async move {
            match &mut self.running {
                Some(running) => first_death(&mut running.parts).await,
                None => std::future::pending().await,
            }
        })
    }

    fn save_logs<'a>(&'a mut self, target: &'a Path) -> BoxFuture<'a, Result<(), RuntimeError>> {
        Box::pin(async move {
            tokio::fs::create_dir_all(target)
                .await
                .map_err(|error| failed(format!("making {}: {error}", target.display())))?;
            let Some(running) = &self.running else { return Ok(()) };
            let mut first = Ok(());
            for (name, log) in running.logs() {
                let file = target.join(format!("{name}.log"));
                let copied = tokio::fs::copy(log, &file).await.map_err(|error| {
                    failed(format!("copying {} to {}: {error}", log.display(), file.display()))
                });
                let copied = copied.map(|_| ());
                first = first.and(copied);
            }
            first
        })
    }

    fn down(&mut self) -> BoxFuture<'_, Result<(), RuntimeError>> {
        Box::pin(async move {
            let Some(running) = self.running.take() else { return Ok(()) };
            let others = running.claimed();
            let Running { mut parts, spawner, mut directory, .. } = running;
            // First: it may still be starting one whose order was given up.
            drop(spawner);
            let others = others.into_iter().map(|(pid, start_ticks)| pids::end(pid, start_ticks));
            let others: Result<(), EndError> = join_all(others).await.into_iter().collect();
            let ended = others
                .map_err(|error| failed(error.to_string()))
                .and(children::end_all(&mut parts).await);
            // Even then: a process that cannot be killed must not keep the rest.
            let homes = parts.iter().map(|part| directory.remove_home(&part.home));
            let removed: Result<(), _> = homes.collect();
            // Also after an error.
            let gone = directory.remove();
            ended.and(removed).and(gone)
        })
    }
}

/// What runs. Dropping it kills the children, then unmounts and removes the
/// directory: fields are dropped in this order.
#[derive(Debug)]
struct Running {
    parts: Vec<Part>,
    spawner: Spawner,
    directory: RunDirectory,
    context: RunContext,
    /// Parts of another process's making; none in a run of our own.
    standing: Standing,
    claim: Claim,
}

impl Running {
    fn new(
        context: RunContext,
        directory: RunDirectory,
        standing: Standing,
    ) -> Result<Self, RuntimeError> {
        let (parts, spawner, claim) = (Vec::new(), Spawner::start()?, Claim::Beside);
        Ok(Self { parts, spawner, directory, context, standing, claim })
    }

    /// Parts of another process's making that are ours now.
    fn claimed_parts(&self) -> &[PartPlace] {
        if self.claim == Claim::Whole { &self.standing.parts } else { &[] }
    }

    /// Process ids and start times of all that is ours now, told or not.
    fn claimed(&self) -> Vec<(u32, u64)> {
        match self.claim {
            Claim::Whole => pids::of_run(&self.context.run_id, None),
            Claim::Beside => Vec::new(),
        }
    }

    fn logs(&self) -> impl Iterator<Item = (&str, &Path)> {
        let own = self.parts.iter().map(|part| (part.name.as_str(), part.log.as_path()));
        let claimed = self.claimed_parts().iter().filter_map(|part| match &part.place {
            Place::Process { log, .. } => Some((part.name.as_str(), log.as_path())),
            Place::Container { .. } | Place::Elsewhere => None,
        });
        own.chain(claimed)
    }

    async fn start_peers(
        &mut self,
        executable: &Path,
        peers: &[PeerPlan],
        spans: &Spans,
    ) -> Result<Vec<PeerEndpoint>, RuntimeError> {
        let mut free = free_addresses(&self.standing.peers);
        for peer in peers {
            let address = free
                .next()
                .ok_or_else(|| failed(format!("peer {} finds no loopback address", peer.name)))?;
            self.start_peer(executable, peer, address, spans).await?;
        }
        self.wait_for_peers(peers).await
    }

    async fn start_peer(
        &mut self,
        executable: &Path,
        peer: &PeerPlan,
        address: Ipv4Addr,
        spans: &Spans,
    ) -> Result<(), RuntimeError> {
        let home = self.directory.add_peer(&peer.name)?;
        let text = |path: PathBuf| path.display().to_string();
        let place = Placement {
            listen: format!("{address}:0"),
            control: text(home.control()),
            token_file: None,
            state: text(volumes::provide(&peer.volumes.state, home.state())?),
            share: text(volumes::provide(&peer.volumes.share, home.share())?),
            mount: text(home.mount()),
            otlp_endpoint: match spans {
                Spans::ToUs(port) => Some(format!("http://{LOOPBACK}:{port}")),
                Spans::To(url) => Some(url.clone()),
                Spans::Off => None,
            },
        };
        let mut environment = environment::of_child(&Owner::current(), &self.context);
        environment.extend(environment::of_peer(peer, &self.context, place)?);
        let start = Start {
            program: executable.to_owned(),
            arg0: "dropd".to_owned(),
            arguments: vec!["run".to_owned()],
            environment,
        };
        let log = self.directory.log(&peer.name);
        let part = self.spawner.spawn(&peer.name, start, home.path(), log).await?;
        self.parts.push(part);
        Ok(())
    }

    /// All of them, or the first that ends or does not answer.
    async fn wait_for_peers(
        &mut self,
        peers: &[PeerPlan],
    ) -> Result<Vec<PeerEndpoint>, RuntimeError> {
        let addresses: Vec<_> = peers
            .iter()
            .map(|peer| (peer, ControlAddress::Unix(self.directory.peer(&peer.name).control())))
            .collect();
        let answers = try_join_all(addresses.into_iter().map(|(peer, address)| async move {
            let (_, status) = control::wait_until_ready(&address, READY_DEADLINE)
                .await
                .map_err(|error| failed(format!("peer {}: {error}", peer.name)))?;
            Ok(PeerEndpoint {
                name: peer.name.clone(),
                control: address,
                upstream: status.listen_address,
            })
        }));
        tokio::select! {
            biased;
            death = first_death(&mut self.parts) => Err(RuntimeError::Died(death)),
            answers = answers => answers,
        }
    }

    /// Of this process's making or not.
    async fn remove_peer(&mut self, name: &str) -> Result<(), RuntimeError> {
        if let Some(index) = self.parts.iter().position(|part| part.name == name) {
            let mut part = self.parts.remove(index);
            children::end_all(std::slice::from_mut(&mut part)).await?;
            return self.directory.remove_home(&part.home);
        }
        // Also one that nobody was told of: its start may have been cut short.
        for (pid, start_ticks) in pids::of_run(&self.context.run_id, Some(name)) {
            pids::end(pid, start_ticks)
                .await
                .map_err(|error| failed(format!("ending peer {name}: {error}")))?;
        }
        self.directory.remove_home(self.directory.peer(name).path())
    }
}

/// Resolves when one of them has ended; never when there are none. Cancel-safe.
async fn first_death(parts: &mut [Part]) -> Death {
    if parts.is_empty() {
        return std::future::pending().await;
    }
    let (death, _, _) = select_all(parts.iter_mut().map(|part| Box::pin(part.death()))).await;
    death
}

/// 127.0.0.2 and up: each peer has an address of its own, as in a network. Those
/// of peers that stand are left out.
fn free_addresses(standing: &[PeerEndpoint]) -> impl Iterator<Item = Ipv4Addr> + use<> {
    const FIRST: u32 = u32::from_be_bytes([127, 0, 0, 2]);
    const LAST: u32 = u32::from_be_bytes([127, 255, 255, 254]);
    let host = |peer: &PeerEndpoint| peer.upstream.rsplit_once(':')?.0.parse().ok();
    let taken: HashSet<Ipv4Addr> = standing.iter().filter_map(host).collect();
    (FIRST..=LAST).map(Ipv4Addr::from).filter(move |address| !taken.contains(address))
}

fn not_prepared() -> RuntimeError {
    failed("this runtime was neither prepared nor resumed".to_owned())
}

const fn failed(message: String) -> RuntimeError {
    RuntimeError::Failed(message)
}

#[cfg(test)]
mod tests;
