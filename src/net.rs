//! TCP under the secure channel: dialling, listening, deadlines.

use crate::secure::RekeyLimits;

mod dial;
mod listen;

pub use dial::{DialError, dial};
pub use listen::{ListenError, Listener};

/// What every session of a daemon has in common.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// When a direction changes its key by itself. Below the minimum is raised to
    /// it; check settings with [`RekeyLimits::check`].
    pub rekey: RekeyLimits,
    /// From the first byte of the handshake to confirmed keys.
    pub handshake_deadline_ms: u64,
    /// From looking up the name to a TCP connection.
    pub connect_deadline_ms: u64,
}

impl Default for SessionOptions {
    /// 10 s each: a handshake is one round trip and a few milliseconds, so this
    /// leaves room for lost packets on the longest links (TCP's first three
    /// repetitions take 7 s), and a dead peer is known soon enough.
    fn default() -> Self {
        Self {
            rekey: RekeyLimits::default(),
            handshake_deadline_ms: 10_000,
            connect_deadline_ms: 10_000,
        }
    }
}
