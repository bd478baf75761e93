//! Further connections of a session.

use std::sync::{Arc, Mutex};

use super::*;
use crate::secure::identity::PeerId;

/// A session's tickets at either end, as its handles keep them.
struct Session {
    identities: [Identity; 2],
    dialler: Tickets,
    accepting: Arc<Mutex<Tickets>>,
}

impl Session {
    fn new(suite: SuiteChoice) -> Self {
        reseed(7);
        let identities = identities();
        let (agreed, _) = handshake(&identities, [suite; 2], usize::MAX).unwrap();
        let [dialler, acceptor] = agreed.map(|agreed| agreed.tickets);
        Self { identities, dialler, accepting: Arc::new(Mutex::new(acceptor)) }
    }

    fn joined(&self, ticket: Ticket) -> Joined {
        joined(ticket, self.identities[ACCEPTOR].id())
    }

    fn join(&mut self) -> Dialogue<'_> {
        let ticket = self.dialler.next().unwrap();
        let joined = self.joined(ticket);
        Dialogue::join(local(&self.identities[DIALLER], CHACHA), joined).unwrap()
    }

    /// The accepting end, as another value.
    fn acceptor(&self) -> Identity {
        Identity::from_secret(zeroize::Zeroizing::new(*self.identities[ACCEPTOR].secret()))
    }

    /// Finds its tickets.
    fn lanes(&self) -> Box<Lanes> {
        let (tickets, remote) = (Arc::clone(&self.accepting), self.identities[DIALLER].id());
        Box::new(move |name| Some(joined(tickets.lock().unwrap().find(name)?, remote)))
    }
}

fn joined(ticket: Ticket, remote: PeerId) -> Joined {
    Joined { ticket, remote, peer_name: "other".to_owned() }
}

fn nobody(_: &PeerId) -> Option<String> {
    None
}

#[test]
fn both_ends_come_to_the_same_lane() {
    for (suite, chunk_bytes) in [(CHACHA, 1), (AES, usize::MAX)] {
        let mut session = Session::new(suite);
        let (lanes, acceptor) = (session.lanes(), session.acceptor());
        for number in 1..=3 {
            let mut joins = session.join();
            let mut accepts =
                Dialogue::accept(local(&acceptor, CHACHA), &nobody).with_lanes(&*lanes);
            feed(&mut accepts, &joins.take_output(), chunk_bytes).unwrap();
            feed(&mut joins, &accepts.take_output(), chunk_bytes).unwrap();
            let [here, there] =
                [joins, accepts].map(|dialogue| dialogue.finish(NO_LIMIT, 0).unwrap());
            assert_eq!((here.lane, there.lane), (number, number));
            assert_eq!(here.channel.suite(), suite.suites()[0], "the session's");
            assert_eq!(there.channel.suite(), suite.suites()[0]);
        }
    }
}

#[test]
fn a_ticket_is_good_for_one_connection() {
    let mut session = Session::new(CHACHA);
    let lanes = session.lanes();
    let acceptor = session.acceptor();
    let join = session.join().take_output();
    let mut accepts = Dialogue::accept(local(&acceptor, CHACHA), &nobody).with_lanes(&*lanes);
    feed(&mut accepts, &join, usize::MAX).unwrap();
    let mut replayed = Dialogue::accept(local(&acceptor, CHACHA), &nobody).with_lanes(&*lanes);
    let error = feed(&mut replayed, &join, usize::MAX).unwrap_err();
    assert!(matches!(error, HandshakeError::NoTicket), "{error}");
    assert!(replayed.take_output().is_empty(), "a stranger hears nothing");
}

/// Every bit counts, and who changes one gets no answer.
#[test]
fn a_join_that_was_changed_is_nothing() {
    let bytes = Session::new(CHACHA).join().take_output().len();
    for at in 0..bytes {
        let mut session = Session::new(CHACHA);
        let lanes = session.lanes();
        let acceptor = session.acceptor();
        let mut join = session.join().take_output();
        join[at] ^= 1;
        let mut accepts = Dialogue::accept(local(&acceptor, CHACHA), &nobody).with_lanes(&*lanes);
        let outcome = feed(&mut accepts, &join, usize::MAX);
        // A shorter length, or another message, is an error too; a longer one is waited for.
        assert!(outcome.is_err() || accepts.wanted() > 0, "byte {at}");
        assert!(accepts.take_output().is_empty(), "byte {at}");
    }
}

#[test]
fn who_has_no_session_has_no_lane() {
    let mut session = Session::new(CHACHA);
    let join = session.join().take_output();
    let acceptor = Identity::generate().unwrap();
    let without = Dialogue::accept(local(&acceptor, CHACHA), &nobody);
    let nothing: Box<Lanes> = Box::new(|_| None);
    let with = Dialogue::accept(local(&acceptor, CHACHA), &nobody).with_lanes(&*nothing);
    for mut accepts in [without, with] {
        let error = feed(&mut accepts, &join, usize::MAX).unwrap_err();
        assert!(matches!(error, HandshakeError::NoTicket), "{error}");
    }
}

/// An answer that comes back as it was sent is no answer.
#[test]
fn a_reflected_join_is_refused() {
    let mut session = Session::new(CHACHA);
    let mut joins = session.join();
    let sent = joins.take_output();
    let record = &sent[sent.len() - CONFIRMATION_BYTES..];
    let error = feed(&mut joins, record, usize::MAX).unwrap_err();
    assert!(matches!(error, HandshakeError::NotConfirmed(_)), "{error}");
}

/// Who takes what a session holds has the keys of its lanes to come, up to their first
/// fold, and none of those that are made already.
#[test]
fn a_thief_of_tickets_reads_a_later_lane_up_to_its_fold() {
    for (suite, choice) in [(Suite::ChaCha20Poly1305, CHACHA), (Suite::Aes256Gcm, AES)] {
        let mut session = Session::new(choice);
        let (lanes, acceptor) = (session.lanes(), session.acceptor());
        let mut made = session.join();
        let mut accepts = Dialogue::accept(local(&acceptor, choice), &nobody).with_lanes(&*lanes);
        let join = made.take_output();
        feed(&mut accepts, &join, usize::MAX).unwrap();
        let of_the_first = join[join.len() - CONFIRMATION_BYTES..].to_vec();
        drop(made);

        let stolen = session.accepting.lock().unwrap().stolen();
        let thief = |ticket: &Ticket| Opener::new(suite, ticket.forth.clone());
        assert!(stolen.iter().all(|ticket| !thief(ticket).has_key_of(&of_the_first)));

        let mut joins = session.join();
        let mut accepts = Dialogue::accept(local(&acceptor, choice), &nobody).with_lanes(&*lanes);
        let join = joins.take_output();
        feed(&mut accepts, &join, usize::MAX).unwrap();
        feed(&mut joins, &accepts.take_output(), usize::MAX).unwrap();
        let agreed = [joins, accepts].map(|dialogue| dialogue.finish(NO_LIMIT, 0).unwrap());
        let mut channels = agreed.map(|agreed| agreed.channel);
        let of_the_second = &join[join.len() - CONFIRMATION_BYTES..];
        let mut thief = thief(&stolen[0]);
        assert!(thief.has_key_of(of_the_second), "until the fold it has all");
        channels[DIALLER].request_fold();
        for from in [DIALLER, ACCEPTOR, DIALLER] {
            let said = carry(&mut channels, from);
            let offer = from == DIALLER && channels[DIALLER].folds() == 0;
            assert!(!offer || thief.has_key_of(&said));
        }
        assert_eq!(channels.each_ref().map(Channel::folds), [1, 1]);
        channels[DIALLER].write(&[std::io::IoSlice::new(b"healed")], 0).unwrap();
        let healed = carry(&mut channels, DIALLER);
        assert_eq!(channels[DIALLER].epochs().0, 1);
        thief = thief.advanced_without_fold();
        assert!(!thief.has_key_of(&healed));
    }
}

/// What an end says now, which the other one takes.
fn carry(channels: &mut [Channel; 2], from: usize) -> Vec<u8> {
    channels[from].prepare_output(0).unwrap();
    let said = channels[from].output().to_vec();
    channels[from].handle_sent(said.len());
    let to = &mut channels[1 - from];
    to.input_room()[..said.len()].copy_from_slice(&said);
    to.handle_input(said.len());
    while to.next_event(0).unwrap() != crate::secure::channel::Event::Nothing {
        to.consume(to.data().len());
    }
    said
}
