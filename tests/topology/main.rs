//! Real peers, real kernel FUSE, a real proxy: what `dropbed` and `dropd` do
//! when they are run as commands.
//!
//! Each test owns its run directory, and everything it starts carries its run's
//! id, by which the test checks that nothing was left. Tests that need an engine
//! or FUSE say so when it is missing, and fail when `DROPBED_REQUIRE` names it.

mod bad_input;
mod broken;
mod clean_up;
mod compose;
mod daemons;
mod doctor;
mod elsewhere;
mod kills;
mod latency;
mod library;
mod links;
mod misshapen;
mod runs;
mod runtimes;
mod signals;
mod stand;
mod support;
mod verbs;
