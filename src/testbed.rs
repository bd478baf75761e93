//! `dropbed`: from a topology file to a result.
//!
//! `topology` parses, [`plan`] decides (purely), [`runtime`] starts and
//! removes, `scenario` drives, `report` tells.

pub mod plan;
pub mod runtime;
