//! What may stand in a topology: a table for each map, with every key it takes.
//!
//! The decoder takes its keys, kinds, bounds and words from these tables, and
//! `dropbed schema` prints them, so that neither knows a key that the other does
//! not. A key that is added here is known to both; reading it is the decoder's.

use super::units::Quantity;

mod json;
mod links;
mod peers;
mod steps;
mod top;

pub use json::json;
pub(crate) use links::{
    BOTH_SHAPE, DIALS, FULL_MESH, GROUP, NEIGHBOURS, PAIR, PRESETS, RATE_SCOPES, STAR, TREE,
    UNLIMITED,
};
pub(crate) use peers::{DEFAULTS, DISK, PEER, PROFILE, RESOURCES, SETTINGS, VOLUME, VOLUMES};
pub(crate) use steps::{EXPECT, MODES, PART, REKEY, SCENARIO, STEP, TRANSFER};
pub(crate) use top::{FILE, FILE_NAMES, NETWORK, ORDERS, RUN, TOPOLOGY};

/// Keys that begin so are the file's own, in every map.
pub(crate) const OWN_KEY_PREFIX: &str = "x-";

/// Whether a key is the file's own, about which the schema says nothing.
pub(crate) fn is_own_key(key: &str) -> bool {
    key.starts_with(OWN_KEY_PREFIX)
}

/// A map of the topology and all keys that it takes.
#[derive(Debug)]
pub(crate) struct Map {
    /// As the JSON Schema calls it.
    pub(crate) name: &'static str,
    /// What it is, in one sentence.
    pub(crate) doc: &'static str,
    /// Its own keys.
    keys: &'static [Key],
    /// Another table whose keys stand in this map too.
    with: Option<&'static Self>,
    /// Exactly one of these keys is there; empty: as many as wanted.
    pub(crate) one_of: &'static [&'static str],
}

impl Map {
    const fn new(name: &'static str, doc: &'static str, keys: &'static [Key]) -> Self {
        Self { name, doc, keys, with: None, one_of: &[] }
    }

    const fn with(self, other: &'static Self) -> Self {
        Self { with: Some(other), ..self }
    }

    const fn one_of(self, keys: &'static [&'static str]) -> Self {
        Self { one_of: keys, ..self }
    }

    /// Every key: its own first.
    pub(crate) fn keys(&'static self) -> impl Iterator<Item = &'static Key> {
        std::iter::successors(Some(self), |map| map.with).flat_map(|map| map.keys)
    }

    /// The names of all keys.
    pub(crate) fn names(&'static self) -> Vec<&'static str> {
        self.keys().map(|key| key.name).collect()
    }

    /// A key that the decoder asks for.
    ///
    /// # Panics
    ///
    /// When the table does not have it: decoder and schema would differ.
    pub(crate) fn key(&'static self, name: &str) -> &'static Key {
        let key = self.keys().find(|key| key.name == name);
        key.unwrap_or_else(|| panic!("`{name}` is read from `{}`, but not in its table", self.name))
    }
}

/// One key of a map.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// What it says, in one or two sentences.
    pub(crate) doc: &'static str,
    pub(crate) required: bool,
    pub(crate) unsaid: Unsaid,
}

impl Key {
    const fn new(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self { name, kind, doc, required: false, unsaid: Unsaid::Nothing }
    }

    const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    const fn unsaid(self, unsaid: Unsaid) -> Self {
        Self { unsaid, ..self }
    }
}

/// What holds when a key is not there.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unsaid {
    /// Nothing that could be told in a word.
    Nothing,
    Boolean(bool),
    Integer(u64),
    /// Of the key's own quantity, in its smallest unit.
    Quantity(u64),
    Word(&'static str),
    /// In words, which are no value.
    Means(&'static str),
}

/// What the value of a key is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Boolean,
    /// A whole number within bounds.
    Integer {
        min: u64,
        max: u64,
    },
    /// A number with a unit, within bounds in the smallest unit.
    Quantity {
        quantity: Quantity,
        min: u64,
        max: u64,
    },
    /// A host name label.
    Name,
    Text,
    /// Any single value, as written.
    Literal,
    OneOf(&'static [&'static str]),
    Map(&'static Map),
    List(&'static Self),
    /// A map whose keys are names that the file gives.
    Named {
        names: Names,
        value: &'static Self,
    },
    Either(&'static [Self]),
}

impl Kind {
    const fn duration(min_us: u64, max_us: u64) -> Self {
        Self::Quantity { quantity: Quantity::Duration, min: min_us, max: max_us }
    }

    const fn size(min_bytes: u64, max_bytes: u64) -> Self {
        Self::Quantity { quantity: Quantity::Size, min: min_bytes, max: max_bytes }
    }
}

/// What names in a map may look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    /// Lower-case letters, digits and inner dashes.
    Host,
    /// Letters, digits and underscores, as variables are called.
    Identifier,
}

#[cfg(test)]
pub(crate) mod tests;
