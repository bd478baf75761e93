//! `dropbed`: from a topology file to a result.
//!
//! [`topology`] parses, [`plan`] decides (purely), [`export`] renders the plan
//! for others to start, [`runtime`] starts and removes, `scenario` drives, and
//! [`run`] puts these together. Spans of all peers meet in [`collect`];
//! [`layer_table`], [`trace_view`] and [`stats`] make figures of them, [`result`]
//! keeps them, [`report`] shows them. [`contract`] is what all agree on with the
//! daemon; [`image`], [`gc`] and [`doctor`] are commands by themselves, and `live` and
//! `parts` are how other commands work on a topology of another process.

pub(crate) mod bed;
pub mod collect;
pub mod contract;
pub mod doctor;
pub mod events;
pub mod export;
pub mod gc;
pub mod image;
pub mod layer_table;
pub mod library;
pub(crate) mod live;
pub(crate) mod parts;
pub mod plan;
pub mod report;
pub mod result;
pub mod run;
pub mod runtime;
pub(crate) mod scenario;
pub mod stats;
pub mod topology;
pub mod trace_view;
pub mod ui;
pub mod up;

pub use library::{LiveTestbed, Testbed, TestbedError};
