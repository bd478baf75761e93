//! Commands that need no daemon: `id`, `run`, `read`.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use super::{Failure, Global, RunArgs, WRONG_INPUT};
use crate::daemon::config::{Config, Defaults, Settings};
use crate::daemon::reader;
use crate::daemon::run::{Daemon, identity};
use crate::daemon::runtime;
use crate::telemetry::setup;

/// Set to 1: the daemon is killed when its parent dies.
const DIE_WITH_PARENT: &str = "DROPD_DIE_WITH_PARENT";

/// Logs unless told otherwise.
const LOG_FILTER_DEFAULT: &str = "info";

/// How long blocking calls may take to end after the daemon has.
const DISK_DEADLINE: std::time::Duration = std::time::Duration::from_secs(5);

pub(super) fn id(args: RunArgs, global: &Global) -> Result<(), Failure> {
    let mut settings = args;
    // Only the state directory matters here.
    settings.settings.share.get_or_insert_with(|| "/".into());
    let config = config(settings, &Global { control: None, ..global.clone() })?;
    let id = identity(&config).map_err(|error| Failure::new(error.exit_code(), error))?.id();
    if global.json {
        println!("{}", serde_json::json!({ "id": id.to_string() }));
    } else {
        println!("{id}");
    }
    Ok(())
}

pub(super) fn run(args: RunArgs, global: &Global) -> Result<(), Failure> {
    if std::env::var_os(DIE_WITH_PARENT).is_some_and(|value| value == "1") {
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
            .map_err(|error| Failure::failed(format!("{DIE_WITH_PARENT}: {error}")))?;
    }
    let config = config(args, global)?;
    let runtime = runtime::new().map_err(Failure::failed)?;
    let served = runtime.block_on(serve(config));
    // A disk that hangs must not hold the end up; sinks get time to tidy.
    runtime.shutdown_timeout(DISK_DEADLINE);
    served
}

async fn serve(config: Config) -> Result<(), Failure> {
    let endpoint = config.otlp_endpoint.as_deref();
    let telemetry = setup::install("dropd", &config.name, endpoint, LOG_FILTER_DEFAULT)
        .map_err(|error| Failure::new(WRONG_INPUT, error))?;
    let telemetry = Arc::new(telemetry);
    // Before anything that must be undone: from here on a signal is a request.
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::failed)?;
    let name = config.name.clone();
    let daemon = tokio::select! {
        started = Daemon::start(config, Some(Arc::clone(&telemetry))) => {
            started.map_err(|error| Failure::new(error.exit_code(), error))?
        }
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    eprintln!("dropd {name} ready: id {}, listening on {}", daemon.id(), daemon.listen_address());
    tokio::select! {
        () = daemon.stopped() => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    daemon.close().await;
    if let Err(error) = telemetry.shutdown().await {
        tracing::warn!(%error, "the last spans are lost");
    }
    Ok(())
}

/// The child's side of `ReadMount`: waits for the end of standard input, reads.
pub(super) fn read(path: &Path, read_bytes: u32, tell_at_bytes: &[u64]) -> Result<(), Failure> {
    io::copy(&mut io::stdin(), &mut io::sink()).map_err(Failure::failed)?;
    reader::read(path, read_bytes, tell_at_bytes, &mut io::stdout().lock())
        .map_err(|error| Failure::failed(format!("{}: {error}", path.display())))
}

fn config(args: RunArgs, global: &Global) -> Result<Config, Failure> {
    let wrong = |error| Failure::new(WRONG_INPUT, error);
    let file = match &args.config {
        Some(path) => Settings::read(path).map_err(wrong)?,
        None => Settings::default(),
    };
    let flags = Settings {
        control: global.control.clone(),
        control_token_file: global.control_token_file.clone(),
        ..args.settings
    };
    flags.or(file).resolve(&Defaults::of_process()).map_err(wrong)
}
