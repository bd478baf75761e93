//! Processes that this one starts: they die with it, however it ends.

use std::env;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::process::{self, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Lines of a child that wait to be read; more are dropped. A role says a few, and
/// a server's later complaints would otherwise hold it up.
const LINES_MAX: usize = 256;

/// A process in a role, killed when dropped.
#[derive(Debug)]
pub(crate) struct Child {
    name: String,
    process: process::Child,
    lines: Receiver<String>,
}

/// Which of its outputs are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hear {
    Stdout,
    Stderr,
}

impl Child {
    /// Starts this program in a role, with its words and flags. Must be called by
    /// the main thread: the kernel ends children with the thread that made them.
    pub(crate) fn start(hear: Hear, arguments: &[&str]) -> anyhow::Result<Self> {
        let name = arguments.join(" ");
        let starting = || format!("cannot start the process {name:?}");
        let own = env::current_exe().with_context(starting)?;
        let mut command = Command::new(own);
        command.args(["--parent", &process::id().to_string()]).args(arguments);
        command.stdin(Stdio::piped());
        match hear {
            Hear::Stdout => command.stdout(Stdio::piped()),
            Hear::Stderr => command.stdout(Stdio::null()).stderr(Stdio::piped()),
        };
        let mut process = command.spawn().with_context(starting)?;
        let output: Option<Box<dyn Read + Send>> = match hear {
            Hear::Stdout => process.stdout.take().map(|output| Box::new(output) as _),
            Hear::Stderr => process.stderr.take().map(|output| Box::new(output) as _),
        };
        let (sender, lines) = sync_channel(LINES_MAX);
        let child = Self { name, process, lines };
        let output = output.context("the output of a child was not piped")?;
        thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                let Ok(line) = line else { return };
                // Full or no longer read: the pipe is emptied all the same.
                let _ = sender.try_send(line);
            }
        });
        Ok(child)
    }

    /// The same for a role that is heard on stdout.
    pub(crate) fn role(arguments: &[&str]) -> anyhow::Result<Self> {
        Self::start(Hear::Stdout, arguments)
    }

    /// Its next line.
    pub(crate) fn line(&self, within: Duration) -> anyhow::Result<String> {
        self.lines.recv_timeout(within).map_err(|error| match error {
            RecvTimeoutError::Timeout => {
                anyhow!("{:?} said nothing within {} s", self.name, within.as_secs())
            }
            RecvTimeoutError::Disconnected => {
                anyhow!("{:?} ended before it said what was waited for; see above", self.name)
            }
        })
    }

    /// Its next line as JSON.
    pub(crate) fn hear<T: DeserializeOwned>(&self, within: Duration) -> anyhow::Result<T> {
        let line = self.line(within)?;
        serde_json::from_str(&line)
            .with_context(|| format!("cannot read what {:?} said", self.name))
    }

    /// Lets it go on.
    pub(crate) fn go(&mut self) -> anyhow::Result<()> {
        let stdin = self.process.stdin.as_mut().context("the input of a child was not piped")?;
        stdin.write_all(b"go\n").with_context(|| format!("cannot tell {:?} to go on", self.name))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended by itself; reaped it must be.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// In a role: dies when the process that started it does.
pub(crate) fn die_with(parent: Option<u32>) -> anyhow::Result<()> {
    let parent = parent.context("a role is only started by this program itself")?;
    set_parent_process_death_signal(Some(Signal::KILL)).context("cannot tie this process")?;
    let now = getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs());
    ensure!(now == Some(parent), "the process that started this one is gone");
    Ok(())
}

/// In a role: says something to the process that started it.
pub(crate) fn say(what: &impl Serialize) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(what)?;
    line.push(b'\n');
    let mut out = std::io::stdout().lock();
    out.write_all(&line).and_then(|()| out.flush()).context("cannot answer")
}

/// In a role: waits for [`Child::go`].
pub(crate) fn wait_for_go() -> anyhow::Result<()> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).context("cannot wait for the word to go on")?;
    match line.trim_end() {
        "go" => Ok(()),
        other => bail!("the word to go on was {other:?}"),
    }
}
