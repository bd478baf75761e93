use super::*;

impl Tickets {
    /// What somebody has who takes them all.
    pub(in crate::secure) fn stolen(&self) -> Vec<Ticket> {
        let copied = |ticket: &Ticket| Ticket {
            forth: ticket.forth.clone(),
            back: ticket.back.clone(),
            session: ticket.session.clone(),
            ..*ticket
        };
        self.0.iter().map(copied).collect()
    }
}

fn tickets(byte: u8, suite: Suite) -> Tickets {
    Tickets::derive(suite, &Secret::new([byte; SECRET_BYTES]))
}

#[test]
fn every_ticket_is_of_its_own() {
    let mut seen = std::collections::HashSet::new();
    for suite in Suite::ALL {
        for ticket in tickets(1, suite).0.into_iter().chain(tickets(2, suite).0) {
            assert!(seen.insert(ticket.name.to_vec()), "a name");
            for secret in [ticket.forth, ticket.back, ticket.session] {
                assert!(seen.insert(secret.to_vec()), "a secret");
            }
        }
    }
}

#[test]
fn a_ticket_is_found_once() {
    let (mut dialling, mut accepting) =
        (tickets(1, Suite::Aes256Gcm), tickets(1, Suite::Aes256Gcm));
    let mut numbers = Vec::new();
    while let Some(ticket) = dialling.next() {
        let found = accepting.find(&ticket.name).expect("the other end has it");
        assert_eq!((&*found.forth, &*found.back), (&*ticket.forth, &*ticket.back));
        assert!(accepting.find(&ticket.name).is_none(), "it is used");
        numbers.push(ticket.number);
    }
    assert_eq!(numbers, (1..=TICKETS).collect::<Vec<_>>());
}
