//! X25519 with keys that are wiped, for Noise and for the fold.

use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types::{Cipher, Dh, Hash, Random};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::entropy::Entropy;
use super::identity::KEY_BYTES;

/// An X25519 key pair (RFC 7748). The secret is wiped when dropped.
pub(super) struct KeyPair {
    secret: StaticSecret,
    public: PublicKey,
}

impl KeyPair {
    pub(super) fn from_secret(secret: &[u8; KEY_BYTES]) -> Self {
        let secret = StaticSecret::from(*secret);
        let public = PublicKey::from(&secret);
        Self { secret, public }
    }

    pub(super) fn public(&self) -> [u8; KEY_BYTES] {
        self.public.to_bytes()
    }

    /// As the function of that name.
    pub(super) fn agree(&self, public: &[u8; KEY_BYTES]) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
        agree(&self.secret, public)
    }
}

/// The shared secret; `None` for a public key of small order, with which anybody knows
/// it (RFC 7748 section 6.1).
fn agree(secret: &StaticSecret, public: &[u8; KEY_BYTES]) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
    let shared = secret.diffie_hellman(&PublicKey::from(*public));
    shared.was_contributory().then(|| Zeroizing::new(*shared.as_bytes()))
}

/// What snow makes a handshake from: this module's X25519, the given generator, and
/// its own hash and cipher.
pub(super) struct Resolver(pub(super) Entropy);

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(Generator(self.0)))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        match choice {
            DHChoice::Curve25519 => Some(Box::new(NoiseDh::default())),
            _ => None,
        }
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        DefaultResolver.resolve_cipher(choice)
    }
}

struct Generator(Entropy);

impl Random for Generator {
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), snow::Error> {
        (self.0)(bytes).map_err(|_| snow::Error::Rng)
    }
}

#[derive(Default)]
struct NoiseDh {
    secret: Zeroizing<[u8; KEY_BYTES]>,
    public: [u8; KEY_BYTES],
}

impl Dh for NoiseDh {
    fn name(&self) -> &'static str {
        "25519"
    }

    fn pub_len(&self) -> usize {
        KEY_BYTES
    }

    fn priv_len(&self) -> usize {
        KEY_BYTES
    }

    fn set(&mut self, secret: &[u8]) {
        self.secret.copy_from_slice(&secret[..KEY_BYTES]);
        self.public = KeyPair::from_secret(&self.secret).public();
    }

    fn generate(&mut self, generator: &mut dyn Random) -> Result<(), snow::Error> {
        generator.try_fill_bytes(self.secret.as_mut_slice())?;
        self.public = KeyPair::from_secret(&self.secret).public();
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        &self.public
    }

    fn privkey(&self) -> &[u8] {
        self.secret.as_slice()
    }

    fn dh(&self, public: &[u8], shared: &mut [u8]) -> Result<(), snow::Error> {
        let public = public.first_chunk().ok_or(snow::Error::Dh)?;
        // No key pair: its public key is a multiplication that nobody asks for here.
        let secret = StaticSecret::from(*self.secret);
        let agreed = agree(&secret, public).ok_or(snow::Error::Dh)?;
        shared[..KEY_BYTES].copy_from_slice(agreed.as_slice());
        Ok(())
    }
}
