//! Two ends with a virtual clock and a wire between them, for tests and fuzzing.
//!
//! Nothing here waits or draws randomness: the same seed and steps give the same
//! bytes.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::IoSlice;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use super::{Channel, Event};
use crate::secure::entropy::NoEntropy;
use crate::secure::fold::Folds;
use crate::secure::handshake::dialogue::{Agreed, Dialogue};
use crate::secure::handshake::{HandshakeError, Local};
use crate::secure::identity::{Identity, PeerId};
use crate::secure::record::{Opener, RecordError, Sealer};
use crate::secure::rekey::{Kept, RekeyLimits, SECRET_BYTES, Secret};
use crate::secure::session::Side;
use crate::secure::suite::{Suite, SuiteChoice};

thread_local! {
    static GENERATOR: RefCell<ChaCha8Rng> = RefCell::new(ChaCha8Rng::seed_from_u64(0));
    /// What [`seeded`] gave since then, draw by draw.
    #[cfg(test)]
    static DRAWN: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// What [`seeded`] gives on this thread from now on.
pub(crate) fn reseed(seed: u64) {
    GENERATOR.set(ChaCha8Rng::seed_from_u64(seed));
    #[cfg(test)]
    drop(drawn());
}

/// All that was drawn on this thread since it was last asked for.
#[cfg(test)]
pub(crate) fn drawn() -> Vec<Vec<u8>> {
    DRAWN.take()
}

/// An [`Entropy`](crate::secure::entropy::Entropy) that is none.
#[expect(clippy::unnecessary_wraps, reason = "its type is that of a generator")]
pub(crate) fn seeded(bytes: &mut [u8]) -> Result<(), NoEntropy> {
    GENERATOR.with_borrow_mut(|generator| generator.fill_bytes(bytes));
    #[cfg(test)]
    DRAWN.with_borrow_mut(|drawn| drawn.push(bytes.to_vec()));
    Ok(())
}

/// Only what is asked for.
pub(crate) const NO_LIMIT: RekeyLimits = RekeyLimits {
    bytes: u64::MAX,
    records: u64::MAX,
    interval_ms: u64::MAX,
    fold_interval_ms: u64::MAX,
};

pub(crate) const DIALLER: usize = 0;
pub(crate) const ACCEPTOR: usize = 1;

/// The identities of both ends, the same for a seed.
pub(crate) fn identities() -> [Identity; 2] {
    [(); 2].map(|()| {
        let mut secret = zeroize::Zeroizing::new([0; 32]);
        GENERATOR.with_borrow_mut(|generator| generator.fill_bytes(secret.as_mut_slice()));
        Identity::from_secret(secret)
    })
}

pub(crate) fn local(identity: &Identity, suites: SuiteChoice) -> Local<'_> {
    Local { identity, suites, entropy: seeded }
}

/// Both ends of a handshake, and all that was said: first message, answer with its
/// confirmation, last confirmation.
pub(crate) fn handshake(
    identities: &[Identity; 2],
    suites: [SuiteChoice; 2],
    chunk_bytes: usize,
) -> Result<([Agreed; 2], [Vec<u8>; 3]), HandshakeError> {
    let dialler = identities[DIALLER].id();
    let known = move |id: &PeerId| (*id == dialler).then(|| "dialler".to_owned());
    let remote = identities[ACCEPTOR].id();
    let mut dials =
        Dialogue::dial(local(&identities[DIALLER], suites[DIALLER]), remote, "acceptor")?;
    let mut accepts = Dialogue::accept(local(&identities[ACCEPTOR], suites[ACCEPTOR]), &known);
    let hello = dials.take_output();
    let accepted = feed(&mut accepts, &hello, chunk_bytes);
    let answer = accepts.take_output();
    let dialled = feed(&mut dials, &answer, chunk_bytes);
    accepted?;
    dialled?;
    let confirmation = dials.take_output();
    feed(&mut accepts, &confirmation, chunk_bytes)?;
    let agreed = [dials, accepts]
        .map(|dialogue| dialogue.finish(NO_LIMIT, 0).expect("nothing more is wanted"));
    Ok((agreed, [hello, answer, confirmation]))
}

/// Gives bytes to one end of a handshake, as many at once as are wanted at most.
pub(crate) fn feed(
    dialogue: &mut Dialogue<'_>,
    mut bytes: &[u8],
    chunk_bytes: usize,
) -> Result<(), HandshakeError> {
    while !bytes.is_empty() && dialogue.wanted() > 0 {
        let (now, later) = bytes.split_at(bytes.len().min(dialogue.wanted()).min(chunk_bytes));
        dialogue.handle_input(now)?;
        bytes = later;
    }
    Ok(())
}

/// One end, and what it has seen.
pub(crate) struct End {
    pub(crate) channel: Channel,
    /// Bytes on their way to it.
    pub(crate) wire: VecDeque<u8>,
    pub(crate) received: Vec<u8>,
    pub(crate) ended: bool,
    pub(crate) error: Option<RecordError>,
}

pub(crate) struct Pair {
    pub(crate) ends: [End; 2],
    pub(crate) now_ns: u64,
}

impl Pair {
    /// A session with these limits at both ends.
    pub(crate) fn new(suites: SuiteChoice, limits: RekeyLimits, seed: u64) -> Self {
        reseed(seed);
        let (agreed, _) = handshake(&identities(), [suites; 2], usize::MAX)
            .expect("both ends know and offer the same");
        Self::over(agreed.map(|Agreed { mut channel, .. }| {
            channel.limit(limits);
            channel
        }))
    }

    /// A session under fixed secrets, without the work of a handshake.
    pub(crate) fn bare(suite: Suite, limits: RekeyLimits) -> Self {
        let secret = |byte| Kept::new(Secret::new([byte; SECRET_BYTES]));
        let end = |side, send, receive| {
            let (sealer, opener) =
                (Sealer::new(suite, secret(send)), Opener::new(suite, secret(receive)));
            Channel::new(sealer, opener, Folds::new(side, secret(3), seeded), limits, 0)
        };
        Self::over([end(Side::Dialled, 1, 2), end(Side::Accepted, 2, 1)])
    }

    fn over(channels: [Channel; 2]) -> Self {
        let ends = channels.map(|channel| End {
            channel,
            wire: VecDeque::new(),
            received: Vec::new(),
            ended: false,
            error: None,
        });
        Self { ends, now_ns: 0 }
    }

    pub(crate) fn advance_ms(&mut self, ms: u64) {
        self.now_ns += ms * 1_000_000;
    }

    /// What an end wants to send now.
    pub(crate) fn prepare(&mut self, from: usize) {
        // Why it cannot go on, its reader finds out as well.
        let _ = self.ends[from].channel.prepare_output(self.now_ns);
    }

    /// Puts at most so many bytes of an end on the wire; how many.
    pub(crate) fn transmit(&mut self, from: usize, bytes_max: usize) -> usize {
        self.prepare(from);
        let [a, b] = &mut self.ends;
        let (from, to) = if from == DIALLER { (a, b) } else { (b, a) };
        let output = from.channel.output();
        let bytes = output.len().min(bytes_max);
        to.wire.extend(&output[..bytes]);
        from.channel.handle_sent(bytes);
        bytes
    }

    /// Gives an end at most so many bytes of its wire; how many it took.
    pub(crate) fn deliver(&mut self, to: usize, bytes_max: usize) -> usize {
        let now_ns = self.now_ns;
        let end = &mut self.ends[to];
        end.take_events(now_ns);
        let mut taken = 0;
        while taken < bytes_max && !end.wire.is_empty() && end.error.is_none() {
            let room = end.channel.input_room();
            let bytes = room.len().min(end.wire.len()).min(bytes_max - taken);
            for (place, byte) in room.iter_mut().zip(end.wire.drain(..bytes)) {
                *place = byte;
            }
            end.channel.handle_input(bytes);
            taken += bytes;
            end.take_events(now_ns);
        }
        taken
    }

    /// Seals what fits into one record; 0 when the send buffer is not empty or the
    /// end cannot write.
    pub(crate) fn write(&mut self, from: usize, bytes: &[u8]) -> usize {
        let channel = &mut self.ends[from].channel;
        if !channel.output().is_empty() {
            return 0;
        }
        channel.write(&[IoSlice::new(bytes)], self.now_ns).unwrap_or(0)
    }

    /// Moves everything that there is, until nothing moves.
    pub(crate) fn drive(&mut self) {
        for _ in 0..10_000 {
            let moved: usize = [DIALLER, ACCEPTOR]
                .map(|end| self.transmit(end, usize::MAX) + self.deliver(1 - end, usize::MAX))
                .iter()
                .sum();
            if moved == 0 {
                return;
            }
        }
        panic!("the ends talk for ever");
    }

    /// Writes all of it, as both ends go on.
    pub(crate) fn send(&mut self, from: usize, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            self.drive();
            let written = self.write(from, bytes);
            assert!(written > 0, "{:?}", self.ends[from].error);
            bytes = &bytes[written..];
        }
        self.drive();
    }

    pub(crate) fn close(&mut self, from: usize) {
        self.drive();
        self.ends[from].channel.close().expect("an end that works can close");
        self.drive();
    }

    pub(crate) fn folds(&self) -> [u32; 2] {
        [DIALLER, ACCEPTOR].map(|end| self.ends[end].channel.folds())
    }

    /// Epochs by direction: of the dialling end's records, of the accepting end's.
    /// Nothing may be on its way.
    pub(crate) fn epochs(&self) -> [u32; 2] {
        let [dialler, acceptor] = [DIALLER, ACCEPTOR].map(|end| self.ends[end].channel.epochs());
        assert_eq!(
            (dialler.0, dialler.1),
            (acceptor.1, acceptor.0),
            "the ends have lost each other"
        );
        [dialler.0, dialler.1]
    }
}

impl End {
    pub(crate) fn take_events(&mut self, now_ns: u64) {
        while self.error.is_none() && !self.ended {
            match self.channel.next_event(now_ns) {
                Ok(Event::Nothing) => return,
                Ok(Event::Control) => {}
                Ok(Event::Data) => {
                    self.received.extend_from_slice(self.channel.data());
                    self.channel.consume(self.channel.data().len());
                }
                Ok(Event::End) => self.ended = true,
                Err(error) => {
                    assert!(self.channel.data().is_empty(), "plaintext after {error}");
                    self.error = Some(error);
                }
            }
        }
        if self.ended && !self.wire.is_empty() {
            self.error.get_or_insert(RecordError::AfterClose);
        }
    }

    /// The wire ends here: how the session ends.
    pub(crate) fn hang_up(&mut self) -> Result<(), RecordError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        self.channel.handle_end_of_input()
    }
}
