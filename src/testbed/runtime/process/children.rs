//! Children: started by a thread that lives as long as they do, ended by
//! SIGTERM first.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use futures::future::join_all;
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::failed;
use crate::testbed::runtime::part::{PartPlace, Place, START_FILE};
use crate::testbed::runtime::{Death, RuntimeError, logs, procfs};

/// From SIGTERM to SIGKILL: a daemon closes its sessions and unmounts.
const TERMINATE_DEADLINE: Duration = Duration::from_secs(5);

/// From SIGKILL to giving up: the kernel may still be aborting FUSE requests.
const KILL_DEADLINE: Duration = Duration::from_secs(5);

/// How a process is started; also written beside it ([`START_FILE`]), so that
/// another process can start it again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::testbed) struct Start {
    pub(in crate::testbed) program: PathBuf,
    pub(in crate::testbed) arg0: String,
    pub(in crate::testbed) arguments: Vec<String>,
    /// The whole of it: nothing is inherited.
    pub(in crate::testbed) environment: BTreeMap<String, String>,
}

impl Start {
    fn save(&self, home: &Path) -> Result<(), RuntimeError> {
        let file = home.join(START_FILE);
        let text = serde_json::to_vec_pretty(self).expect("text and maps with text keys");
        // A topology's environment may hold secrets.
        let options = std::fs::File::options()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&file);
        options
            .and_then(|mut start| start.write_all(&text))
            .map_err(|error| failed(format!("writing {}: {error}", file.display())))
    }

    /// Starts it again in `home`, with its output at the end of `log`. It outlives us.
    pub(in crate::testbed) fn spawn(&self, home: &Path, log: &Path) -> Result<Child, RuntimeError> {
        let (output, errors) = open_log(log)?;
        let mut command = self.command(home);
        let spawned = command.stdout(output).stderr(errors).spawn();
        spawned.map_err(|error| failed(format!("{}: {error}", self.program.display())))
    }

    fn command(&self, home: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg0(&self.arg0)
            .args(&self.arguments)
            // A terminal's Ctrl-C is for the orchestrator, which stops them in order.
            .process_group(0)
            .current_dir(home)
            .env_clear()
            .envs(&self.environment)
            .stdin(Stdio::null());
        command
    }
}

/// A child, its directory and its log. Killed when dropped, unless released.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) child: Child,
    pub(super) home: PathBuf,
    pub(super) log: PathBuf,
    released: bool,
}

impl Part {
    /// Where it is, for others.
    pub(super) fn place(&self) -> PartPlace {
        // Without an id it has ended, and no process can have that start.
        let pid = self.child.id().unwrap_or_default();
        let start_ticks = procfs::start_ticks(pid).unwrap_or_default();
        let (home, log) = (self.home.clone(), self.log.clone());
        let place = Place::Process { pid, start_ticks, home, log };
        PartPlace { name: self.name.clone(), place }
    }

    /// Lets go of it: it goes on without us.
    pub(super) fn release(mut self) {
        self.released = true;
    }

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
            // A stopped one heeds it only when it goes on.
            let _ended_already = kill_process(pid, Signal::CONT);
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
        if self.released || self.child.start_kill().is_err() {
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
    home: PathBuf,
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
                for Order { name, home, log, mut command, reply } in queue {
                    let part = command.spawn();
                    let part = part.map(|child| Part { name, child, home, log, released: false });
                    // Nobody waits any more: the part's drop sees to its end.
                    let _abandoned = reply.send(part);
                }
            })
            .map_err(|error| failed(format!("starting the thread that starts daemons: {error}")))?;
        Ok(Self { orders: Some(orders), thread: Some(thread) })
    }

    /// Starts it in `home`, with its output and errors at the end of `log`.
    pub(super) async fn spawn(
        &self,
        name: &str,
        start: Start,
        home: &Path,
        log: PathBuf,
    ) -> Result<Part, RuntimeError> {
        start.save(home)?;
        let (output, errors) = open_log(&log)?;
        let mut command = start.command(home);
        command.stdout(output).stderr(errors);
        let (reply, answer) = oneshot::channel();
        let order = Order { name: name.to_owned(), home: home.to_owned(), log, command, reply };
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

fn open_log(log: &Path) -> Result<(Stdio, Stdio), RuntimeError> {
    let open = || {
        let file = std::fs::File::options().create(true).append(true).open(log)?;
        let second = file.try_clone()?;
        Ok((Stdio::from(file), Stdio::from(second)))
    };
    open().map_err(|error: io::Error| failed(format!("opening {}: {error}", log.display())))
}
