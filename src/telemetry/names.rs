//! Every span, attribute and environment name that leaves the process.
//!
//! Traces are read by the testbed and by other people's tools: a name here is
//! an interface. Durations end in `_ns`, sizes in `_bytes`.

/// Spans, from the outside in. `A > B` in DESIGN section 7 is parent and child.
pub mod span {
    /// One step of a scenario; the orchestrator's.
    pub const SCENARIO_STEP: &str = "scenario.step";
    /// Dialling a peer, from TCP connect to a usable gRPC channel.
    pub const SESSION_CONNECT: &str = "session.connect";
    /// Noise and ML-KEM, one round trip.
    pub const SECURE_HANDSHAKE: &str = "secure.handshake";
    /// A change of epoch asked for on demand, both directions.
    pub const SECURE_REKEY: &str = "secure.rekey";
    /// One file fetched by `Pull`. Carries the receiver's layer times.
    pub const TRANSFER_PULL: &str = "transfer.pull";
    /// One file read through the mount by a child process. Carries the receiver's layer times.
    pub const MOUNT_READ: &str = "mount.read";
    /// One READ of the kernel.
    pub const FUSE_READ: &str = "fuse.read";
    /// One request to a peer: a push stream, or one ranged read.
    pub const TRANSFER_FETCH: &str = "transfer.fetch";
    /// The serving side of one fetch.
    pub const TRANSFER_SERVE: &str = "transfer.serve";
    /// One gRPC call that carries file bytes, at the serving side, from its start
    /// to its last byte. Carries the server's layer times.
    pub const TRANSFER_CALL: &str = "transfer.call";
    /// One positioned read at the serving side.
    pub const DISK_READ: &str = "disk.read";
    /// One write at the receiving side.
    pub const DISK_WRITE: &str = "disk.write";
}

/// Attributes of spans.
pub mod attribute {
    /// Name of the other peer.
    pub const PEER: &str = "dropbed.peer";
    /// Path within the share.
    pub const PATH: &str = "dropbed.path";
    /// `push`, `request-response` or `mount`.
    pub const MODE: &str = "dropbed.mode";
    /// Name of the scenario's step.
    pub const STEP: &str = "dropbed.step";
    /// First byte asked for.
    pub const OFFSET_BYTES: &str = "dropbed.offset_bytes";
    /// Bytes asked for, or carried.
    pub const LENGTH_BYTES: &str = "dropbed.length_bytes";
    /// Epoch of the sending direction after a rekey.
    pub const EPOCH_SENT: &str = "dropbed.epoch_sent";
    /// Epoch of the receiving direction after a rekey.
    pub const EPOCH_RECEIVED: &str = "dropbed.epoch_received";
    /// Prefix of the layer times: `dropbed.layer.disk_ns` and so on, one for each
    /// [`Layer`](crate::telemetry::layers::Layer).
    pub const LAYER_PREFIX: &str = "dropbed.layer.";
    /// Of the resource: the run that a process belongs to.
    pub const RUN_ID: &str = "dropbed.run_id";
}

/// Environment that the daemon and the testbed read.
pub mod environment {
    /// Where spans go (OTLP over gRPC), as OpenTelemetry names it.
    pub const OTLP_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    /// Run that a process or container belongs to; `gc` finds leftovers by it.
    pub const RUN_ID: &str = "DROPBED_RUN_ID";
    /// Log filter, in the syntax of `tracing_subscriber::EnvFilter`.
    pub const LOG: &str = "DROPBED_LOG";
}
