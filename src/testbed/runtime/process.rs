//! Peers and proxy as children of this process, on loopback addresses.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::future::{BoxFuture, select_all, try_join_all};

use self::children::{Part, Spawner};
use self::directory::RunDirectory;
use super::environment::{self, Placement};
use super::owner::Owner;
use super::{
    ControlAddress, Death, PeerEndpoint, RunContext, Runtime, RuntimeError, RuntimeKind, World,
    control, procfs,
};
use crate::testbed::plan::{PeerPlan, Plan};

mod children;
mod directory;
mod proxy;

pub(in crate::testbed) use directory::{OWNER_FILE, PREFIX, detach, unmount_below};

/// From a daemon's start to its first answer; a debug build on a machine that
/// is busy needs seconds, a release build tens of milliseconds.
const READY_DEADLINE: Duration = Duration::from_secs(30);

/// Host of everything but the peers' own listeners.
const LOOPBACK: &str = "127.0.0.1";

/// Local processes on 127.0.0.x.
#[derive(Debug)]
pub struct ProcessRuntime {
    executable: PathBuf,
    running: Option<Running>,
}

impl ProcessRuntime {
    /// Starts `executable` under the names `dropd` and `dropbed`.
    pub const fn new(executable: PathBuf) -> Self {
        Self { executable, running: None }
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

    async fn start(&mut self, plan: &Plan, context: &RunContext) -> Result<World, RuntimeError> {
        assert!(self.running.is_none(), "up is called once");
        let directory = RunDirectory::create(&context.run_id)?;
        let spawner = Spawner::start()?;
        // From here on, whatever was started is in `running`, so `down` finds it.
        let running = self.running.insert(Running { parts: Vec::new(), spawner, directory });

        let environment = environment::of_child(&Owner::current(), &context.run_id);
        let proxy_api = proxy::start(running, &self.executable, environment).await?;
        for (index, peer) in plan.peers.iter().enumerate() {
            running.start_peer(&self.executable, peer, index, context).await?;
        }
        let peers = running.wait_for_peers(&plan.peers).await?;
        Ok(World {
            proxy_api,
            link_bind_host: LOOPBACK.to_owned(),
            link_dial_host: LOOPBACK.to_owned(),
            fixed_link_ports: false,
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
        _run_id: &'a str,
    ) -> BoxFuture<'a, Result<String, RuntimeError>> {
        Box::pin(async move {
            if plan.peers.iter().any(|peer| peer.mount) {
                check_fuse(&Fuse::of_this_machine(), plan)?;
            }
            Ok(LOOPBACK.to_owned())
        })
    }

    fn up<'a>(
        &'a mut self,
        plan: &'a Plan,
        context: &'a RunContext,
    ) -> BoxFuture<'a, Result<World, RuntimeError>> {
        Box::pin(self.start(plan, context))
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
            for part in self.running.iter().flat_map(|running| &running.parts) {
                let file = target.join(format!("{}.log", part.name));
                tokio::fs::copy(&part.log, &file).await.map_err(|error| {
                    failed(format!("copying {} to {}: {error}", part.log.display(), file.display()))
                })?;
            }
            Ok(())
        })
    }

    fn down(&mut self) -> BoxFuture<'_, Result<(), RuntimeError>> {
        Box::pin(async move {
            let Some(Running { mut parts, spawner, mut directory }) = self.running.take() else {
                return Ok(());
            };
            // First: it may still be starting one whose order was given up.
            drop(spawner);
            let ended = children::end_all(&mut parts).await;
            // Even then: a process that cannot be killed must not keep the rest.
            let removed = directory.remove();
            ended.and(removed)
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
}

impl Running {
    async fn start_peer(
        &mut self,
        executable: &Path,
        peer: &PeerPlan,
        index: usize,
        context: &RunContext,
    ) -> Result<(), RuntimeError> {
        let home = self.directory.add_peer(&peer.name)?;
        let text = |path: PathBuf| path.display().to_string();
        let place = Placement {
            listen: format!("{}:0", peer_address(index)?),
            control: text(home.control()),
            token_file: None,
            state: text(home.state()),
            share: text(home.share()),
            mount: text(home.mount()),
            otlp_endpoint: format!("http://{LOOPBACK}:{}", context.otlp_port),
        };
        let mut command = tokio::process::Command::new(executable);
        command
            .arg0("dropd")
            .arg("run")
            // A terminal's Ctrl-C is for the orchestrator, which stops them in order.
            .process_group(0)
            .current_dir(home.path())
            .env_clear()
            .envs(environment::of_child(&Owner::current(), &context.run_id))
            .envs(environment::of_peer(peer, context, place)?);
        let log = self.directory.log(&peer.name);
        let part = self.spawner.spawn(&peer.name, command, log).await?;
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
}

/// Resolves when one of them has ended; never when there are none. Cancel-safe.
async fn first_death(parts: &mut [Part]) -> Death {
    if parts.is_empty() {
        return std::future::pending().await;
    }
    let (death, _, _) = select_all(parts.iter_mut().map(|part| Box::pin(part.death()))).await;
    death
}

/// What mounting needs, as found.
#[derive(Clone, Copy, Debug)]
struct Fuse {
    device: bool,
    sys_admin: bool,
    fusermount: bool,
}

impl Fuse {
    fn of_this_machine() -> Self {
        let open = std::fs::File::options().read(true).write(true).open("/dev/fuse");
        Self {
            device: open.is_ok(),
            sys_admin: procfs::has_sys_admin(),
            fusermount: procfs::find_on_path("fusermount3").is_some(),
        }
    }
}

fn check_fuse(fuse: &Fuse, plan: &Plan) -> Result<(), RuntimeError> {
    let without = format!("run everything but the mount with `{}`", plan.flags_without_mount());
    let missing =
        |what: &str, hint: String| Err(RuntimeError::Environment { what: what.to_owned(), hint });
    if !fuse.device {
        return missing(
            "the topology mounts, but /dev/fuse cannot be opened here",
            format!("load the kernel module fuse, or pass the device in; or {without}"),
        );
    }
    if !fuse.sys_admin && !fuse.fusermount {
        return missing(
            "the topology mounts, but this user lacks CAP_SYS_ADMIN and fusermount3 is not on PATH",
            format!("install the package fuse3; or {without}"),
        );
    }
    Ok(())
}

/// 127.0.0.2 and up: each peer has an address of its own, as in a network.
fn peer_address(index: usize) -> Result<Ipv4Addr, RuntimeError> {
    const FIRST: u32 = u32::from_be_bytes([127, 0, 0, 2]);
    const LAST: u32 = u32::from_be_bytes([127, 255, 255, 254]);
    u32::try_from(index)
        .ok()
        .and_then(|index| FIRST.checked_add(index))
        .filter(|address| *address <= LAST)
        .map(Ipv4Addr::from)
        .ok_or_else(|| failed(format!("peer {index} finds no loopback address")))
}

const fn failed(message: String) -> RuntimeError {
    RuntimeError::Failed(message)
}

#[cfg(test)]
mod tests;
