//! The server as a process: the stock command line, the ready line, signals.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::super::api::{ProxySpec, VERSION};
use super::json::Input;
use super::{MetricsOptions, Options, serve_and_tell};

/// Begins the one line on stderr that says the server is ready; the rest of the
/// line is the `host:port` that the API listens on, with the real port. An
/// interface: whoever starts the server waits for it.
pub const READY_PREFIX: &str = "listening on ";

/// Longest configuration file.
const CONFIG_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The stock server's long flags, which Go writes with one dash.
const STOCK_FLAGS: [&str; 7] =
    ["host", "port", "config", "seed", "runtime-metrics", "proxy-metrics", "version"];

/// The stock server's command line. See [`normalise_stock_flags`] for one dash.
#[derive(Clone, Debug, clap::Args)]
pub struct ToxiproxyArgs {
    /// Host that the API listens on
    #[arg(long, default_value = "localhost")]
    pub host: String,
    /// Port that the API listens on; 0 for any free port
    #[arg(long, default_value_t = 8474)]
    pub port: u16,
    /// JSON file with an array of proxies to make at the start
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// Seed of everything random; drawn when absent
    #[arg(long, allow_negative_numbers = true)]
    pub seed: Option<i64>,
    /// Show memory and descriptors of this process at /metrics
    #[arg(long)]
    pub runtime_metrics: bool,
    /// Show bytes per proxy and direction at /metrics
    #[arg(long)]
    pub proxy_metrics: bool,
    /// Print the version and end
    #[arg(long = "version", id = "toxiproxy-version")]
    pub version: bool,
}

/// Gives the stock flags their second dash, so that `-host=::1` and `--host ::1`
/// mean the same. Everything else, and what follows `--`, stays.
pub fn normalise_stock_flags(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut is_over = false;
    let normalise = |arg: OsString| {
        is_over |= arg == "--";
        if is_over || !is_stock_flag(&arg) {
            return arg;
        }
        let mut doubled = OsString::from("-");
        doubled.push(arg);
        doubled
    };
    args.into_iter().map(normalise).collect()
}

fn is_stock_flag(arg: &OsStr) -> bool {
    let Some(flag) = arg.to_str().and_then(|arg| arg.strip_prefix('-')) else { return false };
    let name = flag.split_once('=').map_or(flag, |(name, _)| name);
    STOCK_FLAGS.contains(&name)
}

/// Runs the server until SIGTERM or SIGINT. Prints [`READY_PREFIX`] and the
/// address on stderr once it answers.
///
/// # Errors
/// When the port is taken, the configuration is wrong, or the API's listener fails.
pub async fn run(args: ToxiproxyArgs) -> anyhow::Result<()> {
    if args.version {
        println!("toxiproxy-server version {VERSION}");
        return Ok(());
    }
    let proxies = match &args.config {
        Some(path) => read_config(path).await?,
        None => Vec::new(),
    };
    raise_descriptor_limit();
    let mut terminate = signal(SignalKind::terminate()).context("cannot watch for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot watch for SIGINT")?;
    let listener = listen(&args.host, args.port).await?;
    let address = listener.local_addr().context("cannot tell the API's address")?;
    let options = Options {
        seed: args.seed.map_or_else(rand::random, i64::cast_unsigned),
        metrics: MetricsOptions { proxies: args.proxy_metrics, runtime: args.runtime_metrics },
        proxies,
    };
    let ready = || eprintln!("{READY_PREFIX}{address}");
    let shutdown = async move {
        tokio::select! {
            _ = terminate.recv() => (),
            _ = interrupt.recv() => (),
        }
    };
    Ok(serve_and_tell(listener, options, ready, shutdown).await?)
}

async fn listen(host: &str, port: u16) -> anyhow::Result<TcpListener> {
    let wanted = || format!("cannot listen on {host}:{port} for the API");
    let host_only = host.trim_start_matches('[').trim_end_matches(']');
    let found = tokio::net::lookup_host((host_only, port)).await.with_context(wanted)?;
    let mut addresses: Vec<_> = found.collect();
    addresses.sort_by_key(std::net::SocketAddr::is_ipv6);
    let Some(first) = addresses.first() else {
        bail!("{}: the name has no address", wanted());
    };
    TcpListener::bind(first).await.with_context(|| {
        format!("{}; is another server running there? --port 0 takes any free port", wanted())
    })
}

async fn read_config(path: &Path) -> anyhow::Result<Vec<ProxySpec>> {
    let reading = || format!("cannot read the proxies in {}", path.display());
    let file = tokio::fs::File::open(path).await.with_context(reading)?;
    let mut text = Vec::new();
    file.take(CONFIG_BYTES_MAX + 1).read_to_end(&mut text).await.with_context(reading)?;
    if text.len() as u64 > CONFIG_BYTES_MAX {
        bail!("{}: more than {CONFIG_BYTES_MAX} bytes", reading());
    }
    Input::read(&text).with_context(|| {
        format!("{}; wanted: [{{\"name\": .., \"listen\": .., \"upstream\": ..}}, ..]", reading())
    })
}

/// A connection takes up to four descriptors; the usual soft limit is 1024.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // With the old limit the server works, for fewer connections.
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}

#[cfg(test)]
mod tests;
