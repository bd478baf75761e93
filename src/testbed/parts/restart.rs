//! Stopping a peer and starting it again, with its identity and its data.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::process::Child;

use super::container::ContainerPart;
use super::process::ProcessPart;
use super::{Part, Parts, VerbError, lock};
use crate::testbed::contract::env;
use crate::testbed::live::Live;
use crate::testbed::runtime::environment::DIE_WITH_PARENT_VARIABLE;
use crate::testbed::runtime::part::Place;
use crate::testbed::runtime::process::detach;
use crate::testbed::runtime::process::pids::{self, EndError};
use crate::testbed::runtime::{ControlAddress, control, last_log_lines, procfs};
use crate::testbed::up::lock::Lock;

mod introduce;

/// From a daemon's start to its first answer; a debug build on a machine that is
/// busy needs seconds.
const READY_DEADLINE: Duration = Duration::from_secs(30);

/// Restarts a peer, and returns when it answers, mounts, and knows its peers again.
/// What else there is to say about it, in sentences. Not cancel-safe: a peer may be
/// left stopped, or unknown to others; doing it again mends that.
pub(crate) async fn restart(parts: &mut Parts, name: &str) -> Result<Vec<String>, VerbError> {
    let live = parts.live();
    if live.phase.is_of_a_run() {
        return Err(VerbError::input(
            format!(
                "the process that runs {} watches its peers, and ends with the first that does",
                live.run_id
            ),
            "restart peers of a topology that `dropbed up FILE` has made",
        ));
    }
    let lock = lock::take(&parts.found.directory, &live.name).await?;
    parts.read_again(&lock)?;
    match parts.part(name).await? {
        Part::Process(part) => restart_process(parts, &lock, &part).await?,
        Part::Container(part) => restart_container(parts, &lock, &part).await?,
        Part::Elsewhere(part) => return Err(part.not_ours()),
    }
    introduce::again(parts, name).await
}

async fn restart_process(
    parts: &mut Parts,
    lock: &Lock,
    part: &ProcessPart,
) -> Result<(), VerbError> {
    pids::end(part.pid, part.start_ticks).await.map_err(|error| {
        let what = format!("stopping {}: {error}", part.name);
        match error {
            EndError::Outlives(_) => VerbError::TimedOut(what),
            EndError::Refused(_) => VerbError::failed(what),
        }
    })?;
    let mount = part.mount()?;
    if let Some(mount) = &mount
        && is_mounted(mount)?
    {
        // Left by one that was killed; the next could not mount there.
        detach(mount).map_err(VerbError::failed)?;
    }
    let endpoint = parts.endpoint(&part.name)?.clone();
    let mut start = part.start()?;
    // The proxies dial the address that it had.
    start.environment.insert(env::LISTEN.to_owned(), endpoint.upstream);
    start.environment.remove(DIE_WITH_PARENT_VARIABLE);
    let child = start.spawn(&part.home, &part.log);
    let mut child =
        child.map_err(|error| VerbError::failed(format!("starting {}: {error}", part.name)))?;
    let pid = child.id().unwrap_or_default();
    let start_ticks = procfs::start_ticks(pid).unwrap_or_default();
    let noted = parts.change(lock, |live| {
        let place =
            Place::Process { pid, start_ticks, home: part.home.clone(), log: part.log.clone() };
        set_place(live, &part.name, place);
    });
    if let Err(error) = noted {
        // Nobody could find it any more.
        let _ended_already = child.kill().await;
        return Err(error);
    }
    answers(&mut child, part, &endpoint.control).await?;
    match mount {
        Some(mount) if !is_mounted(&mount)? => Err(VerbError::failed(format!(
            "{} answers, but {} is no mount point",
            part.name,
            mount.display()
        ))),
        _ => Ok(()),
    }
}

async fn answers(
    child: &mut Child,
    part: &ProcessPart,
    address: &ControlAddress,
) -> Result<(), VerbError> {
    tokio::select! {
        biased;
        status = child.wait() => {
            let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
            let log = last_log_lines(&part.log).join("\n    ");
            Err(VerbError::failed(format!("{} ended as it started: {how}\n    {log}", part.name)))
        }
        ready = control::wait_until_ready(address, READY_DEADLINE) => not_ready(&part.name, ready),
    }
}

fn not_ready<T>(name: &str, ready: Result<T, control::NotReady>) -> Result<(), VerbError> {
    ready.map(|_| ()).map_err(|error| match error {
        control::NotReady::Deadline { .. } => VerbError::TimedOut(format!("{name}: {error}")),
        error => VerbError::failed(format!("{name}: {error}")),
    })
}

async fn restart_container(
    parts: &mut Parts,
    lock: &Lock,
    part: &ContainerPart,
) -> Result<(), VerbError> {
    part.restart().await?;
    let now = part.control_address().await?;
    let ControlAddress::Tcp { token, .. } = parts.endpoint(&part.name)?.control.clone() else {
        return Err(VerbError::failed(format!("{} has no control address over TCP", part.name)));
    };
    let control = ControlAddress::Tcp { address: now, token };
    parts.change(lock, |live| {
        for peer in live.peers.iter_mut().filter(|peer| peer.name == part.name) {
            peer.control = control.clone();
        }
    })?;
    let ready = tokio::select! {
        biased;
        death = part.death() => Err(VerbError::failed(death.to_string())),
        ready = control::wait_until_ready(&control, READY_DEADLINE) => match ready {
            Ok((_, status)) => Ok(status),
            Err(error) => not_ready::<()>(&part.name, Err(error)).map(|()| Default::default()),
        },
    };
    let mounts = !ready?.mount_dir.is_empty();
    let pid = part.state().await?.pid;
    match part.mounted(pid, &parts.live().run_id) {
        Some(false) if mounts => {
            Err(VerbError::failed(format!("{} answers, but has no mount point", part.name)))
        }
        _ => Ok(()),
    }
}

fn set_place(live: &mut Live, name: &str, place: Place) {
    for part in live.parts.iter_mut().filter(|part| part.name == name) {
        part.place = place.clone();
    }
}

/// As the kernel says: memory that lies beneath is no mount of a daemon.
pub(super) fn is_mounted(directory: &Path) -> Result<bool, VerbError> {
    let mounts = procfs::mounts()
        .map_err(|error: io::Error| VerbError::failed(format!("reading the mounts: {error}")))?;
    let is_it =
        |mount: &procfs::MountEntry| mount.target == directory && mount.kind.starts_with("fuse");
    Ok(mounts.iter().any(is_it))
}
