//! The two command lines. `main` calls one of these; everything else is below.

pub mod dropbed;
pub mod exit;

pub mod dropd;
