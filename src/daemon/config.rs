//! What the daemon is told: flags, then environment, then file, then defaults.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;

use super::peers::{NameError, PeerEntry, check_peer_name};
use crate::secure::{PeerId, Provider, RekeyLimits, SuiteChoice};
use crate::telemetry::names::environment;

/// Where peers dial unless told otherwise.
pub const LISTEN_DEFAULT: &str = "0.0.0.0:4600";

/// Name of the control socket within the state directory.
const CONTROL_SOCKET: &str = "control.sock";

/// One source of settings: the command line with the environment (clap puts flags
/// first), or a file. What is missing comes from the next source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// This daemon's name, as its peers call it; by default the host's name.
    #[arg(long, env = "DROPD_NAME")]
    pub name: Option<String>,
    /// Where peers dial: `host:port`, port 0 for any.
    #[arg(long, env = "DROPD_LISTEN")]
    pub listen: Option<String>,
    /// Where control listens: the path of a unix socket (with a `/`), or `host:port`.
    #[arg(skip)]
    pub control: Option<String>,
    /// File with the bearer token that control over TCP asks for; awaited if absent.
    #[arg(skip)]
    pub control_token_file: Option<PathBuf>,
    /// Directory for identity and downloads.
    #[arg(long, env = "DROPD_STATE")]
    pub state: Option<PathBuf>,
    /// Directory that peers may read.
    #[arg(long, env = "DROPD_SHARE")]
    pub share: Option<PathBuf>,
    /// Directory to mount the peers' shares on; without it nothing is mounted.
    #[arg(long, env = "DROPD_MOUNT")]
    pub mount: Option<PathBuf>,
    /// A direction changes its key after this many bytes: 1073741824 unless said
    /// otherwise, at least 65536.
    #[arg(long, env = "DROPD_REKEY_BYTES", value_name = "BYTES")]
    pub rekey_bytes: Option<u64>,
    /// A direction changes its key after this many records: 1048576 unless said
    /// otherwise.
    #[arg(long, env = "DROPD_REKEY_RECORDS", value_name = "COUNT")]
    pub rekey_records: Option<u64>,
    /// A direction changes its key when it is this old, and data is to be sent: 60000
    /// unless said otherwise.
    #[arg(long, env = "DROPD_REKEY_INTERVAL_MS", value_name = "MS")]
    pub rekey_interval_ms: Option<u64>,
    /// Fresh keys are agreed with the peer when the last are this old, and data is to
    /// be sent: 120000 unless said otherwise, at least 50.
    #[arg(long, env = "DROPD_FOLD_INTERVAL_MS", value_name = "MS")]
    pub fold_interval_ms: Option<u64>,
    /// How records are sealed: auto, chacha20-poly1305 or aes-256-gcm.
    #[arg(long, env = "DROPD_SUITE")]
    pub suite: Option<String>,
    /// Who implements chacha20-poly1305: aws-lc or rustcrypto.
    #[arg(long, env = "DROPD_PROVIDER")]
    pub provider: Option<String>,
    /// Where spans go: OTLP over gRPC, like `http://127.0.0.1:4317`.
    #[arg(long, env = environment::OTLP_ENDPOINT)]
    pub otlp_endpoint: Option<String>,
    /// Known peers; only in the file.
    #[arg(skip)]
    #[serde(default)]
    pub peers: Vec<PeerSettings>,
}

/// A peer in the file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerSettings {
    /// What we call it.
    pub name: String,
    /// Its id, as `dropd id` prints it there.
    pub id: String,
    /// Where to dial it; without, it only dials us.
    pub address: Option<String>,
}

/// Where control listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlListen {
    /// A unix socket, mode 0600.
    Unix(PathBuf),
    /// TCP with a bearer token.
    Tcp {
        /// `host:port`.
        address: String,
        /// Where the token is read from.
        token_file: PathBuf,
    },
}

/// Everything decided.
#[derive(Clone, Debug)]
pub struct Config {
    /// This daemon's name.
    pub name: String,
    /// Where peers dial.
    pub listen: String,
    /// Where control listens.
    pub control: ControlListen,
    /// Identity and downloads.
    pub state: PathBuf,
    /// What is served.
    pub share: PathBuf,
    /// Where peers are mounted.
    pub mount: Option<PathBuf>,
    /// When keys change.
    pub rekey: RekeyLimits,
    /// How records are sealed.
    pub suites: SuiteChoice,
    /// Who implements them.
    pub provider: Provider,
    /// Where spans go.
    pub otlp_endpoint: Option<String>,
    /// Known peers.
    pub peers: Vec<PeerEntry>,
}

/// Why the settings do not do. Exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not readable.
    #[error("{}: cannot read the configuration: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file is not the YAML it should be.
    #[error("{}: {reason}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// With line and column.
        reason: String,
    },
    /// A setting has no default.
    #[error("{what} is not set: use {how}")]
    Missing {
        /// Which.
        what: &'static str,
        /// The flag and the variable.
        how: &'static str,
    },
    /// A name that cannot be.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A value that cannot be.
    #[error("{what} `{value}`: {reason}")]
    Value {
        /// Which setting.
        what: &'static str,
        /// As given.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Settings {
    /// Reads a configuration file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::parse(&text).map_err(|reason| ConfigError::Parse { path: path.to_owned(), reason })
    }

    fn parse(text: &str) -> Result<Self, String> {
        serde_yaml::from_str(text).map_err(|error| error.to_string())
    }

    /// These settings, and where they say nothing, `further`. An empty text says
    /// nothing: that is how Compose leaves a variable out.
    #[must_use]
    pub fn or(self, further: Self) -> Self {
        let text = |own: Option<String>, further| own.filter(|text| !text.is_empty()).or(further);
        let path = |own: Option<PathBuf>, further| {
            own.filter(|path| !path.as_os_str().is_empty()).or(further)
        };
        Self {
            name: text(self.name, further.name),
            listen: text(self.listen, further.listen),
            control: text(self.control, further.control),
            control_token_file: path(self.control_token_file, further.control_token_file),
            state: path(self.state, further.state),
            share: path(self.share, further.share),
            mount: path(self.mount, further.mount),
            rekey_bytes: self.rekey_bytes.or(further.rekey_bytes),
            rekey_records: self.rekey_records.or(further.rekey_records),
            rekey_interval_ms: self.rekey_interval_ms.or(further.rekey_interval_ms),
            fold_interval_ms: self.fold_interval_ms.or(further.fold_interval_ms),
            suite: text(self.suite, further.suite),
            provider: text(self.provider, further.provider),
            otlp_endpoint: text(self.otlp_endpoint, further.otlp_endpoint),
            peers: if self.peers.is_empty() { further.peers } else { self.peers },
        }
    }

    /// Fills in defaults and checks everything.
    pub fn resolve(self, defaults: &Defaults) -> Result<Config, ConfigError> {
        let settings = self.or(Self::default());
        let name =
            settings.name.or_else(|| defaults.host_name.clone()).ok_or(ConfigError::Missing {
                what: "the daemon's name",
                how: "--name or DROPD_NAME",
            })?;
        check_peer_name(&name)?;
        let state =
            settings.state.or_else(|| defaults.state.clone()).ok_or(ConfigError::Missing {
                what: "the state directory",
                how: "--state or DROPD_STATE",
            })?;
        let share = settings.share.ok_or(ConfigError::Missing {
            what: "the directory to serve",
            how: "--share or DROPD_SHARE",
        })?;
        let control = control_listen(settings.control, settings.control_token_file, &state)?;
        let usual = RekeyLimits::default();
        let rekey = RekeyLimits {
            bytes: settings.rekey_bytes.unwrap_or(usual.bytes),
            records: settings.rekey_records.unwrap_or(usual.records),
            interval_ms: settings.rekey_interval_ms.unwrap_or(usual.interval_ms),
            fold_interval_ms: settings.fold_interval_ms.unwrap_or(usual.fold_interval_ms),
        };
        rekey.check().map_err(|error| ConfigError::Value {
            what: error.name,
            value: error.value.to_string(),
            reason: error.to_string(),
        })?;
        let suites = parsed("suite", settings.suite)?;
        let provider = parsed("provider", settings.provider)?;
        Ok(Config {
            listen: settings.listen.unwrap_or_else(|| LISTEN_DEFAULT.to_owned()),
            control,
            share,
            mount: settings.mount,
            rekey,
            suites,
            provider,
            otlp_endpoint: settings.otlp_endpoint,
            peers: peers(settings.peers, &name)?,
            name,
            state,
        })
    }
}

/// A setting, or its default.
fn parsed<T>(what: &'static str, setting: Option<String>) -> Result<T, ConfigError>
where
    T: Default + FromStr<Err: fmt::Display>,
{
    let Some(value) = setting else { return Ok(T::default()) };
    value.parse().map_err(|error: T::Err| {
        let reason = error.to_string();
        ConfigError::Value { what, value, reason }
    })
}

/// What depends on the machine and its user.
#[derive(Clone, Debug, Default)]
pub struct Defaults {
    /// The host's name, when a daemon can have it.
    pub host_name: Option<String>,
    /// The user's state directory for us.
    pub state: Option<PathBuf>,
}

impl Defaults {
    /// Of this process: `/proc/sys/kernel/hostname`, and the XDG state directory.
    pub fn of_process() -> Self {
        let host_name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
        let host_name = host_name.map(|name| name.trim().to_lowercase());
        let directory = |variable| {
            std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
        };
        let home = || directory("HOME").map(|home| home.join(".local/state"));
        Self {
            host_name: host_name.filter(|name| check_peer_name(name).is_ok()),
            state: directory("XDG_STATE_HOME").or_else(home).map(|base| base.join("dropd")),
        }
    }

    /// The control socket of a daemon that was told nothing.
    pub fn control_socket(&self) -> Option<PathBuf> {
        self.state.as_ref().map(|state| state.join(CONTROL_SOCKET))
    }
}

fn control_listen(
    text: Option<String>,
    token_file: Option<PathBuf>,
    state: &Path,
) -> Result<ControlListen, ConfigError> {
    match (text, token_file) {
        (None, _) => Ok(ControlListen::Unix(state.join(CONTROL_SOCKET))),
        (Some(text), _) if text.contains('/') => Ok(ControlListen::Unix(text.into())),
        (Some(address), Some(token_file)) => Ok(ControlListen::Tcp { address, token_file }),
        (Some(value), None) => Err(ConfigError::Value {
            what: "control address",
            value,
            reason: "TCP without a token is open to everybody; set DROPD_CONTROL_TOKEN_FILE, \
                     or give the path of a unix socket"
                .to_owned(),
        }),
    }
}

fn peers(settings: Vec<PeerSettings>, own_name: &str) -> Result<Vec<PeerEntry>, ConfigError> {
    let mut peers: Vec<PeerEntry> = Vec::new();
    for PeerSettings { name, id, address } in settings {
        check_peer_name(&name)?;
        if name == own_name || peers.iter().any(|peer| peer.name == name) {
            let reason = "the name is taken".to_owned();
            return Err(ConfigError::Value { what: "peer", value: name, reason });
        }
        let id: PeerId = id.parse().map_err(|error| ConfigError::Value {
            what: "peer id",
            value: id.clone(),
            reason: format!("{error}"),
        })?;
        peers.push(PeerEntry { name, id, address });
    }
    Ok(peers)
}

#[cfg(test)]
mod tests;
