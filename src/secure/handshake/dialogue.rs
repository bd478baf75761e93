//! A whole handshake, up to confirmed keys: bytes in, bytes out, one end.
//!
//! After the two messages each end sends one empty data record and waits for the
//! other's. So the dialling end knows that it is accepted before it says that it is
//! connected, and the accepting end knows that the first message was no replay
//! before it serves anything. It stays one round trip for the dialling end.
//!
//! An end that asks [`wanted`](Dialogue::wanted) before each read never takes a byte
//! of what follows the handshake.

use super::message::{self, Type};
use super::{Established, HandshakeError, Initiator, Local, PeerId, Refusal, Responder};
use crate::secure::channel::Channel;
use crate::secure::fold::Folds;
use crate::secure::frame::{CONTENT_TYPE_BYTES, HEADER_BYTES, TAG_BYTES};
use crate::secure::record::{Opened, Opener, Sealer};
use crate::secure::rekey::{RekeyLimits, Secret};
use crate::secure::session::Side;

/// Whose ids are pinned: the name of a peer, or `None` for a stranger. It should
/// look through all it has, so that its time tells nothing.
pub type Known = dyn Fn(&PeerId) -> Option<String> + Send + Sync;

/// An empty data record.
const CONFIRMATION_BYTES: usize = HEADER_BYTES + CONTENT_TYPE_BYTES + TAG_BYTES;

/// One end of a handshake. After an error it is over.
pub struct Dialogue<'a> {
    local: Local<'a>,
    known: Option<&'a Known>,
    step: Step,
    input: Vec<u8>,
    /// Bytes that the step needs.
    target: usize,
    output: Vec<u8>,
}

enum Step {
    /// The header of the other end's message, then its body.
    Header(Expects),
    Body(Expects),
    Confirmation(Box<Keys>),
    Over(Option<Box<Keys>>),
}

/// Whose message comes.
enum Expects {
    Answer(Box<Initiator>, String),
    Offer,
}

impl Expects {
    const fn kind(&self) -> Type {
        match self {
            Self::Answer(..) => Type::Respond,
            Self::Offer => Type::Initiate,
        }
    }
}

/// A session whose keys are there.
struct Keys {
    peer_name: String,
    side: Side,
    remote: PeerId,
    session: Secret,
    sealer: Sealer,
    opener: Opener,
}

/// What a finished handshake leaves.
#[derive(Debug)]
pub struct Agreed {
    /// The other end.
    pub remote: PeerId,
    /// What we call it.
    pub peer_name: String,
    /// The records that follow.
    pub channel: Channel,
}

impl<'a> Dialogue<'a> {
    /// The dialling end; its first message is the first [output](Self::take_output).
    ///
    /// # Errors
    /// When the system has no randomness, or `remote` is no key.
    pub fn dial(local: Local<'a>, remote: PeerId, peer_name: &str) -> Result<Self, HandshakeError> {
        let (initiator, body) = Initiator::start(local, remote)?;
        let expects = Expects::Answer(Box::new(initiator), peer_name.to_owned());
        let mut dialogue = Self::new(local, None, expects);
        dialogue.output = message::encode(Type::Initiate, &body);
        Ok(dialogue)
    }

    /// The accepting end, for whoever of `known` dials.
    pub fn accept(local: Local<'a>, known: &'a Known) -> Self {
        Self::new(local, Some(known), Expects::Offer)
    }

    fn new(local: Local<'a>, known: Option<&'a Known>, expects: Expects) -> Self {
        let step = Step::Header(expects);
        let target = message::HEADER_BYTES;
        Self { local, known, step, input: Vec::new(), target, output: Vec::new() }
    }

    /// How many bytes it still takes; 0 when it is over.
    pub const fn wanted(&self) -> usize {
        self.target - self.input.len()
    }

    /// What is to be sent. Send it also after an error: it may be a refusal.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// The session, when nothing more is wanted and all output is sent.
    pub fn finish(self, limits: RekeyLimits, now_ns: u64) -> Option<Agreed> {
        let Step::Over(Some(keys)) = self.step else { return None };
        let Keys { peer_name, side, remote, session, sealer, opener } = *keys;
        let folds = Folds::new(side, session, self.local.entropy);
        let channel = Channel::new(sealer, opener, folds, limits, now_ns);
        Some(Agreed { remote, peer_name, channel })
    }

    /// Bytes of the other end, at most as many as are [`wanted`](Self::wanted).
    ///
    /// # Errors
    /// When the handshake cannot succeed.
    pub fn handle_input(&mut self, bytes: &[u8]) -> Result<(), HandshakeError> {
        debug_assert!(bytes.len() <= self.wanted());
        self.input.extend_from_slice(bytes);
        while self.target > 0 && self.input.len() == self.target {
            let input = std::mem::take(&mut self.input);
            self.target = 0;
            let step = std::mem::replace(&mut self.step, Step::Over(None));
            (self.step, self.target) = self.take(step, input)?;
        }
        Ok(())
    }

    fn take(&mut self, step: Step, mut input: Vec<u8>) -> Result<(Step, usize), HandshakeError> {
        match step {
            Step::Header(expects) => {
                let header = input.as_slice().try_into().expect("as many as were wanted");
                let length = message::decode_header(header, expects.kind())?;
                Ok((Step::Body(expects), length))
            }
            Step::Body(Expects::Answer(initiator, peer_name)) => {
                let keys = Keys::new(initiator.finish(&input)?, Side::Dialled, peer_name);
                Ok((Step::Confirmation(Box::new(keys)), CONFIRMATION_BYTES))
            }
            Step::Body(Expects::Offer) => {
                let keys = self.admit(&input)?;
                Ok((Step::Confirmation(Box::new(keys)), CONFIRMATION_BYTES))
            }
            Step::Confirmation(mut keys) => {
                match keys.opener.open(&mut input) {
                    Ok(Opened::Data(range)) if range.is_empty() => {}
                    Ok(_) => return Err(HandshakeError::Malformed),
                    Err(error) => return Err(HandshakeError::NotConfirmed(error)),
                }
                if keys.side == Side::Dialled {
                    keys.confirm(&mut self.output)?;
                }
                Ok((Step::Over(Some(keys)), 0))
            }
            Step::Over(_) => Err(HandshakeError::Malformed),
        }
    }

    /// Answers the first message.
    fn admit(&mut self, body: &[u8]) -> Result<Keys, HandshakeError> {
        let responder = Responder::read(self.local, body)?;
        let remote = responder.remote();
        let peer_name = self.known.and_then(|known| known(&remote));
        let (verdict, body) = responder.answer(peer_name.is_some())?;
        self.output = message::encode(Type::Respond, &body);
        match (verdict, peer_name) {
            (Ok(established), Some(peer_name)) => {
                let mut keys = Keys::new(established, Side::Accepted, peer_name);
                keys.confirm(&mut self.output)?;
                Ok(keys)
            }
            (verdict, _) => {
                let reason = verdict.err().unwrap_or(Refusal::UnknownPeer);
                Err(HandshakeError::Refuses { remote, reason })
            }
        }
    }
}

impl Keys {
    fn new(established: Established, side: Side, peer_name: String) -> Self {
        let Established { remote, suite, send, receive, session } = established;
        let (sealer, opener) = (Sealer::new(suite, send.0), Opener::new(suite, receive.0));
        Self { peer_name, side, remote, session: session.0, sealer, opener }
    }

    fn confirm(&mut self, output: &mut Vec<u8>) -> Result<(), HandshakeError> {
        self.sealer.seal_data(&[], 0, output).map_err(HandshakeError::NotConfirmed)?;
        Ok(())
    }
}

impl std::fmt::Debug for Dialogue<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dialogue").field("wanted", &self.wanted()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
