//! The two protocols, generated from `proto/` by `build.rs`.

/// Peer to peer.
#[allow(
    missing_docs,
    unused_qualifications,
    clippy::all,
    clippy::pedantic,
    clippy::nursery,
    reason = "generated"
)]
pub mod drop {
    tonic::include_proto!("dropbed.drop.v1");
}

/// Local control.
#[allow(
    missing_docs,
    unused_qualifications,
    clippy::all,
    clippy::pedantic,
    clippy::nursery,
    reason = "generated"
)]
pub mod control {
    tonic::include_proto!("dropbed.control.v1");
}
