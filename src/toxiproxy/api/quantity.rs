//! Times and rates as the API writes them.

use std::fmt;

use serde_json::Value;

/// Longest time of any toxic, in milliseconds. An hour: beyond it a peer cannot
/// be told from a dead one, and sums of many toxics stay far from overflow.
pub const LATENCY_MS_MAX: u64 = 3_600_000;

/// Highest rate, in KB/s of 1000 bytes: 8 Tbit/s, far beyond what one machine
/// copies, and far from overflow in nanoseconds.
pub const RATE_KB_PER_S_MAX: u64 = 1_000_000_000;

const NS_PER_MS: u64 = 1_000_000;
const BYTES_PER_KB: u64 = 1_000;

/// A duration that the API writes as a number of milliseconds.
///
/// The stock server takes integers; fractions are an extension, exact to the
/// nanosecond. Whole values are written without a fraction, so that stock clients
/// read them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Millis {
    ns: u64,
}

impl Millis {
    /// No time.
    pub const ZERO: Self = Self { ns: 0 };
    /// [`LATENCY_MS_MAX`].
    pub const MAX: Self = Self { ns: LATENCY_MS_MAX * NS_PER_MS };

    /// From microseconds, at most [`Self::MAX`].
    pub fn from_micros(us: u64) -> Self {
        Self { ns: us.saturating_mul(1_000) }.min(Self::MAX)
    }

    /// In nanoseconds.
    pub const fn as_nanos(self) -> u64 {
        self.ns
    }

    /// Whether the stock server can take it.
    pub const fn is_whole(self) -> bool {
        self.ns.is_multiple_of(NS_PER_MS)
    }

    /// From a number of milliseconds, 0 to [`LATENCY_MS_MAX`].
    pub fn from_number(ms: f64) -> Option<Self> {
        scaled(ms, NS_PER_MS, LATENCY_MS_MAX).map(|ns| Self { ns })
    }

    pub(super) fn to_json(self) -> Value {
        number(self.ns, NS_PER_MS)
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_json().fmt(f)
    }
}

/// A rate that the API writes as a number of KB/s, 1000 bytes each.
///
/// The stock server takes integers; fractions are an extension, exact to the byte
/// per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RateBytes {
    per_s: u64,
}

impl RateBytes {
    /// Nothing passes.
    pub const ZERO: Self = Self { per_s: 0 };
    /// [`RATE_KB_PER_S_MAX`].
    pub const MAX: Self = Self { per_s: RATE_KB_PER_S_MAX * BYTES_PER_KB };

    /// From bytes per second, at most [`Self::MAX`].
    pub fn from_bytes_per_s(per_s: u64) -> Self {
        Self { per_s }.min(Self::MAX)
    }

    /// In bytes per second.
    pub const fn bytes_per_s(self) -> u64 {
        self.per_s
    }

    /// Whether the stock server can take it.
    pub const fn is_whole(self) -> bool {
        self.per_s.is_multiple_of(BYTES_PER_KB)
    }

    /// From a number of KB/s, 0 to [`RATE_KB_PER_S_MAX`].
    pub fn from_number(kb_per_s: f64) -> Option<Self> {
        scaled(kb_per_s, BYTES_PER_KB, RATE_KB_PER_S_MAX).map(|per_s| Self { per_s })
    }

    pub(super) fn to_json(self) -> Value {
        number(self.per_s, BYTES_PER_KB)
    }
}

impl fmt::Display for RateBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_json().fmt(f)
    }
}

fn scaled(value: f64, factor: u64, value_max: u64) -> Option<u64> {
    if !(0.0..=value_max as f64).contains(&value) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, and at most 3.6e12"
    )]
    let scaled = (value * factor as f64).round() as u64;
    Some(scaled)
}

fn number(scaled: u64, factor: u64) -> Value {
    if scaled.is_multiple_of(factor) {
        Value::from(scaled / factor)
    } else {
        Value::from(scaled as f64 / factor as f64)
    }
}
