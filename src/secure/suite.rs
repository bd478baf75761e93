//! Cipher suites: which there are, which one a session takes, how much one key may
//! seal.

use std::fmt;
use std::str::FromStr;

mod cipher;
mod provider;

pub(super) use cipher::Cipher;
pub use provider::{Provider, UnknownProvider};

/// How records are sealed. The initiator offers, the responder chooses, and the
/// choice is part of what every key is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Suite {
    /// RFC 8439.
    ChaCha20Poly1305 = 1,
    /// NIST SP 800-38D, with a key of 256 bits.
    Aes256Gcm = 2,
}

impl Suite {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::ChaCha20Poly1305, Self::Aes256Gcm];

    /// The suite with this number on the wire.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|&suite| suite as u8 == byte)
    }

    /// As settings and documents call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ChaCha20Poly1305 => "chacha20-poly1305",
            Self::Aes256Gcm => "aes-256-gcm",
        }
    }

    /// How much one key of this suite may seal.
    pub const fn key_limits(self) -> KeyLimits {
        match self {
            Self::ChaCha20Poly1305 => KeyLimits::CHACHA20_POLY1305,
            Self::Aes256Gcm => KeyLimits::AES_256_GCM,
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The setting: which suites an end offers and takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SuiteChoice {
    /// AES-256-GCM where both processors have AES, else ChaCha20-Poly1305.
    #[default]
    Auto,
    /// This one or none.
    Only(Suite),
}

impl SuiteChoice {
    /// What this end offers and takes, best first.
    pub fn suites(self) -> &'static [Suite] {
        const BOTH: [Suite; 2] = [Suite::Aes256Gcm, Suite::ChaCha20Poly1305];
        match self {
            Self::Auto if has_aes() => &BOTH,
            Self::Auto | Self::Only(Suite::ChaCha20Poly1305) => &[Suite::ChaCha20Poly1305],
            Self::Only(Suite::Aes256Gcm) => &[Suite::Aes256Gcm],
        }
    }
}

impl FromStr for SuiteChoice {
    type Err = UnknownSuite;

    fn from_str(text: &str) -> Result<Self, UnknownSuite> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        Suite::ALL
            .into_iter()
            .find(|suite| suite.name() == text)
            .map(Self::Only)
            .ok_or_else(|| UnknownSuite(text.to_owned()))
    }
}

/// A name that no suite has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no suite `{0}`; use auto, chacha20-poly1305 or aes-256-gcm")]
pub struct UnknownSuite(pub String);

/// Whether the processor has AES and carry-less multiplication; without them
/// AES-GCM is slower than ChaCha20-Poly1305.
fn has_aes() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("aes") && is_x86_feature_detected!("pclmulqdq");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes")
        && std::arch::is_aarch64_feature_detected!("pmull");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    false
}

/// How much one key may seal, whatever the settings say. At the soft limits the
/// sender moves to the next key by itself; at the hard ones both ends refuse to go
/// on, for a sender that gets there is broken.
///
/// A forger has one attempt per session, since the first forged record ends it. So
/// the integrity limits (draft-irtf-cfrg-aead-limits) are out of reach by many
/// powers of two: 2^-103 times the blocks of a record for ChaCha20-Poly1305, 2^-127
/// times that for AES-GCM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyLimits {
    /// Plaintext bytes, soft.
    pub bytes_soft: u64,
    /// Plaintext bytes, hard.
    pub bytes_hard: u64,
    /// Records, soft.
    pub records_soft: u64,
    /// Records, hard.
    pub records_hard: u64,
}

impl KeyLimits {
    /// AES-GCM leaks by collisions of blocks: with q blocks under one key the
    /// advantage is q^2 / 2^129 (draft-irtf-cfrg-aead-limits, section 5.1). 2^34
    /// blocks of 16 bytes keep it at 2^-61; RFC 8446 section 5.5 asks for 2^-60. The
    /// soft limit is a quarter of that. Nonces are counted, never random, so the 2^32
    /// of NIST SP 800-38D section 8.3 is no limit here; the records stay below it.
    pub const AES_256_GCM: Self =
        Self { bytes_soft: 1 << 36, bytes_hard: 1 << 38, records_soft: 1 << 23, ..Self::COUNTED };

    /// ChaCha20-Poly1305 has no limit of confidentiality below its counters
    /// (draft-irtf-cfrg-aead-limits, section 5.2; RFC 8446 section 5.5). What bounds
    /// it is the number of records; RFC 8439 section 2.8 bounds a record at 256 GiB.
    pub const CHACHA20_POLY1305: Self = Self::COUNTED;

    /// 2^24 records, sixteen times the default at which a key changes, and what so
    /// many of the largest records hold. The soft limits are half of that.
    const COUNTED: Self = Self {
        bytes_soft: 1 << 42,
        bytes_hard: 1 << 44,
        records_soft: 1 << 23,
        records_hard: 1 << 24,
    };
}

#[cfg(test)]
mod tests;
