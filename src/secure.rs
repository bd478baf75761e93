//! The encrypted channel between two peers: who they are, how they agree on
//! keys, and records that arrive whole, in order and unaltered, or not at all.
//!
//! - [`identity`]: a peer's long-term key, and its name as text.
//! - [`suite`]: the ciphers, which one is taken, how much a key may seal.
//! - [`handshake`]: Noise IK with ML-KEM-768, up to confirmed keys.
//! - [`lane`]: further connections out of the same handshake.
//! - [`frame`], [`record`], [`rekey`], [`fold`]: the record layer.
//! - [`channel`]: all of that for a session: bytes in, bytes and events out.
//! - [`stream`]: the same as `AsyncRead + AsyncWrite`.
//! - [`session`]: what the rest of the daemon sees of a live stream.
//!
//! Only [`stream`] polls, and only it and [`session`] know clocks and tasks. All
//! else takes time and randomness as arguments (a test reads the sources). The
//! bytes are specified in `docs/transport.md`.

pub mod channel;
pub mod entropy;
mod exchange;
pub mod fold;
pub mod frame;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod handshake;
pub mod identity;
pub mod lane;
pub mod record;
pub mod rekey;
pub mod session;
pub mod stream;
pub mod suite;

pub use handshake::{HandshakeError, Refusal};
pub use identity::{Identity, IdentityError, PeerId, PeerIdError};
pub use record::RecordError;
pub use rekey::RekeyLimits;
pub use session::{Counters, SessionHandle, Side};
pub use stream::{SecureStream, establish};
pub use suite::{Provider, Suite, SuiteChoice};

#[cfg(test)]
mod tests;
