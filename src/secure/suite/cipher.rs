//! One AEAD under one key, in place.

use aws_lc_rs::aead::{
    AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce as AesNonce, UnboundKey,
};
use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::{AeadInOut as _, ChaCha20Poly1305, Key, KeyInit as _, Nonce, Tag};

use super::super::frame::{NONCE_BYTES, TAG_BYTES};
use super::super::rekey::Secret;
use super::{Provider, Suite};

/// From here on bytes are sealed from where they lie. For less, a copy costs nothing.
const FAR_BYTES_MIN: usize = 1024;

const FITS: &str = "a record is far below the 64 GiB that one nonce can seal";

/// A cipher with its key. Both wipe the key when dropped: `chacha20poly1305` by its
/// feature `zeroize`, AWS-LC because it wipes all that it frees.
pub(in crate::secure) enum Cipher {
    AwsLc(LessSafeKey),
    RustCrypto(ChaCha20Poly1305),
}

/// The tag does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::secure) struct TagMismatch;

impl Cipher {
    pub(in crate::secure) fn new(suite: Suite, provider: Provider, key: &Secret) -> Self {
        let algorithm = match (suite, provider) {
            (Suite::ChaCha20Poly1305, Provider::RustCrypto) => {
                return Self::RustCrypto(ChaCha20Poly1305::new(<&Key>::from(&**key)));
            }
            (Suite::ChaCha20Poly1305, Provider::AwsLc) => &CHACHA20_POLY1305,
            (Suite::Aes256Gcm, _) => &AES_256_GCM,
        };
        let key = UnboundKey::new(algorithm, key.as_slice())
            .expect("a secret has the 32 bytes of either key");
        Self::AwsLc(LessSafeKey::new(key))
    }

    /// Encrypts in place.
    pub(in crate::secure) fn seal(
        &self,
        nonce: [u8; NONCE_BYTES],
        associated: &[u8],
        text: &mut [u8],
    ) -> [u8; TAG_BYTES] {
        match self {
            Self::RustCrypto(cipher) => cipher
                .encrypt_inout_detached(&Nonce::from(nonce), associated, InOutBuf::from(text))
                .expect(FITS)
                .into(),
            Self::AwsLc(key) => {
                let nonce = AesNonce::assume_unique_for_key(nonce);
                let tag =
                    key.seal_in_place_separate_tag(nonce, Aad::from(associated), text).expect(FITS);
                tag.as_ref().try_into().expect("both algorithms have tags of 16 bytes")
            }
        }
    }

    /// Whether [`seal_gathered`](Self::seal_gathered) takes so many bytes from where they
    /// lie. AWS-LC does that for AES at full speed; for ChaCha20 it goes byte by byte.
    pub(in crate::secure) fn seals_from_afar(&self, bytes: usize) -> bool {
        match self {
            Self::AwsLc(key) => bytes >= FAR_BYTES_MIN && key.algorithm() == &AES_256_GCM,
            Self::RustCrypto(_) => false,
        }
    }

    /// Encrypts one text of two parts: `near` in place, and `far` into `far_and_tag`.
    ///
    /// # Panics
    /// When there is something in `far` that the cipher does not
    /// [take](Self::seals_from_afar), or `far_and_tag` is not that and a tag long.
    pub(in crate::secure) fn seal_gathered(
        &self,
        nonce: [u8; NONCE_BYTES],
        associated: &[u8],
        near: &mut [u8],
        far: &[u8],
        far_and_tag: &mut [u8],
    ) {
        match self {
            Self::AwsLc(key) if self.seals_from_afar(far.len()) => {
                let nonce = AesNonce::assume_unique_for_key(nonce);
                key.seal_in_place_scatter(nonce, Aad::from(associated), near, far, far_and_tag)
                    .expect(FITS);
            }
            _ => far_and_tag.copy_from_slice(&self.seal(nonce, associated, near)),
        }
    }

    /// Decrypts in place. After an error nothing in `text` is plaintext.
    pub(in crate::secure) fn open(
        &self,
        nonce: [u8; NONCE_BYTES],
        associated: &[u8],
        text: &mut [u8],
        tag: [u8; TAG_BYTES],
    ) -> Result<(), TagMismatch> {
        match self {
            Self::RustCrypto(cipher) => cipher
                .decrypt_inout_detached(
                    &Nonce::from(nonce),
                    associated,
                    InOutBuf::from(text),
                    &Tag::from(tag),
                )
                .map_err(|_| TagMismatch),
            Self::AwsLc(key) => {
                let nonce = AesNonce::assume_unique_for_key(nonce);
                let opened =
                    key.open_in_place_separate_tag(nonce, Aad::from(associated), &tag, text);
                if opened.is_err() {
                    // It decrypts as it authenticates and leaves what it made.
                    text.fill(0);
                    return Err(TagMismatch);
                }
                Ok(())
            }
        }
    }
}
