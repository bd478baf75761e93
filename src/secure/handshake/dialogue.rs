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
use super::{Established, HandshakeError, Initiator, Local, PeerId, Responder};
use crate::secure::channel::Channel;
use crate::secure::fold::Folds;
use crate::secure::frame::{CONTENT_TYPE_BYTES, HEADER_BYTES, TAG_BYTES};
use crate::secure::lane::{LaneName, NAME_BYTES, Ticket, Tickets};
use crate::secure::record::{Opened, Opener, Sealed, Sealer};
use crate::secure::rekey::{Kept, RekeyLimits};
use crate::secure::session::Side;

/// Whose ids are pinned: the name of a peer, or `None` for a stranger. It should
/// look through all it has, so that its time tells nothing.
pub type Known = dyn Fn(&PeerId) -> Option<String> + Send + Sync;

/// Finds and takes the ticket with a name among all sessions that are up.
pub type Lanes = dyn Fn(&LaneName) -> Option<Joined> + Send + Sync;

/// A ticket, and whose session it is of.
#[derive(Debug)]
pub struct Joined {
    pub(in crate::secure) ticket: Ticket,
    pub(in crate::secure) remote: PeerId,
    pub(in crate::secure) peer_name: String,
}

/// A ticket's name and an empty data record under its key.
const JOIN_BYTES: usize = NAME_BYTES + CONFIRMATION_BYTES;

/// An empty data record.
const CONFIRMATION_BYTES: usize = HEADER_BYTES + CONTENT_TYPE_BYTES + TAG_BYTES;

/// One end of a handshake. After an error it is over.
pub struct Dialogue<'a> {
    local: Local<'a>,
    known: Option<&'a Known>,
    lanes: Option<&'a Lanes>,
    step: Step,
    input: Vec<u8>,
    /// Bytes that the step needs.
    target: usize,
    output: Vec<u8>,
}

enum Step {
    /// The header of the other end's message, then its body.
    Header(Expects),
    Body(Type, Expects),
    Confirmation(Box<Keys>),
    Over(Option<Box<Keys>>),
}

/// Whose message comes.
enum Expects {
    Answer(Box<Initiator>, String),
    /// An offer, or a ticket.
    Offer,
}

impl Expects {
    const fn kinds(&self) -> &'static [Type] {
        match self {
            Self::Answer(..) => &[Type::Respond],
            Self::Offer => &[Type::Initiate, Type::Join],
        }
    }
}

/// A session whose keys are there.
struct Keys {
    peer_name: String,
    side: Side,
    remote: PeerId,
    session: Kept,
    sealer: Sealer,
    opener: Opener,
    lane: u8,
    tickets: Tickets,
    /// Our own first record is sealed.
    has_confirmed: bool,
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
    /// Which connection of its session; 0 is the one with the handshake.
    pub lane: u8,
    /// For further ones.
    pub tickets: Tickets,
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

    /// The same, also for further connections of the sessions in `lanes`.
    #[must_use]
    pub fn with_lanes(self, lanes: &'a Lanes) -> Self {
        Self { lanes: Some(lanes), ..self }
    }

    /// The dialling end of a further connection.
    ///
    /// # Errors
    /// When its key cannot seal: a bug.
    pub(in crate::secure) fn join(
        local: Local<'a>,
        joined: Joined,
    ) -> Result<Self, HandshakeError> {
        let mut body = joined.ticket.name.to_vec();
        let mut keys = Keys::of_lane(joined, Side::Dialled);
        keys.confirm(&mut body)?;
        let mut dialogue = Self::new(local, None, Expects::Offer);
        dialogue.step = Step::Confirmation(Box::new(keys));
        dialogue.target = CONFIRMATION_BYTES;
        dialogue.output = message::encode(Type::Join, &body);
        Ok(dialogue)
    }

    fn new(local: Local<'a>, known: Option<&'a Known>, expects: Expects) -> Self {
        let (step, target) = (Step::Header(expects), message::HEADER_BYTES);
        let (input, output) = (Vec::new(), Vec::new());
        Self { local, known, lanes: None, step, input, target, output }
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
        let Keys { peer_name, side, remote, session, sealer, opener, lane, tickets, .. } = *keys;
        let folds = Folds::new(side, session, self.local.entropy);
        let channel = Channel::new(sealer, opener, folds, limits, now_ns);
        Some(Agreed { remote, peer_name, channel, lane, tickets })
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
                let (kind, length) = message::decode_header(header, expects.kinds())?;
                if kind == Type::Join && length != JOIN_BYTES {
                    return Err(HandshakeError::Malformed);
                }
                Ok((Step::Body(kind, expects), length))
            }
            Step::Body(_, Expects::Answer(initiator, peer_name)) => {
                let keys = Keys::new(initiator.finish(&input)?, Side::Dialled, peer_name);
                Ok((Step::Confirmation(Box::new(keys)), CONFIRMATION_BYTES))
            }
            Step::Body(Type::Join, Expects::Offer) => {
                let keys = self.admit_lane(&mut input)?;
                Ok((Step::Over(Some(Box::new(keys))), 0))
            }
            Step::Body(_, Expects::Offer) => {
                let keys = self.admit(&input)?;
                Ok((Step::Confirmation(Box::new(keys)), CONFIRMATION_BYTES))
            }
            Step::Confirmation(mut keys) => {
                keys.take_confirmation(&mut input)?;
                if !keys.has_confirmed {
                    keys.confirm(&mut self.output)?;
                }
                Ok((Step::Over(Some(keys)), 0))
            }
            Step::Over(_) => Err(HandshakeError::Malformed),
        }
    }

    /// Answers a join. Its ticket is used up whatever comes of it.
    fn admit_lane(&mut self, body: &mut [u8]) -> Result<Keys, HandshakeError> {
        let (name, record) = body.split_first_chunk_mut().ok_or(HandshakeError::Malformed)?;
        let joined = self.lanes.and_then(|lanes| lanes(name));
        let mut keys = Keys::of_lane(joined.ok_or(HandshakeError::NoTicket)?, Side::Accepted);
        keys.take_confirmation(record)?;
        keys.confirm(&mut self.output)?;
        Ok(keys)
    }

    /// Answers the first message.
    fn admit(&mut self, body: &[u8]) -> Result<Keys, HandshakeError> {
        let responder = Responder::read(self.local, body)?;
        let remote = responder.remote();
        let peer_name = self.known.and_then(|known| known(&remote));
        let answered = responder.answer(peer_name.is_some())?;
        self.output = message::encode(Type::Respond, &answered.body);
        let peer_name = peer_name.unwrap_or_default();
        let mut keys = Keys::new(answered.established, Side::Accepted, peer_name);
        // Also behind a refusal: who only sees the bytes cannot tell one from the other.
        keys.confirm(&mut self.output)?;
        match answered.refusal {
            None => Ok(keys),
            Some(reason) => Err(HandshakeError::Refuses { remote, reason }),
        }
    }
}

impl Keys {
    fn new(established: Established, side: Side, peer_name: String) -> Self {
        let Established { remote, suite, send, receive, session, lanes: tickets } = established;
        let (sealer, opener) = (Sealer::new(suite, send.0), Opener::new(suite, receive.0));
        let (session, lane, has_confirmed) = (session.0, 0, false);
        Self { peer_name, side, remote, session, sealer, opener, lane, tickets, has_confirmed }
    }

    /// The ticket's secrets move into the connection.
    fn of_lane(joined: Joined, side: Side) -> Self {
        let Joined { ticket, remote, peer_name } = joined;
        let Ticket { number: lane, suite, forth, back, session, .. } = ticket;
        let (send, receive) = match side {
            Side::Dialled => (forth, back),
            Side::Accepted => (back, forth),
        };
        let (sealer, opener) = (Sealer::new(suite, send), Opener::new(suite, receive));
        let (tickets, has_confirmed) = (Tickets::default(), false);
        Self { peer_name, side, remote, session, sealer, opener, lane, tickets, has_confirmed }
    }

    fn confirm(&mut self, output: &mut Vec<u8>) -> Result<(), HandshakeError> {
        let mut record = Sealed::default();
        self.sealer.seal_data(&[], 0, &mut record).map_err(HandshakeError::NotConfirmed)?;
        output.extend_from_slice(&record);
        self.has_confirmed = true;
        Ok(())
    }

    fn take_confirmation(&mut self, record: &mut [u8]) -> Result<(), HandshakeError> {
        match self.opener.open(record) {
            Ok(Opened::Data(range)) if range.is_empty() => Ok(()),
            Ok(_) => Err(HandshakeError::Malformed),
            Err(error) => Err(HandshakeError::NotConfirmed(error)),
        }
    }
}

impl std::fmt::Debug for Dialogue<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dialogue").field("wanted", &self.wanted()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
