//! Noise IK (revision 34, section 7.5) with ML-KEM-768 (FIPS 203) in its two
//! messages. Bodies of messages in and out; randomness is an argument.
//!
//! ```text
//! initiator                                         responder
//! Noise e, es, s, ss | versions, suites, KEM key ->
//!                    <-   Noise e, ee, se | version, suite, KEM ciphertext, or a refusal
//! ```
//!
//! Noise authenticates both and gives two keys, ML-KEM a third that an adversary
//! with a future quantum computer does not have. The traffic secrets come from all
//! three, under the hash of everything that was said, offers included: whoever makes
//! the ends see different offers makes them have different keys. Who replays a first
//! message gets an answer that is of no use to it: the responder serves nothing
//! before it has opened a first record (see [`dialogue`]).

use hkdf::Hkdf;
use ml_kem::Seed;
use ml_kem::kem::{Decapsulate as _, KeyExport as _};
use ml_kem::ml_kem_768::{Ciphertext, DecapsulationKey, EncapsulationKey};
use sha2::Sha256;
use snow::{Builder, HandshakeState};
use zeroize::{Zeroize as _, Zeroizing};

use super::entropy::Entropy;
use super::exchange::Resolver;
use super::fold::{KEM_SEED_BYTES, encapsulate};
use super::identity::{Identity, KEY_BYTES, PeerId};
use super::lane::Tickets;
use super::rekey::{Kept, SECRET_BYTES, Secret};
use super::suite::{Suite, SuiteChoice};

pub mod dialogue;
mod error;
pub mod message;
mod offer;

pub use error::{HandshakeError, Refusal};
use message::{BODY_BYTES_MAX, VERSION};
use offer::{Answer, Offer};

const PATTERN: &str = "Noise_IK_25519_ChaChaPoly_SHA256";

/// What the handshake hash begins with: neither another protocol nor another layout
/// of the messages has the same keys.
const PROLOGUE: &[u8] = b"dropbed secure channel, message layout 1";

const LABEL_FORTH: &[u8] = b"dropbed 1 initiator to responder";
const LABEL_BACK: &[u8] = b"dropbed 1 responder to initiator";
const LABEL_SESSION: &[u8] = b"dropbed 1 session";
const LABEL_LANES: &[u8] = b"dropbed 1 lanes";

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
    /// Tells this session from others, in what is derived later.
    pub(super) session: Hidden,
    /// For its further connections.
    pub(super) lanes: Tickets,
}

/// A secret that does not print itself.
pub(super) struct Hidden(pub(super) Kept);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("..")
    }
}

/// What an end brings to a handshake.
#[derive(Clone, Copy)]
pub struct Local<'a> {
    /// Who it is.
    pub identity: &'a Identity,
    /// What it offers and takes.
    pub suites: SuiteChoice,
    /// Where its randomness comes from.
    pub entropy: Entropy,
}

impl<'a> Local<'a> {
    fn noise(self) -> Result<Builder<'a>, HandshakeError> {
        let pattern = PATTERN.parse().expect("a pattern that snow is built with");
        let builder = Builder::with_resolver(pattern, Box::new(Resolver(self.entropy)));
        Ok(builder.prologue(PROLOGUE)?.local_private_key(self.identity.secret())?)
    }
}

impl std::fmt::Debug for Local<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Local").field("suites", &self.suites).finish_non_exhaustive()
    }
}

/// The dialling end, between its message and the answer.
pub struct Initiator {
    noise: HandshakeState,
    /// Boxed: it moves with its handshake.
    kem_key: Box<DecapsulationKey>,
    suites: &'static [Suite],
    remote: PeerId,
}

impl Initiator {
    /// Begins a handshake with `remote`: the body of the first message.
    ///
    /// # Errors
    /// When the system has no randomness, or `remote` is no key.
    pub fn start(local: Local<'_>, remote: PeerId) -> Result<(Self, Vec<u8>), HandshakeError> {
        let mut noise = local.noise()?.remote_public_key(remote.as_bytes())?.build_initiator()?;
        let mut seed = Zeroizing::new([0; KEM_SEED_BYTES]);
        (local.entropy)(seed.as_mut_slice())?;
        let mut drawn = Seed::from(*seed);
        let kem_key = Box::new(DecapsulationKey::from_seed(drawn));
        drawn.as_mut_slice().zeroize();
        let suites = local.suites.suites();
        let offer = offer::encode(suites, &kem_key.encapsulation_key().to_bytes());
        let body = write(&mut noise, &offer)?;
        Ok((Self { noise, kem_key, suites, remote }, body))
    }

    /// Reads the answer. The other end is authentic if this succeeds, and also if it
    /// refuses.
    ///
    /// # Errors
    /// When the answer is not from `remote`, makes no sense, chooses what was not
    /// offered, or refuses.
    pub fn finish(mut self, body: &[u8]) -> Result<Established, HandshakeError> {
        let payload = read(&mut self.noise, body).map_err(|_| HandshakeError::NotFromRemote)?;
        let (suite, ciphertext) = match Answer::decode(&payload)? {
            Answer::Accepted { suite, ciphertext } => (suite, ciphertext),
            Answer::Refused(reason) => return Err(HandshakeError::Refused(reason)),
        };
        if !self.suites.contains(&suite) {
            return Err(HandshakeError::NotOffered);
        }
        let mut shared = self.kem_key.decapsulate(&Ciphertext::from(*ciphertext));
        let kem = Secret::new(shared.into());
        shared.as_mut_slice().zeroize();
        let [forth, back, session, lanes] = derive(&mut self.noise, &kem, suite);
        let lanes = Tickets::derive(suite, &lanes.0);
        Ok(Established { remote: self.remote, suite, send: forth, receive: back, session, lanes })
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
    suite: Result<Suite, Refusal>,
    kem_key: EncapsulationKey,
    entropy: Entropy,
}

impl Responder {
    /// Reads the first message.
    ///
    /// # Errors
    /// When it is not meant for this identity, or makes no sense.
    pub fn read(local: Local<'_>, body: &[u8]) -> Result<Self, HandshakeError> {
        let mut noise = local.noise()?.build_responder()?;
        let payload = read(&mut noise, body).map_err(|_| HandshakeError::NotForUs)?;
        let remote = noise.get_remote_static().ok_or(HandshakeError::NotForUs)?;
        let remote: [u8; KEY_BYTES] = remote.try_into().map_err(|_| HandshakeError::Malformed)?;
        let offer = Offer::decode(&payload)?;
        let kem_key =
            EncapsulationKey::new(&offer.kem_key.into()).map_err(|_| HandshakeError::Malformed)?;
        Ok(Self {
            noise,
            remote: PeerId::from_bytes(remote),
            suite: offer.choose(local.suites.suites()),
            kem_key,
            entropy: local.entropy,
        })
    }

    /// Who asks. It holds this key, but the message may be an old one replayed.
    pub const fn remote(&self) -> PeerId {
        self.remote
    }

    /// Answers; work and length are the same when the peer is not `welcome`.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn answer(mut self, welcome: bool) -> Result<Answered, HandshakeError> {
        let mut random = Zeroizing::new([0; SECRET_BYTES]);
        (self.entropy)(random.as_mut_slice())?;
        let (ciphertext, kem) = encapsulate(&self.kem_key, random.as_slice());
        let chosen = if welcome { self.suite } else { Err(Refusal::UnknownPeer) };
        let answer = match chosen {
            Ok(suite) => Answer::Accepted { suite, ciphertext: Box::new(ciphertext) },
            Err(reason) => Answer::Refused(reason),
        };
        let body = write(&mut self.noise, &answer.encode())?;
        // The suite of a refusal is nobody's: its keys serve nothing.
        let suite = chosen.unwrap_or(Suite::ChaCha20Poly1305);
        let [forth, back, session, lanes] = derive(&mut self.noise, &kem, suite);
        let lanes = Tickets::derive(suite, &lanes.0);
        let (remote, send, receive) = (self.remote, back, forth);
        let established = Established { remote, suite, send, receive, session, lanes };
        Ok(Answered { body, refusal: chosen.err(), established })
    }
}

/// The accepting end's answer.
#[derive(Debug)]
pub struct Answered {
    /// Body of the second message.
    pub body: Vec<u8>,
    /// Why there is no session, if it says so.
    pub refusal: Option<Refusal>,
    /// The session; when refused, keys that serve to say as much as an acceptance does.
    pub established: Established,
}

impl std::fmt::Debug for Responder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Responder").field("remote", &self.remote).finish_non_exhaustive()
    }
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

/// HKDF-SHA-256 over both Noise keys and the KEM's, salted with the handshake hash:
/// initiator to responder, responder to initiator, the session's own, and that of its
/// lanes. Either kind of key exchange alone keeps them secret.
fn derive(noise: &mut HandshakeState, kem: &Secret, suite: Suite) -> [Hidden; 4] {
    let (mut forth, mut back) = noise.dangerously_get_raw_split();
    let mut material = Zeroizing::new([0u8; 3 * SECRET_BYTES]);
    material[..32].copy_from_slice(forth.as_slice());
    material[32..64].copy_from_slice(back.as_slice());
    material[64..].copy_from_slice(kem.as_slice());
    forth.zeroize();
    back.zeroize();
    let derived = Hkdf::<Sha256>::new(Some(noise.get_handshake_hash()), material.as_slice());
    [LABEL_FORTH, LABEL_BACK, LABEL_SESSION, LABEL_LANES].map(|label| {
        let mut secret = Kept::default();
        derived
            .expand_multi_info(&[label, &[VERSION, suite as u8]], secret.as_mut_slice())
            .expect("one block of output");
        Hidden(secret)
    })
}

#[cfg(test)]
mod tests;
