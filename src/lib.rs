//! An encrypted peer-to-peer file-sharing daemon, and the testbed that proves it.
//!
//! The modules in the order of the data path; ARCHITECTURE.md tells the rest.
//!
//! - [`fuse`] adapts the kernel's requests to [`fs`], which knows inodes and
//!   handles and asks a peer through [`transfer`], gRPC over [`secure`] over
//!   [`net`]. At the other end `transfer` serves from [`source`], the disk.
//! - [`daemon`] wires these into `dropd`; [`telemetry`] counts and traces.
//! - [`toxiproxy`] is the proxy and its client, independent of all others.
//! - [`testbed`] is `dropbed`: it knows the daemon only through `control.proto`,
//!   environment and exit codes.

pub mod cli;
pub mod daemon;
pub mod fs;
pub mod fuse;
pub mod net;
pub mod proto;
pub mod sample;
pub mod secure;
pub mod source;
pub mod telemetry;
pub mod testbed;
pub mod toxiproxy;
pub mod transfer;
