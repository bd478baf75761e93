//! When a direction changes its key, and how the next one follows.
//!
//! A direction has one secret per epoch. Its sender says `KeyUpdate` under the old
//! key and goes on under the next; TCP keeps the order, so nothing pauses and no
//! lock is shared between the directions. Secrets go forward only (as in RFC 8446
//! section 7.2): who steals one cannot read what was sent before it.

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// Bytes of a traffic secret and of the keys made from it.
pub const SECRET_BYTES: usize = 32;

/// A secret that is wiped when dropped.
pub type Secret = Zeroizing<[u8; SECRET_BYTES]>;

/// Below this a session does little but rekey; tests storm it down to here.
pub const REKEY_BYTES_MIN: u64 = 64 * 1024;

/// Records without a byte of data that may follow one another. Each costs the
/// receiver some microseconds and gives it nothing, so a peer that sends only
/// such records is cut off; an honest sender holds its updates back before that.
pub const EMPTY_RUN_RECORDS_MAX: u32 = 1024;

/// Updates that a sender makes without data in between. Below
/// [`EMPTY_RUN_RECORDS_MAX`] by the confirming record of the handshake and a margin.
const UPDATE_RUN_MAX: u32 = EMPTY_RUN_RECORDS_MAX - 8;

const LABEL_KEY: &[u8] = b"dropbed 1 record key";
const LABEL_NEXT: &[u8] = b"dropbed 1 next secret";

/// After how much a direction moves to its next key by itself. Whichever comes
/// first; looked at before each data record, so an idle session stays quiet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RekeyLimits {
    /// Data bytes under one key, at least [`REKEY_BYTES_MIN`]. An epoch never
    /// holds more: the record that would go beyond is cut.
    pub bytes: u64,
    /// Data records under one key, at least 1.
    pub records: u64,
    /// Milliseconds that one key is in use, at least 1.
    pub interval_ms: u64,
}

impl Default for RekeyLimits {
    /// 1 GiB and 2^20 records, the figures of the system this one follows: far
    /// below any limit of the cipher (RFC 9001 section 6.6 sees none for its
    /// confidentiality), so they only bound what one stolen key reads; a change
    /// costs some microseconds. 60 s bounds the same for a slow session.
    fn default() -> Self {
        Self { bytes: 1 << 30, records: 1 << 20, interval_ms: 60_000 }
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
            ("bytes", self.bytes, minimum.bytes),
            ("records", self.records, minimum.records),
            ("interval_ms", self.interval_ms, minimum.interval_ms),
        ] {
            if value < minimum {
                return Err(RekeyLimitsError { name, value, minimum });
            }
        }
        Ok(())
    }

    const MINIMUM: Self = Self { bytes: REKEY_BYTES_MIN, records: 1, interval_ms: 1 };

    fn raised_to_minimum(self) -> Self {
        Self {
            bytes: self.bytes.max(Self::MINIMUM.bytes),
            records: self.records.max(Self::MINIMUM.records),
            interval_ms: self.interval_ms.max(Self::MINIMUM.interval_ms),
        }
    }
}

/// A limit below its minimum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the rekey limit {name} is {value}, the least is {minimum}; raise it")]
pub struct RekeyLimitsError {
    /// Which limit.
    pub name: &'static str,
    /// Its value.
    pub value: u64,
    /// The least it can be.
    pub minimum: u64,
}

/// The secrets of one direction, one after the other.
pub struct Ratchet {
    secret: Secret,
    epoch: u32,
}

impl Ratchet {
    /// Epoch 0.
    pub const fn new(secret: Secret) -> Self {
        Self { secret, epoch: 0 }
    }

    /// Which secret is the current one.
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The cipher key of the current epoch.
    pub fn key(&self) -> Secret {
        self.expand(LABEL_KEY)
    }

    /// Moves to the next epoch; the old secret is wiped.
    ///
    /// # Errors
    /// After 2^32 - 1 epochs, for a nonce must not come again.
    pub fn advance(&mut self) -> Result<(), EpochsExhausted> {
        let epoch = self.epoch.checked_add(1).ok_or(EpochsExhausted)?;
        self.secret = self.expand(LABEL_NEXT);
        self.epoch = epoch;
        Ok(())
    }

    /// HKDF-Expand (RFC 5869) of the current secret, for this epoch and purpose.
    fn expand(&self, label: &[u8]) -> Secret {
        let mut output = Secret::default();
        Hkdf::<Sha256>::from_prk(self.secret.as_slice())
            .expect("a secret is as long as the hash")
            .expand_multi_info(&[label, &self.epoch.to_be_bytes()], output.as_mut_slice())
            .expect("one block of output");
        output
    }
}

impl std::fmt::Debug for Ratchet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ratchet").field("epoch", &self.epoch).finish_non_exhaustive()
    }
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
    /// The receiver's epoch that its sender had seen when it wrote this. Whoever
    /// has moved beyond it owes nothing: that ends a crossing of two requests
    /// after one update each way, and an answer never asks back.
    pub seen_epoch: u32,
}

/// When the sending direction updates. Pure; time is an argument.
#[derive(Debug)]
pub struct Schedule {
    limits: RekeyLimits,
    data_bytes: u64,
    data_records: u64,
    epoch_began_ns: u64,
    /// Somebody here wants both directions to move.
    requested: bool,
    /// The peer wants our direction to move.
    owed: bool,
    /// Updates since the last record with data.
    update_run: u32,
}

impl Schedule {
    /// A schedule for a direction whose epoch 0 begins at `now_ns`. Limits below
    /// their minimum are raised to it.
    pub fn new(limits: RekeyLimits, now_ns: u64) -> Self {
        Self {
            limits: limits.raised_to_minimum(),
            data_bytes: 0,
            data_records: 0,
            epoch_began_ns: now_ns,
            requested: false,
            owed: false,
            update_run: 0,
        }
    }

    /// Both directions are to move.
    pub const fn request(&mut self) {
        self.requested = true;
    }

    /// The peer's `update` arrived while we send in epoch `sent`.
    ///
    /// # Errors
    /// When the peer says it has seen an epoch that we have not reached.
    pub const fn handle_update(&mut self, update: KeyUpdate, sent: u32) -> Result<(), FutureEpoch> {
        if update.seen_epoch > sent {
            return Err(FutureEpoch { seen: update.seen_epoch, sent });
        }
        if update.asks && update.seen_epoch == sent {
            self.owed = true;
        }
        Ok(())
    }

    /// An update that must not wait for data: whether it asks the peer.
    pub const fn urgent(&self) -> Option<bool> {
        if (self.requested || self.owed) && self.update_run < UPDATE_RUN_MAX {
            Some(self.requested)
        } else {
            None
        }
    }

    /// Whether a limit is reached, so that an update goes before the next data.
    pub const fn is_due(&self, now_ns: u64) -> bool {
        let age_ms = now_ns.saturating_sub(self.epoch_began_ns) / 1_000_000;
        self.data_bytes >= self.limits.bytes
            || self.data_records >= self.limits.records
            || (age_ms >= self.limits.interval_ms && self.data_records > 0)
    }

    /// Data bytes that this epoch has room for.
    pub const fn room_bytes(&self) -> u64 {
        self.limits.bytes.saturating_sub(self.data_bytes)
    }

    /// A record with so many data bytes was sealed.
    pub const fn data_sealed(&mut self, bytes: u64) {
        self.data_bytes += bytes;
        self.data_records += 1;
        if bytes > 0 {
            self.update_run = 0;
        }
    }

    /// A `KeyUpdate` was sealed: a new epoch begins.
    pub const fn update_sealed(&mut self, now_ns: u64) {
        self.data_bytes = 0;
        self.data_records = 0;
        self.epoch_began_ns = now_ns;
        self.requested = false;
        self.owed = false;
        self.update_run += 1;
    }
}

#[cfg(test)]
mod tests;
