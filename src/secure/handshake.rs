//! Noise IK (revision 34, section 7.5) with ML-KEM-768 (FIPS 203) in its two
//! messages. Sans-I/O: bodies of messages in and out, no socket, no clock.
//!
//! ```text
//! initiator                                   responder
//! Noise e, es, s, ss | suites, KEM key   ->
//!                    <-   Noise e, ee, se | suite, KEM ciphertext
//! ```
//!
//! Noise authenticates both and gives two keys, ML-KEM a third that an adversary
//! with a future quantum computer does not have. The traffic secrets come from all
//! three, under the hash of everything that was said. Who replays a first message
//! gets an answer that is of no use to it: the responder serves nothing before it
//! has opened a first record (see [`establish`](super::establish)).

use hkdf::Hkdf;
use ml_kem::kem::{Decapsulate as _, Encapsulate as _, KeyExport as _};
use ml_kem::ml_kem_768::{Ciphertext, DecapsulationKey, EncapsulationKey};
use ml_kem::{Seed, SharedKey};
use sha2::Sha256;
use snow::{Builder, HandshakeState};
use zeroize::Zeroizing;

use super::identity::{Identity, PeerId};
use super::rekey::{SECRET_BYTES, Secret};

mod error;
pub mod message;

pub use error::{HandshakeError, Refusal};
use message::{BODY_BYTES_MAX, VERSION};

const PATTERN: &str = "Noise_IK_25519_ChaChaPoly_SHA256";
const PROLOGUE: &[u8] = b"dropbed secure channel, version";
const LABEL_FORTH: &[u8] = b"dropbed 1 initiator to responder";
const LABEL_BACK: &[u8] = b"dropbed 1 responder to initiator";

const KEM_KEY_BYTES: usize = 1184;
const KEM_CIPHERTEXT_BYTES: usize = 1088;
const KEM_SEED_BYTES: usize = 64;

/// Suites that one offer can name; more than will ever be.
const SUITES_MAX: usize = 16;

/// How records are sealed. The initiator offers, the responder chooses, and the
/// choice is part of what the keys are made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Suite {
    /// RFC 8439.
    ChaCha20Poly1305 = 1,
}

impl Suite {
    /// In order of preference.
    const OURS: [Self; 1] = [Self::ChaCha20Poly1305];

    fn from_byte(byte: u8) -> Option<Self> {
        Self::OURS.into_iter().find(|&suite| suite as u8 == byte)
    }
}

/// What both ends hold after the handshake.
#[derive(Debug)]
pub struct Established {
    /// The other end; it has proved to hold this key.
    pub remote: PeerId,
    /// How records are sealed.
    pub suite: Suite,
    /// First secret of the direction to the other end.
    pub(super) send: Hidden,
    /// First secret of the direction from the other end.
    pub(super) receive: Hidden,
}

/// A secret that does not print itself.
pub(super) struct Hidden(pub(super) Secret);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("..")
    }
}

/// The dialling end, between its message and the answer.
pub struct Initiator {
    noise: HandshakeState,
    kem_key: DecapsulationKey,
    remote: PeerId,
}

impl Initiator {
    /// Begins a handshake with `remote`: the body of the first message.
    ///
    /// # Errors
    /// When the system has no randomness, or `remote` is no key.
    pub fn start(identity: &Identity, remote: PeerId) -> Result<(Self, Vec<u8>), HandshakeError> {
        let mut noise =
            builder(identity)?.remote_public_key(remote.as_bytes())?.build_initiator()?;
        let mut seed = Zeroizing::new([0; KEM_SEED_BYTES]);
        getrandom::fill(seed.as_mut_slice())
            .map_err(|e| HandshakeError::Random { reason: e.to_string() })?;
        let kem_key = DecapsulationKey::from_seed(Seed::from(*seed));
        let mut offer = vec![u8::try_from(Suite::OURS.len()).expect("a handful of suites")];
        offer.extend(Suite::OURS.map(|suite| suite as u8));
        offer.extend_from_slice(&kem_key.encapsulation_key().to_bytes());
        let body = write(&mut noise, &offer)?;
        Ok((Self { noise, kem_key, remote }, body))
    }

    /// Reads the answer. The other end is authentic if this succeeds.
    ///
    /// # Errors
    /// When the answer is not from `remote`, or makes no sense.
    pub fn finish(mut self, body: &[u8]) -> Result<Established, HandshakeError> {
        let payload = read(&mut self.noise, body).map_err(|_| HandshakeError::NotFromRemote)?;
        let (&[suite], ciphertext) =
            payload.split_first_chunk::<1>().ok_or(HandshakeError::Malformed)?;
        let suite = Suite::from_byte(suite).ok_or(HandshakeError::NoCommonSuite)?;
        let ciphertext: [u8; KEM_CIPHERTEXT_BYTES] =
            ciphertext.try_into().map_err(|_| HandshakeError::Malformed)?;
        let shared = self.kem_key.decapsulate(&Ciphertext::from(ciphertext));
        let (forth, back) = traffic_secrets(&mut self.noise, shared, suite);
        Ok(Established { remote: self.remote, suite, send: forth, receive: back })
    }
}

impl std::fmt::Debug for Initiator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Initiator").field("remote", &self.remote).finish_non_exhaustive()
    }
}

/// The accepting end, which knows who asks and has not answered yet.
pub struct Responder {
    noise: HandshakeState,
    remote: PeerId,
    suite: Suite,
    kem_key: EncapsulationKey,
}

impl Responder {
    /// Reads the first message.
    ///
    /// # Errors
    /// When it is not meant for this identity, or makes no sense.
    pub fn read(identity: &Identity, body: &[u8]) -> Result<Self, HandshakeError> {
        let mut noise = builder(identity)?.build_responder()?;
        let offer = read(&mut noise, body).map_err(|_| HandshakeError::NotForUs)?;
        let remote = noise.get_remote_static().ok_or(HandshakeError::NotForUs)?;
        let remote = remote.try_into().map_err(|_| HandshakeError::Malformed)?;
        let (&count, rest) = offer.split_first().ok_or(HandshakeError::Malformed)?;
        let (suites, kem_key) =
            rest.split_at_checked(usize::from(count)).ok_or(HandshakeError::Malformed)?;
        if suites.len() > SUITES_MAX {
            return Err(HandshakeError::Malformed);
        }
        let suite = Suite::OURS
            .into_iter()
            .find(|&suite| suites.contains(&(suite as u8)))
            .ok_or(HandshakeError::NoCommonSuite)?;
        let kem_key: [u8; KEM_KEY_BYTES] =
            kem_key.try_into().map_err(|_| HandshakeError::Malformed)?;
        let kem_key =
            EncapsulationKey::new(&kem_key.into()).map_err(|_| HandshakeError::Malformed)?;
        Ok(Self { noise, remote: PeerId::from_bytes(remote), suite, kem_key })
    }

    /// Who asks. It holds this key, but the message may be an old one replayed.
    pub const fn remote(&self) -> PeerId {
        self.remote
    }

    /// Answers: the body of the second message.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn accept(mut self) -> Result<(Established, Vec<u8>), HandshakeError> {
        let (ciphertext, shared) = self.kem_key.encapsulate();
        let mut choice = vec![self.suite as u8];
        choice.extend_from_slice(&ciphertext);
        let body = write(&mut self.noise, &choice)?;
        let (forth, back) = traffic_secrets(&mut self.noise, shared, self.suite);
        let established =
            Established { remote: self.remote, suite: self.suite, send: back, receive: forth };
        Ok((established, body))
    }
}

impl std::fmt::Debug for Responder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Responder").field("remote", &self.remote).finish_non_exhaustive()
    }
}

/// Common to both ends: pattern, protocol name and version, our key.
fn builder(identity: &Identity) -> Result<Builder<'_>, HandshakeError> {
    const { assert!(VERSION == 1, "the prologue below says version 1") };
    let pattern = PATTERN.parse().expect("a pattern that snow is built with");
    let prologue: &'static [u8] = const {
        &{
            let mut text = [0; PROLOGUE.len() + 1];
            let (name, version) = text.split_at_mut(PROLOGUE.len());
            name.copy_from_slice(PROLOGUE);
            version[0] = VERSION;
            text
        }
    };
    Ok(Builder::new(pattern).prologue(prologue)?.local_private_key(identity.secret())?)
}

fn write(noise: &mut HandshakeState, payload: &[u8]) -> Result<Vec<u8>, HandshakeError> {
    let mut body = vec![0; BODY_BYTES_MAX];
    let bytes = noise.write_message(payload, &mut body)?;
    body.truncate(bytes);
    Ok(body)
}

fn read(noise: &mut HandshakeState, body: &[u8]) -> Result<Vec<u8>, snow::Error> {
    let mut payload = vec![0; BODY_BYTES_MAX];
    let bytes = noise.read_message(body, &mut payload)?;
    payload.truncate(bytes);
    Ok(payload)
}

/// HKDF-SHA-256 over both Noise keys and the KEM's, salted with the handshake
/// hash: initiator to responder, responder to initiator. Either kind of key
/// exchange alone keeps them secret.
fn traffic_secrets(
    noise: &mut HandshakeState,
    mut kem: SharedKey,
    suite: Suite,
) -> (Hidden, Hidden) {
    let (forth, back) = noise.dangerously_get_raw_split();
    let (forth, back) = (Zeroizing::new(forth), Zeroizing::new(back));
    let mut material = Zeroizing::new([0u8; 3 * SECRET_BYTES]);
    material[..32].copy_from_slice(forth.as_slice());
    material[32..64].copy_from_slice(back.as_slice());
    material[64..].copy_from_slice(&kem);
    zeroize::Zeroize::zeroize(kem.as_mut_slice());
    let derived = Hkdf::<Sha256>::new(Some(noise.get_handshake_hash()), material.as_slice());
    let expand = |label: &[u8]| {
        let mut secret = Secret::default();
        derived
            .expand_multi_info(&[label, &[suite as u8]], secret.as_mut_slice())
            .expect("one block of output");
        Hidden(secret)
    };
    (expand(LABEL_FORTH), expand(LABEL_BACK))
}

#[cfg(test)]
mod tests;
