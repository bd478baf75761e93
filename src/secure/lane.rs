//! Lanes: further connections of a session, out of its one handshake.
//!
//! ```text
//! tickets n = 1 to 16: HKDF-Expand(secret "dropbed 1 lanes", "dropbed 1 lane" | version | suite | n)
//!     -> name | initiator to responder | responder to initiator | session
//! dialling end: "drop" | 1 | 3 | u16 length | name | empty data record  ->
//!                                       <-  empty data record
//! ```
//!
//! A ticket is for one connection: both ends take it out when they use it, and have its
//! secrets only in that connection from then on. So no key is ever used twice, a join
//! that is repeated finds nothing, and who steals what a session holds learns nothing
//! of its lanes so far. What it could read of later ones ends with their first fold,
//! which a dialling end asks for at once.

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::handshake::message::VERSION;
use super::rekey::{Kept, SECRET_BYTES, Secret};
use super::suite::Suite;

/// Connections that one handshake is good for, besides its own. Enough for
/// [`LANES_MAX`] and as many replacements; a session that has used them all goes on
/// with what is left.
pub const TICKETS: u8 = 16;

/// Connections of one session at a time, the first included. More did not carry more
/// (ARCHITECTURE.md, The ladder).
pub const LANES_MAX: u8 = 8;

/// What a dialling end calls a ticket.
pub const NAME_BYTES: usize = 16;

/// [`NAME_BYTES`] that nobody else can know before they are said.
pub type LaneName = [u8; NAME_BYTES];

const LABEL: &[u8] = b"dropbed 1 lane";

/// The secrets of one connection.
pub(super) struct Ticket {
    pub(super) name: LaneName,
    /// From 1; the session itself is lane 0.
    pub(super) number: u8,
    pub(super) suite: Suite,
    pub(super) forth: Kept,
    pub(super) back: Kept,
    pub(super) session: Kept,
}

impl Ticket {
    fn derive(lanes: &Hkdf<Sha256>, suite: Suite, number: u8) -> Self {
        let mut material = Zeroizing::new([0; NAME_BYTES + 3 * SECRET_BYTES]);
        lanes
            .expand_multi_info(&[LABEL, &[VERSION, suite as u8, number]], material.as_mut_slice())
            .expect("four blocks of output");
        let (name, secrets) = material.split_at(NAME_BYTES);
        let secret = |index: usize| {
            let mut secret = Kept::default();
            secret.copy_from_slice(&secrets[index * SECRET_BYTES..][..SECRET_BYTES]);
            secret
        };
        let name = name.try_into().expect("split at this length");
        Self { name, number, suite, forth: secret(0), back: secret(1), session: secret(2) }
    }
}

/// The tickets of a session that are not used yet.
#[derive(Default)]
pub struct Tickets(Vec<Ticket>);

impl Tickets {
    /// All of a session, from the secret for them.
    pub(super) fn derive(suite: Suite, lanes: &Secret) -> Self {
        let lanes = Hkdf::from_prk(lanes.as_slice()).expect("a secret is as long as a hash");
        Self((1..=TICKETS).map(|number| Ticket::derive(&lanes, suite, number)).collect())
    }

    /// Takes the next one.
    pub(super) fn next(&mut self) -> Option<Ticket> {
        (!self.0.is_empty()).then(|| self.0.remove(0))
    }

    /// Takes the one with this name.
    pub(super) fn find(&mut self, name: &LaneName) -> Option<Ticket> {
        let index = self.0.iter().position(|ticket| ticket.name == *name)?;
        Some(self.0.remove(index))
    }
}

impl std::fmt::Debug for Tickets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Tickets").field(&self.0.len()).finish()
    }
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ticket").field("number", &self.number).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
