//! What every layer did: names, the clock, and time by layer.

pub mod clock;
pub mod layers;
pub mod names;
