//! Parts that somebody else started: there is only their control service.

use std::collections::BTreeMap;
use std::io::Write as _;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::process::{Invocation, run};
use super::{Chunk, VerbError};
use crate::testbed::contract::env;
use crate::testbed::runtime::{ControlAddress, PeerEndpoint};

/// A part that runs somewhere.
#[derive(Clone, Debug)]
pub(crate) struct ElsewherePart {
    pub(super) name: String,
    /// None for the proxy.
    pub(super) endpoint: Option<PeerEndpoint>,
}

/// Verbs of `dropd` that ask no daemon.
const NOT_ASKING: [&str; 3] = ["run", "id", "read"];

impl ElsewherePart {
    pub(super) fn not_ours(&self) -> VerbError {
        VerbError::lacks(
            format!(
                "{} was started by somebody else: it is not ours to stop or to look into",
                self.name
            ),
            "use what started it (`docker compose ...`)",
        )
    }

    /// Only what asks the daemon: that can be done from here.
    pub(super) async fn exec(
        &self,
        command: &[String],
        output: mpsc::Sender<Chunk>,
        stop: CancellationToken,
    ) -> Result<u8, VerbError> {
        let asks = matches!(command, [dropd, verb, ..]
            if dropd == "dropd" && !NOT_ASKING.contains(&verb.as_str()));
        let Some(endpoint) = self.endpoint.as_ref().filter(|_| asks) else {
            return Err(VerbError::lacks(
                format!("{} was started by somebody else: no command can be run in it", self.name),
                "only `dropd` verbs that ask the daemon work here: `-- dropd status`",
            ));
        };
        let failed = |error: std::io::Error| {
            VerbError::failed(format!("preparing a command for {}: {error}", self.name))
        };
        let mut environment = BTreeMap::new();
        // Removed when this call is over. Such a file has mode 0600.
        let mut token_file = tempfile::NamedTempFile::new().map_err(failed)?;
        match &endpoint.control {
            ControlAddress::Unix(path) => {
                environment.insert(env::CONTROL.to_owned(), path.display().to_string());
            }
            ControlAddress::Tcp { address, token } => {
                token_file.write_all(token.as_bytes()).map_err(failed)?;
                let path = token_file.path().display().to_string();
                environment.insert(env::CONTROL.to_owned(), address.clone());
                environment.insert(env::CONTROL_TOKEN_FILE.to_owned(), path);
            }
        }
        let invocation = Invocation {
            program: std::env::current_exe().map_err(failed)?,
            arg0: "dropd".to_owned(),
            arguments: command[1..].to_vec(),
            environment,
            directory: std::env::current_dir().map_err(failed)?,
        };
        run(&self.name, invocation, output, stop).await
    }
}
