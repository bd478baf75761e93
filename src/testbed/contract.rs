//! What the testbed and the containers of a run agree on: ports, paths, names.
//!
//! The daemon reads the same environment; the Compose rendering and the
//! container runtime write it. Nothing here depends on a topology.

/// Where a daemon listens for peers, inside its container.
pub const PEER_PORT: u16 = 4600;

/// Where a daemon serves its control protocol over TCP, inside its container.
pub const CONTROL_PORT: u16 = 4601;

/// The proxy's HTTP API; Toxiproxy's own default.
pub const PROXY_API_PORT: u16 = 8474;

/// The first link listens here at the proxy, each further one a port higher.
/// Below the kernel's range of ephemeral ports (32768), so no dial can take one.
pub const LINK_PORT_FIRST: u16 = 21_000;

/// Where the testbed receives OTLP over gRPC; the protocol's own default.
pub const OTLP_PORT: u16 = 4317;

/// The image that peers, proxy and testbed share: one static file.
pub const IMAGE_DEFAULT: &str = "dropbed:local";

/// The daemon within the image.
pub const DAEMON_PATH: &str = "/dropd";

/// The testbed, and the bundled proxy, within the image.
pub const TESTBED_PATH: &str = "/dropbed";

/// Holds the control token; shared by the testbed and all peers.
pub const TOKEN_DIR: &str = "/run/dropbed";

/// The control token: made by the testbed per run, awaited by the peers.
pub const TOKEN_FILE: &str = "/run/dropbed/token";

/// Identity, cache and downloads of a daemon.
pub const STATE_DIR: &str = "/state";

/// What a daemon serves.
pub const SHARE_DIR: &str = "/share";

/// Where a daemon mounts the shares of the others.
pub const MOUNT_DIR: &str = "/mnt/dropd";

/// Names of the daemon's environment.
pub mod env {
    /// The daemon's name, as its peers call it.
    pub const NAME: &str = "DROPD_NAME";
    /// `host:port` to listen on for peers.
    pub const LISTEN: &str = "DROPD_LISTEN";
    /// `host:port` of the control protocol.
    pub const CONTROL: &str = "DROPD_CONTROL";
    /// File with the bearer token of the control protocol; awaited if absent.
    pub const CONTROL_TOKEN_FILE: &str = "DROPD_CONTROL_TOKEN_FILE";
    /// Directory for identity, cache and downloads.
    pub const STATE: &str = "DROPD_STATE";
    /// Directory that is served.
    pub const SHARE: &str = "DROPD_SHARE";
    /// Directory to mount at; not mounted when unset.
    pub const MOUNT: &str = "DROPD_MOUNT";
    /// A direction moves to its next epoch after this many bytes.
    pub const REKEY_BYTES: &str = "DROPD_REKEY_BYTES";
    /// Where spans go, by OpenTelemetry's own convention.
    pub const OTLP_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    /// Overrides [`IMAGE_DEFAULT`](super::IMAGE_DEFAULT).
    pub const IMAGE: &str = "DROPBED_IMAGE";
    /// Executable that is started as every peer, in place of our own daemon.
    pub const PEER: &str = "DROPBED_PEER";
}

/// Names of the labels that everything a run makes carries, so that it can be
/// found and removed after SIGKILL.
pub mod label {
    /// Which tool made it; the value is [`TOOL_VALUE`].
    pub const TOOL: &str = "dropbed.tool";
    /// Value of [`TOOL`].
    pub const TOOL_VALUE: &str = "dropbed";
    /// Which run made it.
    pub const RUN: &str = "dropbed.run";
    /// Absolute path of that run's directory, where its owner runs.
    pub const DIRECTORY: &str = "dropbed.directory";
    /// Which peer it belongs to; none for what all share.
    pub const PEER: &str = "dropbed.peer";
    /// Process id of the `dropbed` that made it.
    pub const OWNER_PID: &str = "dropbed.owner-pid";
}

#[cfg(test)]
mod tests;
