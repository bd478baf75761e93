//! When a direction changes its key, and how the next one follows.
//!
//! A direction has one secret per epoch. Its sender says `KeyUpdate` under the old
//! key and goes on under the next; TCP keeps the order, so nothing pauses and no
//! lock is shared between the directions. Secrets go forward only (as in RFC 8446
//! section 7.2): who steals one cannot read what was sent before it. A fold mixes in what
//! the thief has not seen, so that it cannot read on either (see [`fold`](super::fold)).

use zeroize::Zeroizing;

mod ratchet;
mod schedule;

pub use ratchet::Ratchet;
pub use schedule::Schedule;

/// Bytes of a traffic secret and of the keys made from it.
pub const SECRET_BYTES: usize = 32;

/// A secret that is wiped when dropped.
pub type Secret = Zeroizing<[u8; SECRET_BYTES]>;

/// A secret that stays where it is when its owner moves: a move copies a pointer, and
/// leaves no copy of the secret behind that nobody would wipe.
pub type Kept = Box<Secret>;

/// Below this a session does little but rekey; tests storm it down to here.
pub const REKEY_BYTES_MIN: u64 = 64 * 1024;

/// Between two folds of a session: 20 of some 200 us each are half a percent of a core.
/// The receiver of offers holds the peer to half of it, so that clocks may differ.
pub const FOLD_INTERVAL_MS_MIN: u64 = 50;

/// Records without a byte of data that may follow one another. Each costs the
/// receiver some microseconds and gives it nothing, so a peer that sends only
/// such records is cut off; an honest sender holds its updates back before that.
pub const EMPTY_RUN_RECORDS_MAX: u32 = 1024;

/// Records without data that a sender makes in a row before it holds them back. Below
/// [`EMPTY_RUN_RECORDS_MAX`] by the confirming record of the handshake and the records
/// of one fold.
const CONTROL_RUN_MAX: u32 = EMPTY_RUN_RECORDS_MAX - 8;

/// After how much a direction moves to its next key by itself. Whichever comes
/// first; looked at before each data record, so an idle session stays quiet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RekeyLimits {
    /// Data bytes under one key, at least [`REKEY_BYTES_MIN`]. An epoch never
    /// holds more: the record that would go beyond comes under the next key, and one
    /// that is larger than the limit is cut.
    pub bytes: u64,
    /// Data records under one key, at least 1.
    pub records: u64,
    /// Milliseconds that one key is in use, at least 1.
    pub interval_ms: u64,
    /// Milliseconds until fresh keys are agreed, at least [`FOLD_INTERVAL_MS_MIN`].
    pub fold_interval_ms: u64,
}

impl Default for RekeyLimits {
    /// 1 GiB and 2^20 records, the figures of the system this one follows: far
    /// below any limit of the cipher (RFC 9001 section 6.6 sees none for its
    /// confidentiality), so they only bound what one stolen key reads; a change
    /// costs some microseconds. 60 s bounds the same for a slow session. Fresh keys
    /// every 120 s, as WireGuard has them: so long a thief of all keys can read on.
    fn default() -> Self {
        Self { bytes: 1 << 30, records: 1 << 20, interval_ms: 60_000, fold_interval_ms: 120_000 }
    }
}

impl RekeyLimits {
    /// For settings: whether every limit is at least its minimum.
    ///
    /// # Errors
    /// Names the setting, its value and its minimum.
    pub fn check(&self) -> Result<(), RekeyLimitsError> {
        let minimum = Self::MINIMUM;
        for (name, value, minimum) in [
            ("rekey_bytes", self.bytes, minimum.bytes),
            ("rekey_records", self.records, minimum.records),
            ("rekey_interval_ms", self.interval_ms, minimum.interval_ms),
            ("fold_interval_ms", self.fold_interval_ms, minimum.fold_interval_ms),
        ] {
            if value < minimum {
                return Err(RekeyLimitsError { name, value, minimum });
            }
        }
        Ok(())
    }

    const MINIMUM: Self = Self {
        bytes: REKEY_BYTES_MIN,
        records: 1,
        interval_ms: 1,
        fold_interval_ms: FOLD_INTERVAL_MS_MIN,
    };

    fn raised_to_minimum(self) -> Self {
        Self {
            bytes: self.bytes.max(Self::MINIMUM.bytes),
            records: self.records.max(Self::MINIMUM.records),
            interval_ms: self.interval_ms.max(Self::MINIMUM.interval_ms),
            fold_interval_ms: self.fold_interval_ms.max(Self::MINIMUM.fold_interval_ms),
        }
    }
}

/// A limit below its minimum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} is {value}, the least is {minimum}; raise it")]
pub struct RekeyLimitsError {
    /// Which limit.
    pub name: &'static str,
    /// Its value.
    pub value: u64,
    /// The least it can be.
    pub minimum: u64,
}

/// A direction has used all of its epochs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("all 2^32 epochs of this session are used; connect again")]
pub struct EpochsExhausted;

/// A peer says it has seen an epoch that was never sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the peer says it has seen epoch {seen}, but we send in epoch {sent}: it is broken")]
pub struct FutureEpoch {
    /// What it says.
    pub seen: u32,
    /// Where we are.
    pub sent: u32,
}

/// What a `KeyUpdate` record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyUpdate {
    /// The receiver should update its own direction too.
    pub asks: bool,
    /// The next secret has the secret of the fold mixed in.
    pub folds: bool,
    /// The receiver's epoch that its sender had seen when it wrote this. Whoever
    /// has moved beyond it owes nothing: that ends a crossing of two requests
    /// after one update each way, and an answer never asks back.
    pub seen_epoch: u32,
}

#[cfg(test)]
mod tests;
