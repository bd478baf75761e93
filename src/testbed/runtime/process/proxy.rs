//! The bundled proxy as a child: its port is known when it says so.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::children::Start;
use super::{LOOPBACK, READY_DEADLINE, Running, failed};
use crate::testbed::runtime::owner::Owner;
use crate::testbed::runtime::part::PROXY;
use crate::testbed::runtime::{RuntimeError, environment, logs};

/// Pause between two looks at the proxy's log. It starts within milliseconds.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(10);

/// The words before the address in the line that says the API listens.
const LISTENING: &str = "listening on ";

/// Starts the proxy and returns its API's base URL.
pub(super) async fn start(
    running: &mut Running,
    executable: &Path,
) -> Result<String, RuntimeError> {
    let arguments = ["toxiproxy", "-host", LOOPBACK, "-port", "0"];
    let start = Start {
        program: executable.to_owned(),
        arg0: "dropbed".to_owned(),
        arguments: arguments.map(str::to_owned).to_vec(),
        environment: environment::of_child(&Owner::current(), &running.context),
    };
    let home = running.directory.add_home(PROXY)?;
    let log = running.directory.log(PROXY);
    let part = running.spawner.spawn(PROXY, start, &home, log.clone()).await?;
    running.parts.push(part);
    let proxy = running.parts.last_mut().expect("pushed above");
    let ready = tokio::select! {
        biased;
        death = proxy.death() => return Err(RuntimeError::Died(death)),
        ready = timeout(READY_DEADLINE, wait_for_address(&log)) => ready,
    };
    match ready {
        Ok(address) => Ok(format!("http://{address}")),
        Err(_) => Err(failed(format!(
            "the proxy did not say within {READY_DEADLINE:?} where it listens; last:\n{}",
            logs::tail(&log).join("\n")
        ))),
    }
}

async fn wait_for_address(log: &Path) -> SocketAddr {
    loop {
        // Not there yet, or being written: both are looked at again.
        let text = tokio::fs::read_to_string(log).await.unwrap_or_default();
        if let Some(address) = listening_address(&text) {
            return address;
        }
        sleep(LOOK_AGAIN_AFTER).await;
    }
}

/// From the first complete line with the words; the address ends the line.
pub(super) fn listening_address(text: &str) -> Option<SocketAddr> {
    text.split_inclusive('\n')
        .filter_map(|line| line.strip_suffix('\n'))
        .filter_map(|line| line.rsplit_once(LISTENING))
        .find_map(|(_, address)| address.trim().parse().ok())
}
