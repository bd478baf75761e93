//! `dropd`: configuration, wiring, sessions and local control.
//!
//! [`config`] says what to do, [`run`] wires it together. [`peers`] knows who may
//! talk to us, [`session`] dials them when something is to be read, [`control`]
//! does what the local user asks, [`control_client`] is how the user asks.

mod admitted;
pub mod config;
pub mod control;
pub mod control_client;
pub(crate) mod core;
pub mod peers;
pub mod reader;
pub mod run;
pub mod runtime;
pub mod session;

#[cfg(test)]
mod tests;
