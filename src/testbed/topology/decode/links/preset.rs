//! Links by name.
//!
//! | preset | one-way delay | jitter | rate | from |
//! |---|---|---|---|---|
//! | `lan` | 0.25 ms | | 1 Gbit/s | IEEE 802.3ab (1000BASE-T); half of the 0.5 ms of a round trip within a data centre in J. Dean's "Numbers everyone should know" |
//! | `wifi` | 5 ms | 1 ms | 54 Mbit/s | `LinkCondition::wifi` of n0's patchbay, docs/guide/topology.md |
//! | `dsl` | 25 ms | | `a` sends 384 kbit/s, `b` 1.5 Mbit/s | "DSL" of WebPageTest, www/settings/connectivity.ini.sample |
//! | `lte` | 30 ms | 10 ms | 50 Mbit/s | `LinkCondition::mobile_4g` of n0's patchbay, the same page |
//! | `intercontinental` | 77.5 ms | | | Hong Kong to northern California in <https://cloudping.co>, a round trip of 155 ms |
//!
//! Where an end has the slow side, it is `a` (of a star: each ray): `b` is beyond
//! the access link. No rate means as fast as the machine: between continents it is
//! the ends' own links that are slow.

use crate::testbed::plan::{OneWay, RateScope};

/// Names, in the order of the table.
pub(super) use super::super::super::schema::PRESETS as NAMES;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Preset {
    /// Bytes from `a` to `b`.
    pub(super) forth: OneWay,
    /// Bytes from `b` to `a`.
    pub(super) back: OneWay,
}

/// The preset of that name.
pub(super) fn find(name: &str) -> Option<Preset> {
    match name {
        "lan" => Some(symmetric(250, 0, Some(1_000_000_000))),
        "wifi" => Some(symmetric(5_000, 1_000, Some(54_000_000))),
        "dsl" => Some(Preset {
            forth: way(25_000, 0, Some(384_000)),
            back: way(25_000, 0, Some(1_500_000)),
        }),
        "lte" => Some(symmetric(30_000, 10_000, Some(50_000_000))),
        "intercontinental" => Some(symmetric(77_500, 0, None)),
        _ => None,
    }
}

const fn symmetric(latency_us: u64, jitter_us: u64, rate_bits_per_s: Option<u64>) -> Preset {
    let way = way(latency_us, jitter_us, rate_bits_per_s);
    Preset { forth: way, back: way }
}

const fn way(latency_us: u64, jitter_us: u64, rate_bits_per_s: Option<u64>) -> OneWay {
    OneWay { latency_us, jitter_us, rate_bits_per_s, rate_scope: RateScope::Link }
}

#[cfg(test)]
mod tests;
