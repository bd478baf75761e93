//! What sealing and opening have in common: the key, and where it is.

use super::RecordError;
use crate::secure::rekey::{Ratchet, Secret};
use crate::secure::suite::{Cipher, Provider};

/// What both ends of a direction keep.
pub(super) struct Direction {
    pub(super) ratchet: Ratchet,
    provider: Provider,
    /// One per epoch, never one per record.
    pub(super) cipher: Cipher,
    pub(super) counter: u64,
    /// Plaintext bytes under the current key.
    pub(super) bytes: u64,
    pub(super) closed: bool,
}

impl Direction {
    pub(super) fn new(ratchet: Ratchet) -> Self {
        let provider = Provider::default();
        let cipher = Cipher::new(ratchet.suite(), provider, &ratchet.key());
        Self { ratchet, provider, cipher, counter: 0, bytes: 0, closed: false }
    }

    pub(super) fn set_provider(&mut self, provider: Provider) {
        // A key that is set up already is not set up again.
        if self.provider == provider {
            return;
        }
        self.provider = provider;
        self.cipher = Cipher::new(self.ratchet.suite(), provider, &self.ratchet.key());
    }

    pub(super) const fn next_nonce(&self) -> Result<(u32, u64), RecordError> {
        if self.closed {
            return Err(RecordError::AfterClose);
        }
        let limits = self.ratchet.suite().key_limits();
        if self.counter >= limits.records_hard || self.bytes >= limits.bytes_hard {
            return Err(RecordError::KeyUsedUp { epoch: self.ratchet.epoch() });
        }
        Ok((self.ratchet.epoch(), self.counter))
    }

    pub(super) const fn count(&mut self, plaintext_bytes: usize) {
        self.counter += 1;
        self.bytes += plaintext_bytes as u64;
    }

    pub(super) fn advance(&mut self, folded: Option<&Secret>) -> Result<(), RecordError> {
        self.ratchet.advance(folded)?;
        self.cipher = Cipher::new(self.ratchet.suite(), self.provider, &self.ratchet.key());
        self.counter = 0;
        self.bytes = 0;
        Ok(())
    }
}

impl std::fmt::Debug for Direction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Direction")
            .field("epoch", &self.ratchet.epoch())
            .field("counter", &self.counter)
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}
