//! When how many bytes had come. Pure.

use serde::{Deserialize, Serialize};

use super::clock::{NS_PER_MS, NS_PER_S};

/// The reads of one connection, in order: time, and bytes so far with this read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Curve {
    pub(crate) reads: Vec<(u64, u64)>,
}

/// How the bytes of one connection came.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Received {
    pub(crate) bytes: u64,
    pub(crate) first_ns: u64,
    pub(crate) last_ns: u64,
    /// Bytes per second from the first read, its bytes left out, to the last; none
    /// when everything came at once.
    pub(crate) rate: Option<f64>,
    /// See [`Curve::burst_ms`].
    pub(crate) burst_ms: Option<f64>,
    /// Bytes per second in the time in which all connections measured together
    /// were receiving.
    pub(crate) common_rate: Option<f64>,
}

impl Curve {
    fn ends(&self) -> Option<((u64, u64), (u64, u64))> {
        Some((*self.reads.first()?, *self.reads.last()?))
    }

    /// Bytes that had come by then.
    fn at(&self, ns: u64) -> u64 {
        let next = self.reads.partition_point(|(time, _)| *time <= ns);
        next.checked_sub(1).map_or(0, |last| self.reads[last].1)
    }

    fn rate(&self, from: u64, to: u64) -> Option<f64> {
        let span_s = to.checked_sub(from).filter(|span| *span > 0)? as f64 / NS_PER_S as f64;
        Some((self.at(to) - self.at(from)) as f64 / span_s)
    }

    /// The most bytes that came in any span beyond what the rate carries in it, as
    /// the time that the rate takes for them. A span may be a single instant, so
    /// the bytes of one read count whole; a reader that the machine kept from
    /// reading adds to it.
    fn burst_ms(&self, bytes_per_s: u64) -> Option<f64> {
        let per_ns = bytes_per_s as f64 / NS_PER_S as f64;
        let (first_ns, _) = *self.reads.first()?;
        let mut lowest = f64::INFINITY;
        let (mut before, mut most) = (0, 0.0_f64);
        for (time, bytes) in &self.reads {
            let line = (time - first_ns) as f64 * per_ns;
            lowest = lowest.min(before as f64 - line);
            most = most.max(*bytes as f64 - line - lowest);
            before = *bytes;
        }
        Some(most / per_ns / NS_PER_MS)
    }
}

/// What connections that were measured together received; none for one without
/// a byte.
pub(crate) fn received(curves: &[Curve], bytes_per_s: Option<u64>) -> Vec<Option<Received>> {
    let ends: Vec<_> = curves.iter().filter_map(Curve::ends).collect();
    let from = ends.iter().map(|(first, _)| first.0).max();
    let to = ends.iter().map(|(_, last)| last.0).min();
    curves
        .iter()
        .map(|curve| {
            let (first, last) = curve.ends()?;
            Some(Received {
                bytes: last.1,
                first_ns: first.0,
                last_ns: last.0,
                rate: curve.rate(first.0, last.0),
                burst_ms: bytes_per_s.and_then(|rate| curve.burst_ms(rate)),
                common_rate: from.zip(to).and_then(|(from, to)| curve.rate(from, to)),
            })
        })
        .collect()
}
