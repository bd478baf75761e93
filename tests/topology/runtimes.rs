//! One set of tests for every runtime, with the daemon and with a peer that has only
//! what docs/peer-contract.md requires.
//!
//! What the reference peer transfers checks the testbed, not the daemon.

mod killed;
mod lacking;
mod side_by_side;
mod transfers;
mod world;

use crate::support::{Need, has};

/// A test for each runtime and peer, of the same body.
macro_rules! everywhere {
    ($name:ident, $body:path) => {
        mod $name {
            use crate::runtimes::world::Where;
            use crate::support::Peer;

            #[test]
            fn dropd_as_processes() {
                Where::Process.with(Peer::Dropd, $body);
            }

            #[test]
            fn dropd_in_containers() {
                Where::Docker.with(Peer::Dropd, $body);
            }

            #[test]
            fn dropd_attached() {
                Where::Attach.with(Peer::Dropd, $body);
            }

            #[test]
            fn reference_as_processes() {
                Where::Process.with(Peer::Reference, $body);
            }

            #[test]
            fn reference_in_containers() {
                Where::Docker.with(Peer::Reference, $body);
            }

            #[test]
            fn reference_attached() {
                Where::Attach.with(Peer::Reference, $body);
            }
        }
    };
}

#[test]
fn a_push_over_lanes_as_processes() {
    transfers::over_lanes(world::Where::Process);
}

#[test]
fn a_push_over_lanes_in_containers() {
    if has(Need::Docker) {
        transfers::over_lanes(world::Where::Docker);
    }
}

everywhere!(a_transfer, crate::runtimes::transfers::both_ways_of_asking);
everywhere!(a_killed_peer, crate::runtimes::killed::in_the_middle);
