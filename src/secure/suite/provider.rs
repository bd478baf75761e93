//! Who implements a suite. Both have the same bytes on the wire.

use std::fmt;
use std::str::FromStr;

/// The implementation of ChaCha20-Poly1305; AES-256-GCM is always AWS-LC's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Provider {
    /// `aws-lc-rs`: a quarter less processor time than the other (ARCHITECTURE.md,
    /// The ladder).
    #[default]
    AwsLc,
    /// The crate `chacha20poly1305`: Rust alone.
    RustCrypto,
}

impl Provider {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::AwsLc, Self::RustCrypto];

    /// As settings and documents call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AwsLc => "aws-lc",
            Self::RustCrypto => "rustcrypto",
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Provider {
    type Err = UnknownProvider;

    fn from_str(text: &str) -> Result<Self, UnknownProvider> {
        let found = Self::ALL.into_iter().find(|provider| provider.name() == text);
        found.ok_or_else(|| UnknownProvider(text.to_owned()))
    }
}

/// A name that no provider has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nobody called `{0}` implements ChaCha20-Poly1305 here; use aws-lc or rustcrypto")]
pub struct UnknownProvider(pub String);
