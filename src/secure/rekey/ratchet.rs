//! The secrets of one direction, one after the other.

use hkdf::Hkdf;
use sha2::Sha256;

use super::{EpochsExhausted, Kept, Secret};
use crate::secure::suite::Suite;

const LABEL_KEY: &[u8] = b"dropbed 1 record key";
const LABEL_NEXT: &[u8] = b"dropbed 1 next secret";
const LABEL_FOLDED: &[u8] = b"dropbed 1 folded secret";

/// One secret at a time. They go forward only, as in RFC 8446 section 7.2: who
/// steals one cannot compute an earlier one. With a secret folded in (RFC 5869: the
/// old one salts the extraction of the new) it cannot compute the next one either.
pub struct Ratchet {
    suite: Suite,
    secret: Kept,
    epoch: u32,
}

impl Ratchet {
    /// Epoch 0.
    pub const fn new(suite: Suite, secret: Kept) -> Self {
        Self { suite, secret, epoch: 0 }
    }

    /// Which secret is the current one.
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// How records are sealed with its keys.
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// The cipher key of the current epoch.
    pub fn key(&self) -> Secret {
        let mut key = Secret::default();
        expand(&hkdf(&self.secret), &info(LABEL_KEY, self.suite, self.epoch), &mut key);
        key
    }

    /// Moves to the next epoch, with `folded` mixed in; the old secret is wiped.
    ///
    /// # Errors
    /// After 2^32 - 1 epochs, for a nonce must not come again.
    pub fn advance(&mut self, folded: Option<&Secret>) -> Result<(), EpochsExhausted> {
        let epoch = self.epoch.checked_add(1).ok_or(EpochsExhausted)?;
        let (suite, ended) = (self.suite, self.epoch);
        let old = hkdf(&self.secret);
        expand(&old, &info(LABEL_NEXT, suite, ended), &mut self.secret);
        if let Some(folded) = folded {
            let mixed = Hkdf::new(Some(self.secret.as_slice()), folded.as_slice());
            expand(&mixed, &info(LABEL_FOLDED, suite, ended), &mut self.secret);
        }
        self.epoch = epoch;
        Ok(())
    }

    #[cfg(test)]
    pub(in crate::secure) fn at_epoch(mut self, epoch: u32) -> Self {
        self.epoch = epoch;
        self
    }

    /// A thief's copy.
    #[cfg(test)]
    pub(in crate::secure) fn stolen(&self) -> Self {
        Self { suite: self.suite, secret: self.secret.clone(), epoch: self.epoch }
    }
}

fn hkdf(secret: &Secret) -> Hkdf<Sha256> {
    Hkdf::from_prk(secret.as_slice()).expect("a secret is as long as the hash")
}

/// What a key is for: purpose, suite, epoch.
const fn info(label: &[u8], suite: Suite, epoch: u32) -> ([u8; 1], [u8; 4], &[u8]) {
    ([suite as u8], epoch.to_be_bytes(), label)
}

fn expand(
    hkdf: &Hkdf<Sha256>,
    (suite, epoch, label): &([u8; 1], [u8; 4], &[u8]),
    output: &mut Secret,
) {
    hkdf.expand_multi_info(&[label, suite, epoch], output.as_mut_slice())
        .expect("one block of output");
}

impl std::fmt::Debug for Ratchet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ratchet").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}
