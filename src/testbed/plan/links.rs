//! Links and what they do to bytes.

use serde::{Deserialize, Serialize};

use super::Name;
use crate::testbed::contract::LINK_PORT_FIRST;
pub use crate::toxiproxy::api::RateScope;

/// Linux hands out ports from here on to whoever dials: a link that listened
/// there could find its port taken.
const EPHEMERAL_PORT_FIRST: u16 = 32_768;

/// Links that one proxy has ports for, where addresses are its own.
pub const LINK_PORTS: usize = (EPHEMERAL_PORT_FIRST - LINK_PORT_FIRST) as usize;

/// The ports that links may listen on, where addresses are the proxy's own.
pub fn link_ports() -> impl Iterator<Item = u16> {
    LINK_PORT_FIRST..EPHEMERAL_PORT_FIRST
}

/// The port of the link at `index` in the plan.
pub(super) fn port(index: usize) -> Option<u16> {
    (index < LINK_PORTS).then(|| {
        let index = u16::try_from(index).expect("there are fewer ports than 65536");
        LINK_PORT_FIRST + index
    })
}

/// The way from one peer that dials to one that listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkPlan {
    /// `<dialler>:<listener>`, also the proxy's name.
    pub name: Name,
    /// Who dials, and so who reads.
    pub dialler: Name,
    /// Who listens, and so who serves.
    pub listener: Name,
    /// The proxy's listening port where addresses are its own (containers); none
    /// for a link beyond the ports that a proxy has ([`LINK_PORTS`]).
    pub port: Option<u16>,
    /// The shape when the run starts; a cell may replace it.
    pub shape: Shape,
}

/// What a link does to bytes, for each direction of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// From dialler to listener.
    pub up: OneWay,
    /// From listener to dialler.
    pub down: OneWay,
}

impl Shape {
    /// The round trip that both delays make, without jitter.
    pub const fn rtt_us(&self) -> u64 {
        self.up.latency_us + self.down.latency_us
    }
}

/// What happens to bytes in one direction of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OneWay {
    /// Added to every byte's way. Microseconds, so that half of an odd RTT is exact.
    pub latency_us: u64,
    /// Uniform deviation of the delay to both sides; at most `latency_us`.
    pub jitter_us: u64,
    /// Whole bytes per second, so a multiple of 8; none: as fast as the machine.
    pub rate_bits_per_s: Option<u64>,
    /// Who shares the rate.
    pub rate_scope: RateScope,
}

/// Which directions of a link ever have a rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rated {
    /// From dialler to listener.
    pub up: bool,
    /// From listener to dialler.
    pub down: bool,
}
