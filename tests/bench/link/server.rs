//! The proxy server under test, and proxies in it.

use std::cell::Cell;
use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use dropbed::toxiproxy::api::{ProxySpec, Toxic};
use dropbed::toxiproxy::client::Client;
use dropbed::toxiproxy::server::READY_PREFIX;
use tokio::runtime::{Builder, Runtime};

use super::bulk::START_DEADLINE;
use super::child::{Child, Hear};

/// A call on a proxy that is not under load takes milliseconds.
const CALL_DEADLINE: Duration = Duration::from_secs(10);

/// A server: our own process, or one that runs already.
#[derive(Debug)]
pub(crate) struct Server {
    /// Before the process: calls end first.
    client: Client,
    runtime: Runtime,
    process: Option<Child>,
    made: Cell<u32>,
    /// What it says it is.
    pub(crate) version: String,
}

impl Server {
    /// Starts the bundled one.
    pub(crate) fn start(seed: u64) -> anyhow::Result<Self> {
        let process = Child::start(Hear::Stderr, &["serve", "--seed", &seed.to_string()])?;
        let mut said = Vec::new();
        let address = loop {
            let line = process.line(START_DEADLINE).with_context(|| {
                format!("the proxy server is not up; it said {:?}", said.join("; "))
            })?;
            match line.strip_prefix(READY_PREFIX) {
                Some(address) => break address.to_owned(),
                None => said.push(line),
            }
        };
        Self::at(&format!("http://{address}"), Some(process))
    }

    /// The stock one that `DROPBED_TOXIPROXY_URL` names, if it names one.
    pub(crate) fn stock() -> anyhow::Result<Option<Self>> {
        match std::env::var("DROPBED_TOXIPROXY_URL") {
            Ok(url) if !url.is_empty() => Self::at(&url, None).map(Some),
            _ => Ok(None),
        }
    }

    fn at(url: &str, process: Option<Child>) -> anyhow::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let client = Client::new(url)?.with_deadline(CALL_DEADLINE);
        let version = runtime.block_on(client.version())?.text.clone();
        Ok(Self { client, runtime, process, made: Cell::new(0), version })
    }

    /// A new proxy before `upstream` that has its toxics from the first connection.
    pub(crate) fn proxy(
        &self,
        upstream: SocketAddr,
        toxics: &[Toxic],
    ) -> anyhow::Result<Proxy<'_>> {
        let number = self.made.replace(self.made.get() + 1);
        // A stock server may still have what an earlier run left.
        let name = match self.process {
            Some(_) => format!("bench-{number}"),
            None => format!("bench-{}-{number}", std::process::id()),
        };
        let spec = ProxySpec {
            name: name.clone(),
            listen: "127.0.0.1:0".to_owned(),
            upstream: upstream.to_string(),
            enabled: None,
        };
        let made = self.runtime.block_on(self.client.create_shaped(&spec, toxics))?;
        let proxy = |address| Proxy { server: self, name, address };
        made.listen
            .parse()
            .map(proxy)
            .with_context(|| format!("the proxy server listens on {:?}", made.listen))
    }

    /// Of the process, where it is ours.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Child::pid)
    }
}

/// A proxy, deleted when dropped.
#[derive(Debug)]
pub(crate) struct Proxy<'a> {
    server: &'a Server,
    name: String,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Drop for Proxy<'_> {
    fn drop(&mut self) {
        let deleting = self.server.client.delete(&self.name);
        if let Err(error) = self.server.runtime.block_on(deleting) {
            eprintln!("a proxy was left behind: {error}");
        }
    }
}

/// Processor time that a process has used, in seconds.
pub(crate) fn cpu_s(pid: u32) -> anyhow::Result<f64> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let odd = || anyhow!("{path} is not understood: {stat:?}");
    // The name in parentheses may hold anything; fields 14 and 15 are the times.
    let (_, after_name) = stat.rsplit_once(')').ok_or_else(odd)?;
    let mut fields = after_name.split_whitespace().skip(11);
    let mut ticks = || fields.next().and_then(|field| field.parse::<u64>().ok()).ok_or_else(odd);
    let used = ticks()? + ticks()?;
    Ok(used as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// Resident memory of a process, in MiB.
pub(crate) fn resident_mib(pid: u32) -> anyhow::Result<f64> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: Option<f64> = line.and_then(|l| l.trim().strip_suffix("kB")?.trim().parse().ok());
    Ok(kib.ok_or_else(|| anyhow!("{path} tells no VmRSS"))? / 1024.0)
}
