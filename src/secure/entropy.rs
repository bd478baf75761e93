//! Random bytes, as an argument of whoever needs them: a handshake under a known
//! generator gives known bytes.

/// Fills a slice with random bytes.
pub type Entropy = fn(&mut [u8]) -> Result<(), NoEntropy>;

/// The system's generator.
///
/// # Errors
/// When the system has no randomness to give.
pub fn system(bytes: &mut [u8]) -> Result<(), NoEntropy> {
    getrandom::fill(bytes).map_err(|_| NoEntropy)
}

/// The generator failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random bytes; see whether /dev/urandom can be read")]
pub struct NoEntropy;
