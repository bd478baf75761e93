//! The encrypted channel between two peers: who they are, how they agree on
//! keys, and records that arrive whole, in order and unaltered, or not at all.
//!
//! - [`identity`]: a peer's long-term key, and its name as text.
//! - [`handshake`]: Noise IK with ML-KEM-768, no I/O; [`establish`] carries it.
//! - [`frame`], [`record`], [`rekey`]: the record layer, no I/O and no clock.
//! - [`stream`]: the same as `AsyncRead + AsyncWrite`, the only poll code.
//! - [`session`]: what the rest of the daemon sees of a live stream.

pub mod establish;
pub mod frame;
pub mod handshake;
pub mod identity;
pub mod record;
pub mod rekey;
pub mod session;
pub mod stream;

pub use handshake::{HandshakeError, Refusal};
pub use identity::{Identity, IdentityError, PeerId, PeerIdError};
pub use record::RecordError;
pub use rekey::RekeyLimits;
pub use session::{Counters, SessionHandle, Side};
pub use stream::SecureStream;
