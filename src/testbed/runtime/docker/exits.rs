//! How containers end.

use bollard::Docker;
use bollard::errors::Error;
use futures::StreamExt as _;
use futures::future::select_all;

use super::containers::last_log_lines;
use super::failed;
use crate::testbed::runtime::{Death, RuntimeError};

/// One container's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exit {
    pub(super) code: i64,
    pub(super) how: String,
}

/// Resolves when the container has ended; at once when it has already.
pub(super) async fn wait(docker: &Docker, id: &str) -> Result<Exit, RuntimeError> {
    let mut stream = std::pin::pin!(docker.wait_container(id, None));
    let code = match stream.next().await {
        Some(Ok(response)) => response.status_code,
        // The client's way to tell a code other than 0.
        Some(Err(Error::DockerContainerWaitError { code, .. })) => code,
        Some(Err(error)) => return Err(failed(format!("waiting for a container: {error}"))),
        None => return Err(failed("the engine ended the wait for a container")),
    };
    // The engine may have removed it, or its state: then the code must do.
    let state = docker.inspect_container(id, None).await.ok().and_then(|found| found.state);
    let out_of_memory = state.and_then(|state| state.oom_killed).unwrap_or(false);
    Ok(Exit { code, how: in_words(code, out_of_memory) })
}

/// Whether it runs; not when the engine does not know it.
///
/// # Errors
/// The engine does not tell: that is no end of the container.
pub(super) async fn is_running(docker: &Docker, id: &str) -> Result<bool, RuntimeError> {
    match docker.inspect_container(id, None).await {
        Ok(found) => Ok(found.state.and_then(|state| state.running).unwrap_or(false)),
        Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(false),
        Err(error) => Err(failed(format!("asking whether container {id} runs: {error}"))),
    }
}

/// Resolves when the container has ended, or can no longer be watched.
pub(in crate::testbed) async fn death(docker: &Docker, id: &str, who: &str) -> Death {
    match wait(docker, id).await {
        Ok(exit) => Death {
            who: who.to_owned(),
            exit_code: i32::try_from(exit.code).ok(),
            how: exit.how,
            last_log_lines: last_log_lines(docker, id).await,
        },
        Err(error) => Death {
            who: who.to_owned(),
            exit_code: None,
            how: format!("it cannot be watched any more: {error}"),
            last_log_lines: Vec::new(),
        },
    }
}

/// The first of these that ends. `containers`: id and name; not empty.
pub(super) async fn first_death(docker: Docker, containers: Vec<(String, String)>) -> Death {
    let docker = &docker;
    let waiting = containers.iter().map(|(id, who)| Box::pin(death(docker, id, who)));
    select_all(waiting).await.0
}

/// Engines report a signal as 128 plus its number, as shells do.
pub(in crate::testbed) fn in_words(code: i64, out_of_memory: bool) -> String {
    match (out_of_memory, code) {
        (true, _) => format!("out of memory (exit code {code})"),
        (false, 129..=192) => format!("exit code {code} (signal {})", code - 128),
        (false, _) => format!("exit code {code}"),
    }
}
