//! What every layer did: names, the clock, time by layer, and where it is sent.

pub mod clock;
pub mod colour;
pub mod complaints;
pub mod layers;
pub mod names;
pub mod propagate;
pub mod setup;
