//! The rows of the table.

use serde::{Deserialize, Serialize};

use crate::telemetry::layers::Layer;

/// A row of the table, in the order of the data path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Reading the source, writing the destination.
    Disk,
    /// Kernel FUSE and the application that reads.
    Fuse,
    /// The daemons' own part between caller and gRPC.
    Fetch,
    /// HTTP/2 and protobuf.
    Grpc,
    /// Sealing records.
    Seal,
    /// Opening records.
    Open,
    /// The reader's wait that nothing else explains.
    TcpWait,
    /// Turns x RTT.
    LinkDelay,
    /// What no layer claims.
    Unaccounted,
}

impl Part {
    /// Every part, in order.
    pub const ALL: [Self; 9] = [
        Self::Disk,
        Self::Fuse,
        Self::Fetch,
        Self::Grpc,
        Self::Seal,
        Self::Open,
        Self::TcpWait,
        Self::LinkDelay,
        Self::Unaccounted,
    ];

    /// The name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::Fuse => "FUSE",
            Self::Fetch => "fetch",
            Self::Grpc => "gRPC",
            Self::Seal => "seal",
            Self::Open => "open",
            Self::TcpWait => "TCP wait",
            Self::LinkDelay => "link delay",
            Self::Unaccounted => "unaccounted",
        }
    }

    /// The layer that this part shows on both sides; waits and the rest are
    /// computed.
    pub(super) const fn layer(self) -> Option<Layer> {
        match self {
            Self::Disk => Some(Layer::Disk),
            Self::Fuse => Some(Layer::Fuse),
            Self::Fetch => Some(Layer::Fetch),
            Self::Grpc => Some(Layer::Grpc),
            Self::Seal => Some(Layer::Seal),
            Self::Open => Some(Layer::Open),
            Self::TcpWait | Self::LinkDelay | Self::Unaccounted => None,
        }
    }
}
