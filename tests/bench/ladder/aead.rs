//! The ciphers as a hand-written loop takes them: no session, no framing of ours.

use anyhow::anyhow;
use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::{AeadInOut as _, ChaCha20Poly1305, KeyInit as _, Tag};
use clap::ValueEnum;

pub(crate) const TAG_BYTES: usize = 16;
/// Of no secret: both ends of a measurement are this program.
const KEY: [u8; 32] = [7; 32];

/// An AEAD, and who implements it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub(crate) enum Cipher {
    /// ChaCha20-Poly1305 of aws-lc-rs
    Chacha,
    /// ChaCha20-Poly1305 of the crate chacha20poly1305
    ChachaCrate,
    /// AES-256-GCM of aws-lc-rs
    Aes,
}

impl Cipher {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Chacha => "ChaCha20",
            Self::ChachaCrate => "ChaCha20 (crate)",
            Self::Aes => "AES",
        }
    }
}

/// One key, used for a whole transfer.
pub(crate) enum Key {
    Aws(LessSafeKey),
    Crate(Box<ChaCha20Poly1305>),
}

impl Key {
    pub(crate) fn new(cipher: Cipher) -> anyhow::Result<Self> {
        let algorithm = match cipher {
            Cipher::ChachaCrate => {
                return Ok(Self::Crate(Box::new(ChaCha20Poly1305::new(&KEY.into()))));
            }
            Cipher::Chacha => &aead::CHACHA20_POLY1305,
            Cipher::Aes => &aead::AES_256_GCM,
        };
        let key = UnboundKey::new(algorithm, &KEY).map_err(|_| anyhow!("the key has 32 bytes"))?;
        Ok(Self::Aws(LessSafeKey::new(key)))
    }

    /// Seals in place.
    pub(crate) fn seal(&self, counter: u64, text: &mut [u8]) -> anyhow::Result<[u8; TAG_BYTES]> {
        match self {
            Self::Aws(key) => {
                let nonce = Nonce::assume_unique_for_key(nonce(counter));
                let tag = key
                    .seal_in_place_separate_tag(nonce, Aad::empty(), text)
                    .map_err(|_| anyhow!("cannot seal {} bytes", text.len()))?;
                Ok(tag.as_ref().try_into()?)
            }
            Self::Crate(key) => Ok(key
                .encrypt_inout_detached(&nonce(counter).into(), b"", InOutBuf::from(text))
                .map_err(|_| anyhow!("cannot seal"))?
                .into()),
        }
    }

    /// Opens in place.
    pub(crate) fn open(
        &self,
        counter: u64,
        text: &mut [u8],
        tag: [u8; TAG_BYTES],
    ) -> anyhow::Result<()> {
        let forged = || anyhow!("record {counter} is not what was sealed");
        match self {
            Self::Aws(key) => {
                let nonce = Nonce::assume_unique_for_key(nonce(counter));
                key.open_in_place_separate_tag(nonce, Aad::empty(), &tag, text)
                    .map(|_| ())
                    .map_err(|_| forged())
            }
            Self::Crate(key) => key
                .decrypt_inout_detached(
                    &nonce(counter).into(),
                    b"",
                    InOutBuf::from(text),
                    &Tag::from(tag),
                )
                .map_err(|_| forged()),
        }
    }
}

fn nonce(counter: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_be_bytes());
    nonce
}
