//! TCP under the secure channel: dialling, listening, deadlines.

use std::sync::Arc;

use crate::secure::establish::Terms;
use crate::secure::{Provider, RekeyLimits, SuiteChoice};
use crate::telemetry::complaints::Complaints;
use crate::telemetry::layers::Account;

mod accept;
mod dial;
mod listen;

pub(crate) use accept::pause_after;

pub use dial::{DialError, dial, join};
pub use listen::{ListenError, Listener};

/// What every session of a daemon has in common.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// When a direction changes its key by itself. Below the minimum is raised to
    /// it; check settings with [`RekeyLimits::check`].
    pub rekey: RekeyLimits,
    /// How records are sealed.
    pub suites: SuiteChoice,
    /// Who implements them.
    pub provider: Provider,
    /// From the first byte of the handshake to confirmed keys.
    pub handshake_deadline_ms: u64,
    /// From looking up the name to a TCP connection.
    pub connect_deadline_ms: u64,
    /// How long the other end may take no byte that we have for it.
    pub stall_deadline_ms: u64,
    /// Where it is said why a session failed: apart from what strangers cause, which
    /// would drown it.
    pub complaints: Arc<Complaints>,
}

impl SessionOptions {
    fn terms(&self, account: Account) -> Terms {
        Terms {
            rekey: self.rekey,
            suites: self.suites,
            provider: self.provider,
            handshake_deadline_ms: self.handshake_deadline_ms,
            stall_deadline_ms: self.stall_deadline_ms,
            account,
            complaints: Arc::clone(&self.complaints),
        }
    }
}

impl Default for SessionOptions {
    /// 10 s each: a handshake is one round trip and a few milliseconds, so this
    /// leaves room for lost packets on the longest links (TCP's first three
    /// repetitions take 7 s), and a dead peer is known soon enough. A minute without a
    /// byte taken: HTTP/2 reads all the time, so only a dead or hostile end does that.
    fn default() -> Self {
        Self {
            rekey: RekeyLimits::default(),
            suites: SuiteChoice::Auto,
            provider: Provider::default(),
            handshake_deadline_ms: 10_000,
            connect_deadline_ms: 10_000,
            stall_deadline_ms: 60_000,
            complaints: Arc::default(),
        }
    }
}
