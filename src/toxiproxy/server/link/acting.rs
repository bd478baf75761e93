//! The toxics that act on one direction of one connection, and what each of them
//! has seen of it. Pure: time is an argument.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::super::super::api::{Corrupt, Effect, Latency, RateBytes, Slicer, Stream};
use super::super::bucket::Bucket;
use super::super::toxics::LiveToxic;
use super::seed::ConnectionSeed;

/// How a toxic ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Cut {
    /// Both sides are closed.
    Close,
    /// Both sides are reset.
    Reset,
}

/// What becomes of bytes that came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// They enter the link.
    Pass(Bytes),
    /// They do, and the connection is cut behind them.
    PassAndCut(Bytes, Cut),
    /// They vanish.
    Lost,
}

/// One toxic and its view of the direction.
#[derive(Debug)]
struct Acting {
    id: u64,
    effect: Effect,
    /// The rate that it shares with other connections, if it does.
    shared: Option<Arc<Bucket>>,
    own: Bucket,
    met_ns: u64,
    /// Bytes that came to it since they met.
    seen_bytes: u64,
    /// Whether anything vanished in it, be it an end.
    has_lost: bool,
    /// Whether its one bit was flipped.
    has_corrupted: bool,
    /// When a reset fires that data has triggered.
    reset_at_ns: Option<u64>,
}

/// All that act on a direction, in order of creation.
#[derive(Debug)]
pub(super) struct ActingToxics {
    seed: ConnectionSeed,
    stream: Stream,
    acting: Vec<Acting>,
}

impl ActingToxics {
    pub(super) fn new(seed: ConnectionSeed, stream: Stream) -> Self {
        Self { seed, stream, acting: Vec::new() }
    }

    /// Takes a changed list over. Says whether the connection has to be cut because
    /// a toxic is gone that swallowed part of it: what came after would have a hole
    /// before it.
    pub(super) fn follow(&mut self, live: &[LiveToxic], now_ns: u64) -> Option<Cut> {
        let mut before = std::mem::take(&mut self.acting);
        for LiveToxic { id, toxic, bucket } in live {
            let is_here = toxic.stream == self.stream || acts_on_both(&toxic.effect);
            if !is_here || self.seed.lot(toxic.stream, &toxic.name) >= toxic.toxicity {
                continue;
            }
            let known = before.iter().position(|acting| acting.id == *id);
            let mut acting = match known {
                Some(index) => before.remove(index),
                None => Acting::new(*id, toxic.effect.clone(), now_ns),
            };
            acting.effect.clone_from(&toxic.effect);
            acting.shared.clone_from(bucket);
            self.acting.push(acting);
        }
        before.iter().filter_map(Acting::cut_by_removal).max_by_key(|cut| *cut == Cut::Reset)
    }

    /// Whether data passes as if nothing acted.
    pub(super) fn leave_data_alone(&self) -> bool {
        self.acting.iter().all(|acting| match &acting.effect {
            Effect::Latency(latency) => *latency == Latency::default(),
            Effect::Bandwidth(bandwidth) => bandwidth.rate == RateBytes::MAX,
            Effect::SlowClose { .. } | Effect::SlowConnect { .. } => true,
            _ => false,
        })
    }

    /// Whether nothing may enter the link now.
    pub(super) fn is_stalled(&self) -> bool {
        self.acting.iter().any(|acting| matches!(acting.effect, Effect::Stall))
    }

    /// Decides about bytes that came. Swallowing comes first, so that what vanishes
    /// does not count toward a limit.
    pub(super) fn arrive(&mut self, mut bytes: Bytes, now_ns: u64) -> Fate {
        let mut is_lost = false;
        for acting in &mut self.acting {
            if let Effect::ResetPeer { timeout } = acting.effect {
                acting.reset_at_ns.get_or_insert(now_ns + timeout.as_nanos());
            }
            if acting.swallows() {
                (is_lost, acting.has_lost) = (true, true);
            }
        }
        if is_lost {
            return Fate::Lost;
        }
        let mut cut = None;
        for acting in &mut self.acting {
            match acting.effect {
                Effect::Corrupt(corrupt) if !acting.has_corrupted => {
                    (bytes, acting.has_corrupted) = corrupted(bytes, acting.seen_bytes, corrupt);
                }
                Effect::LimitData { bytes: limit } => {
                    cut =
                        limited(&mut bytes, acting.seen_bytes, limit).then_some(Cut::Close).or(cut);
                }
                Effect::CutAfter { bytes: limit } => {
                    cut =
                        limited(&mut bytes, acting.seen_bytes, limit).then_some(Cut::Reset).or(cut);
                }
                _ => {}
            }
            acting.seen_bytes += bytes.len() as u64;
        }
        match cut {
            None => Fate::Pass(bytes),
            Some(cut) => Fate::PassAndCut(bytes, cut),
        }
    }

    /// Decides about the sender's end: false when it vanishes.
    pub(super) fn end_arrives(&mut self) -> bool {
        let mut passes = true;
        for acting in &mut self.acting {
            if acting.swallows() {
                (passes, acting.has_lost) = (false, true);
            }
        }
        passes
    }

    /// Whether a toxic says that the connection is over.
    pub(super) fn cut(&self, now_ns: u64) -> Option<Cut> {
        let fires = self.acting.iter().filter_map(Acting::fires);
        let fired = fires.filter(|(at_ns, _)| *at_ns <= now_ns).map(|(_, cut)| cut);
        fired.max_by_key(|cut| *cut == Cut::Reset)
    }

    /// When [`Self::cut`] will next say so.
    pub(super) fn next_cut_ns(&self) -> Option<u64> {
        self.acting.iter().filter_map(Acting::fires).map(|(at_ns, _)| at_ns).min()
    }

    /// The rates in force: bytes per second, and who shares them.
    pub(super) fn rates(&self) -> impl Iterator<Item = (u64, &Bucket)> {
        self.acting.iter().filter_map(|acting| match &acting.effect {
            Effect::Bandwidth(bandwidth) if bandwidth.rate != RateBytes::MAX => {
                let bucket = acting.shared.as_deref().unwrap_or(&acting.own);
                Some((bandwidth.rate.bytes_per_s(), bucket))
            }
            _ => None,
        })
    }

    /// The latencies in force.
    pub(super) fn latencies(&self) -> impl Iterator<Item = Latency> {
        self.acting.iter().filter_map(|acting| match acting.effect {
            Effect::Latency(latency) => Some(latency),
            _ => None,
        })
    }

    /// The slicer in force; the last one if there are several.
    pub(super) fn slicer(&self) -> Option<Slicer> {
        self.acting.iter().rev().find_map(|acting| match acting.effect {
            Effect::Slicer(slicer) => Some(slicer),
            _ => None,
        })
    }

    /// How much later than data a close is.
    pub(super) fn close_delay_ns(&self) -> u64 {
        let delays = self.acting.iter().map(|acting| match acting.effect {
            Effect::SlowClose { delay } => delay.as_nanos(),
            _ => 0,
        });
        delays.sum()
    }
}

impl Acting {
    fn new(id: u64, effect: Effect, now_ns: u64) -> Self {
        Self {
            id,
            effect,
            shared: None,
            own: Bucket::default(),
            met_ns: now_ns,
            seen_bytes: 0,
            has_lost: false,
            has_corrupted: false,
            reset_at_ns: None,
        }
    }

    /// Whether everything that comes to it vanishes, ends too.
    const fn swallows(&self) -> bool {
        matches!(self.effect, Effect::Timeout { .. } | Effect::Blackhole | Effect::HalfOpen)
            || self.reset_at_ns.is_some()
    }

    /// When it cuts the connection, and how.
    fn fires(&self) -> Option<(u64, Cut)> {
        match self.effect {
            Effect::Timeout { timeout } if timeout.as_nanos() > 0 => {
                Some((self.met_ns + timeout.as_nanos(), Cut::Close))
            }
            Effect::Reset => Some((self.met_ns, Cut::Reset)),
            _ => self.reset_at_ns.map(|at_ns| (at_ns, Cut::Reset)),
        }
    }

    /// What its removal does to the connection.
    const fn cut_by_removal(&self) -> Option<Cut> {
        match self.effect {
            // As stock does it, whether anything was lost or not.
            Effect::Timeout { .. } => Some(Cut::Close),
            _ if self.has_lost => Some(Cut::Reset),
            _ => None,
        }
    }
}

/// Shortens `bytes` to what is left of a limit. Says whether the limit is reached.
fn limited(bytes: &mut Bytes, seen_bytes: u64, limit_bytes: u64) -> bool {
    let left = limit_bytes.saturating_sub(seen_bytes);
    if left > bytes.len() as u64 {
        return false;
    }
    // Not longer than `bytes`, so it fits.
    bytes.truncate(usize::try_from(left).unwrap_or(usize::MAX));
    true
}

/// Whether a toxic means the connection as a whole, whatever its stream.
const fn acts_on_both(effect: &Effect) -> bool {
    matches!(effect, Effect::Blackhole | Effect::Reset)
}

/// `bytes`, which begin at `seen_bytes`, with one bit flipped if they hold it, and
/// whether they do.
fn corrupted(bytes: Bytes, seen_bytes: u64, corrupt: Corrupt) -> (Bytes, bool) {
    let index = corrupt.byte.checked_sub(seen_bytes).and_then(|index| usize::try_from(index).ok());
    match index {
        Some(index) if index < bytes.len() => {
            let mut copy = BytesMut::from(&bytes[..]);
            copy[index] ^= 1 << corrupt.bit;
            (copy.freeze(), true)
        }
        _ => (bytes, false),
    }
}

#[cfg(test)]
mod tests;
