//! A plan as files that others start: the peers and the proxy run there, and
//! `dropbed run --runtime attach` drives them.

mod compose;

pub use compose::{compose, seen_from_compose};

#[cfg(test)]
mod tests;
