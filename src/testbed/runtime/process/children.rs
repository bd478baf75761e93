//! Children: started by a thread that lives as long as they do, ended by
//! SIGTERM first.

use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use futures::future::join_all;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::failed;
use crate::testbed::runtime::{Death, RuntimeError, logs};

/// From SIGTERM to SIGKILL: a daemon closes its sessions and unmounts.
const TERMINATE_DEADLINE: Duration = Duration::from_secs(5);

/// From SIGKILL to giving up: the kernel may still be aborting FUSE requests.
const KILL_DEADLINE: Duration = Duration::from_secs(5);

/// A child and its log. Killed when dropped.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) child: Child,
    pub(super) log: PathBuf,
}

impl Part {
    /// Resolves when it has ended. Cancel-safe; may be asked again.
    pub(super) async fn death(&mut self) -> Death {
        match self.child.wait().await {
            Ok(status) => logs::death(&self.name, status, &self.log),
            Err(error) => Death {
                who: self.name.clone(),
                exit_code: None,
                how: format!("it cannot be waited for: {error}"),
                last_log_lines: logs::tail(&self.log),
            },
        }
    }

    async fn end(&mut self) -> Result<(), RuntimeError> {
        // A refused signal means that it has just ended, which `wait` will tell.
        if let Some(pid) = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)) {
            let _ended_already = kill_process(pid, Signal::TERM);
        }
        if timeout(TERMINATE_DEADLINE, self.child.wait()).await.is_ok() {
            return Ok(());
        }
        tracing::warn!(
            part = self.name,
            "still there {TERMINATE_DEADLINE:?} after SIGTERM; killed"
        );
        match timeout(KILL_DEADLINE, self.child.kill()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(failed(format!("killing {}: {error}", self.name))),
            Err(_) => Err(failed(format!("{} outlives SIGKILL", self.name))),
        }
    }
}

impl Drop for Part {
    /// Kills it and waits, so that it no longer writes when its directory goes.
    fn drop(&mut self) {
        const LOOKS_MAX: u32 = 500;
        const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(2);
        if self.child.start_kill().is_err() {
            return;
        }
        for _ in 0..LOOKS_MAX {
            // An error says that there is nothing to wait for.
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::park_timeout(LOOK_AGAIN_AFTER);
        }
    }
}

/// Ends all of them at once; the first error after all were tried.
pub(super) async fn end_all(parts: &mut [Part]) -> Result<(), RuntimeError> {
    join_all(parts.iter_mut().map(Part::end)).await.into_iter().collect()
}

/// One start, and where to report it.
#[derive(Debug)]
struct Order {
    name: String,
    log: PathBuf,
    command: Command,
    reply: oneshot::Sender<io::Result<Part>>,
}

/// A start is quick, so few can queue.
const ORDERS_MAX: usize = 4;

/// Starts children from one thread that ends only when dropped. The kernel's
/// parent-death signal follows the thread that forked, and a runtime's worker
/// threads may end while the runtime lives.
///
/// Once it is dropped, whatever was ordered is handed over or has ended: also a
/// child whose order was given up while it was being started.
#[derive(Debug)]
pub(super) struct Spawner {
    orders: Option<SyncSender<Order>>,
    thread: Option<JoinHandle<()>>,
}

impl Spawner {
    /// Needs a tokio runtime around it.
    pub(super) fn start() -> Result<Self, RuntimeError> {
        let (orders, queue) = sync_channel::<Order>(ORDERS_MAX);
        let runtime = tokio::runtime::Handle::current();
        let thread = std::thread::Builder::new()
            .name("spawner".to_owned())
            .spawn(move || {
                let _context = runtime.enter();
                for Order { name, log, mut command, reply } in queue {
                    let part = command.spawn().map(|child| Part { name, child, log });
                    // Nobody waits any more: the part's drop sees to its end.
                    let _abandoned = reply.send(part);
                }
            })
            .map_err(|error| failed(format!("starting the thread that starts daemons: {error}")))?;
        Ok(Self { orders: Some(orders), thread: Some(thread) })
    }

    /// Starts a command with its output and errors in `log`.
    pub(super) async fn spawn(
        &self,
        name: &str,
        mut command: Command,
        log: PathBuf,
    ) -> Result<Part, RuntimeError> {
        let (output, errors) = open_log(&log)?;
        command.stdin(Stdio::null()).stdout(output).stderr(errors).kill_on_drop(true);
        let (reply, answer) = oneshot::channel();
        let order = Order { name: name.to_owned(), log, command, reply };
        self.order(order, answer).await.map_err(|error| failed(format!("starting {name}: {error}")))
    }

    async fn order(
        &self,
        order: Order,
        answer: oneshot::Receiver<io::Result<Part>>,
    ) -> io::Result<Part> {
        let orders = self.orders.as_ref().expect("taken only by drop");
        orders.send(order).map_err(io::Error::other)?;
        answer.await.map_err(io::Error::other)?
    }
}

impl Drop for Spawner {
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Some(thread) = self.thread.take() {
            // It runs nothing of ours that could panic, and ends with its queue.
            let _ended = thread.join();
        }
    }
}

fn open_log(log: &std::path::Path) -> Result<(Stdio, Stdio), RuntimeError> {
    let open = || {
        let file = std::fs::File::options().create(true).append(true).open(log)?;
        let second = file.try_clone()?;
        Ok((Stdio::from(file), Stdio::from(second)))
    };
    open().map_err(|error: io::Error| failed(format!("opening {}: {error}", log.display())))
}
