//! Fresh keys within a session: a thief of all its secrets cannot read on.
//!
//! ```text
//! FoldOffer:  X25519 key | ML-KEM-768 key         ->
//!             <-  FoldAnswer: X25519 key | ML-KEM-768 ciphertext
//!             <-  KeyUpdate with `folds`: what follows is under a mixed secret
//! KeyUpdate with `folds`                          ->
//! ```
//!
//! All of it are records, so the peers authenticate it; nothing waits for it, and
//! data goes on under the old keys meanwhile. Either end may offer. When two offers
//! cross, that of the dialling end stands: it ignores the other one, and the
//! accepting end answers and forgets its own. Bytes in, bytes and secrets out; time
//! and randomness are arguments.

use hkdf::Hkdf;
use ml_kem::kem::{Decapsulate as _, KeyExport as _};
use ml_kem::ml_kem_768::{Ciphertext, DecapsulationKey, EncapsulationKey};
use ml_kem::{B32, Seed};
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize as _, Zeroizing};

use super::entropy::{Entropy, NoEntropy};
use super::exchange::KeyPair;
use super::identity::KEY_BYTES;
use super::rekey::{FOLD_INTERVAL_MS_MIN, Kept, SECRET_BYTES, Secret};
use super::session::Side;

/// An ML-KEM-768 key (FIPS 203, table 3).
pub(super) const KEM_KEY_BYTES: usize = 1184;

/// An ML-KEM-768 ciphertext (FIPS 203, table 3).
pub(super) const KEM_CIPHERTEXT_BYTES: usize = 1088;

/// An ML-KEM key is made from this much randomness (FIPS 203, algorithm 16).
pub(super) const KEM_SEED_BYTES: usize = 64;

/// Payload of a `FoldOffer` record.
pub const OFFER_BYTES: usize = KEY_BYTES + KEM_KEY_BYTES;

/// Payload of a `FoldAnswer` record.
pub const ANSWER_BYTES: usize = KEY_BYTES + KEM_CIPHERTEXT_BYTES;

const LABEL_TRANSCRIPT: &[u8] = b"dropbed 1 fold transcript";
const LABEL_FORTH: &[u8] = b"dropbed 1 fold dialling to accepting";
const LABEL_BACK: &[u8] = b"dropbed 1 fold accepting to dialling";

/// What the peer says about a fold out of turn. Ends the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    /// An X25519 key of small order, or an ML-KEM key that is none.
    #[error("the peer folds with a key that is no key: it is broken")]
    BadKey,
    /// Our generator failed.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    /// An offer while another one is not done.
    #[error("the peer offers fresh keys before the last ones are in use: it is broken")]
    OutOfTurn,
    /// Offers too close to each other.
    #[error(
        "the peer offers fresh keys within {} ms of the last ones: it only keeps us busy",
        FOLD_INTERVAL_MS_MIN / 2
    )]
    TooSoon,
    /// An answer, or a key update that folds, without an offer.
    #[error("the peer answers an offer of fresh keys that was not made: it is broken")]
    Unasked,
}

/// A shared secret of each direction.
pub(super) struct Folded {
    pub(super) send: Kept,
    pub(super) receive: Kept,
}

/// The keys of an offer that is not answered yet; boxed, so that taking it leaves none.
struct Offer {
    exchange: Box<KeyPair>,
    kem: Box<DecapsulationKey>,
    payload: Box<[u8; OFFER_BYTES]>,
    /// The accepting end's offer has crossed this one.
    crossed: bool,
}

/// The folds of one end, one at a time.
pub(super) struct Folds {
    side: Side,
    /// What the handshake gave to tell this session from others.
    session: Kept,
    entropy: Entropy,
    offer: Option<Offer>,
    /// To be sealed as soon as there is room.
    answer: Option<Box<[u8; ANSWER_BYTES]>>,
    /// To be mixed in with the next update that we send.
    to_send: Option<Kept>,
    /// The peer's update with its share of the fold is still to come.
    to_receive: bool,
    /// When our share of the latest fold was mixed in. The peer cannot know a fold to
    /// be complete before that, so its next offer is held to this time.
    mixed_ns: Option<u64>,
    /// When the latest fold was complete. Our next offer waits from this time on.
    done_ns: Option<u64>,
    done: u32,
}

impl Folds {
    pub(super) const fn new(side: Side, session: Kept, entropy: Entropy) -> Self {
        Self {
            side,
            session,
            entropy,
            offer: None,
            answer: None,
            to_send: None,
            to_receive: false,
            mixed_ns: None,
            done_ns: None,
            done: 0,
        }
    }

    /// How many are complete.
    pub(super) const fn done(&self) -> u32 {
        self.done
    }

    /// From when on another offer may be made; `None` while a fold is under way.
    pub(super) fn may_offer_from_ns(&self) -> Option<u64> {
        let under_way = self.offer.is_some() || self.to_send.is_some() || self.to_receive;
        let gap_ns = FOLD_INTERVAL_MS_MIN * 1_000_000;
        (!under_way).then(|| self.done_ns.map_or(0, |at| at.saturating_add(gap_ns)))
    }

    /// Makes an offer: the payload of its record.
    pub(super) fn offer(&mut self) -> Result<&[u8; OFFER_BYTES], NoEntropy> {
        let mut random = Zeroizing::new([0; KEY_BYTES + KEM_SEED_BYTES]);
        (self.entropy)(random.as_mut_slice())?;
        let (secret, seed) = random.split_first_chunk().expect("it begins with a key");
        let exchange = Box::new(KeyPair::from_secret(secret));
        let mut seed = Seed::try_from(seed).expect("the rest is the seed");
        let kem = Box::new(DecapsulationKey::from_seed(seed));
        seed.as_mut_slice().zeroize();
        let mut payload = Box::new([0; OFFER_BYTES]);
        payload[..KEY_BYTES].copy_from_slice(&exchange.public());
        payload[KEY_BYTES..].copy_from_slice(&kem.encapsulation_key().to_bytes());
        let offer = self.offer.insert(Offer { exchange, kem, payload, crossed: false });
        Ok(&offer.payload)
    }

    /// The peer's offer: the secrets of both directions, of which ours is kept here
    /// and the peer's is returned; `None` when our own offer stands.
    pub(super) fn handle_offer(
        &mut self,
        payload: &[u8; OFFER_BYTES],
        now_ns: u64,
    ) -> Result<Option<Kept>, FoldError> {
        if self.to_send.is_some() || self.to_receive {
            return Err(FoldError::OutOfTurn);
        }
        match (&mut self.offer, self.side) {
            (Some(Offer { crossed: true, .. }), Side::Dialled) => return Err(FoldError::OutOfTurn),
            (Some(offer), Side::Dialled) => {
                offer.crossed = true;
                return Ok(None);
            }
            (offer, _) => *offer = None,
        }
        let gap_ns = FOLD_INTERVAL_MS_MIN / 2 * 1_000_000;
        if self.mixed_ns.is_some_and(|at| now_ns.saturating_sub(at) < gap_ns) {
            return Err(FoldError::TooSoon);
        }
        let (answer, shared) = answer(payload, self.entropy)?;
        let folded = self.secrets(&shared, payload, &answer);
        self.answer = Some(answer);
        self.to_send = Some(folded.send);
        self.to_receive = true;
        Ok(Some(folded.receive))
    }

    /// The peer's answer: the secret of its direction; ours is kept here.
    pub(super) fn handle_answer(
        &mut self,
        payload: &[u8; ANSWER_BYTES],
    ) -> Result<Kept, FoldError> {
        let offer = self.offer.take().ok_or(FoldError::Unasked)?;
        let (public, ciphertext) = payload.split_first_chunk().expect("it begins with a key");
        let ciphertext: [u8; KEM_CIPHERTEXT_BYTES] =
            ciphertext.try_into().expect("the rest is the ciphertext");
        let agreed = offer.exchange.agree(public).ok_or(FoldError::BadKey)?;
        let mut kem = offer.kem.decapsulate(&Ciphertext::from(ciphertext));
        let shared = join(&agreed, kem.as_slice());
        kem.as_mut_slice().zeroize();
        let folded = self.secrets(&shared, &offer.payload, payload);
        self.to_send = Some(folded.send);
        self.to_receive = true;
        Ok(folded.receive)
    }

    /// The answer that is owed.
    pub(super) const fn take_answer(&mut self) -> Option<Box<[u8; ANSWER_BYTES]>> {
        self.answer.take()
    }

    /// Whether something is to be sent that no data need wait for.
    pub(super) const fn owes(&self) -> bool {
        self.to_send.is_some()
    }

    /// What the update that is sealed now mixes in.
    pub(super) fn mix(&mut self, now_ns: u64) -> Option<Kept> {
        let secret = self.to_send.take()?;
        self.mixed_ns = Some(now_ns);
        self.count(now_ns);
        Some(secret)
    }

    /// The peer's update that folds has come.
    pub(super) const fn handle_mixed(&mut self, now_ns: u64) {
        self.to_receive = false;
        self.count(now_ns);
    }

    /// The peer has closed: it answers nothing.
    pub(super) fn forget_offer(&mut self) {
        self.offer = None;
    }

    const fn count(&mut self, now_ns: u64) {
        if self.to_send.is_none() && !self.to_receive {
            self.done_ns = Some(now_ns);
            self.done = self.done.saturating_add(1);
        }
    }

    /// HKDF-SHA-256 over both shared secrets, salted with the session and with all
    /// that was said.
    fn secrets(
        &self,
        shared: &[u8; 2 * SECRET_BYTES],
        offer: &[u8; OFFER_BYTES],
        answer: &[u8; ANSWER_BYTES],
    ) -> Folded {
        let transcript = Sha256::new()
            .chain_update(LABEL_TRANSCRIPT)
            .chain_update(self.session.as_slice())
            .chain_update(offer)
            .chain_update(answer)
            .finalize();
        let derived = Hkdf::<Sha256>::new(Some(&transcript), shared);
        let expand = |label: &[u8]| {
            let mut secret = Kept::default();
            derived.expand(label, secret.as_mut_slice()).expect("one block of output");
            secret
        };
        match self.side {
            Side::Dialled => Folded { send: expand(LABEL_FORTH), receive: expand(LABEL_BACK) },
            Side::Accepted => Folded { send: expand(LABEL_BACK), receive: expand(LABEL_FORTH) },
        }
    }
}

type Shared = Zeroizing<[u8; 2 * SECRET_BYTES]>;

fn answer(
    offer: &[u8; OFFER_BYTES],
    entropy: Entropy,
) -> Result<(Box<[u8; ANSWER_BYTES]>, Shared), FoldError> {
    let (public, kem_key) = offer.split_first_chunk().expect("it begins with a key");
    let kem_key: [u8; KEM_KEY_BYTES] = kem_key.try_into().expect("the rest is the KEM key");
    let kem_key = EncapsulationKey::new(&kem_key.into()).map_err(|_| FoldError::BadKey)?;
    let mut random = Zeroizing::new([0; 2 * KEY_BYTES]);
    entropy(random.as_mut_slice())?;
    let (secret, message) = random.split_first_chunk().expect("it begins with a key");
    let exchange = KeyPair::from_secret(secret);
    let agreed = exchange.agree(public).ok_or(FoldError::BadKey)?;
    let (ciphertext, kem) = encapsulate(&kem_key, message);
    let mut payload = Box::new([0; ANSWER_BYTES]);
    payload[..KEY_BYTES].copy_from_slice(&exchange.public());
    payload[KEY_BYTES..].copy_from_slice(&ciphertext);
    Ok((payload, join(&agreed, kem.as_slice())))
}

/// ML-KEM.Encaps_internal (FIPS 203, algorithm 17): `message` are 32 random bytes.
pub(super) fn encapsulate(
    key: &EncapsulationKey,
    message: &[u8],
) -> ([u8; KEM_CIPHERTEXT_BYTES], Secret) {
    let mut message = B32::try_from(message).expect("both callers draw 32 bytes");
    let (ciphertext, mut shared) = key.encapsulate_deterministic(&message);
    message.as_mut_slice().zeroize();
    let secret = Secret::new(shared.into());
    shared.as_mut_slice().zeroize();
    (ciphertext.into(), secret)
}

fn join(agreed: &[u8; KEY_BYTES], kem: &[u8]) -> Shared {
    let mut shared = Zeroizing::new([0; 2 * SECRET_BYTES]);
    shared[..KEY_BYTES].copy_from_slice(agreed);
    shared[KEY_BYTES..].copy_from_slice(kem);
    shared
}

#[cfg(test)]
mod tests;
