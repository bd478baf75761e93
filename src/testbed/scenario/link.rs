//! Shaping a link, and proving that it has the shape.

use serde_json::json;

use super::{CALL_DEADLINE_MS, ROUND_TRIPS_MAX, ScenarioError, Stage};
use crate::proto::control::PingRequest;
use crate::testbed::plan::Shape;
use crate::testbed::result::LinkProbe;
use crate::toxiproxy::api::{Millis, Stream, Toxic};

/// Samples of one round: an odd number has a median that was measured.
const PROBE_SAMPLES: u32 = 9;

/// Rounds before a link counts as misshapen. One round can fall into a moment
/// when the machine was busy; five in a row mean that it always is.
const PROBE_ROUNDS_MAX: u32 = 5;

/// A measured RTT may be off by this much, or by [`TOLERANCE_PERCENT`] of what
/// was asked, whichever is more: the path through two daemons and a proxy takes
/// some tenths of a millisecond of its own.
const TOLERANCE_US_MIN: u64 = 1_000;

/// See [`TOLERANCE_US_MIN`].
const TOLERANCE_PERCENT: u64 = 2;

/// Most that the toxics of a link are set below (or above) what was asked, so that
/// the whole path has the RTT asked for. Processes that slept for half an RTT wake
/// late, by about a millisecond over all hops on two virtual processors. More than
/// this is no wake-up time but a wrong link, and must not be hidden.
const CORRECTION_US_MAX: i64 = 2_000;

/// `shape` with half of the correction taken off each way.
fn corrected(shape: Shape, correction_us: i64) -> Shape {
    let less = |us: u64| us.saturating_add_signed(-correction_us / 2);
    // No delay is exactly no delay: there is nothing to take off.
    if shape.rtt_us() == 0 {
        return shape;
    }
    Shape { up_latency_us: less(shape.up_latency_us), down_latency_us: less(shape.down_latency_us) }
}

/// The toxics that make `shape`; always both, so that a later shape is an update
/// of living toxics and never a removal.
pub(super) fn toxics(shape: Shape) -> [Toxic; 2] {
    [
        Toxic::latency(Stream::Upstream, Millis::from_micros(shape.up_latency_us)),
        Toxic::latency(Stream::Downstream, Millis::from_micros(shape.down_latency_us)),
    ]
}

impl Stage<'_> {
    /// Gives a link its shape, unless it has it already.
    pub(super) async fn shape(&mut self, index: usize, shape: Shape) -> Result<(), ScenarioError> {
        if self.links[index].plan.shape == shape {
            return Ok(());
        }
        self.links[index].plan.shape = shape;
        self.set_toxics(index).await
    }

    /// Tells the proxy a link's shape, less what the path adds by itself.
    async fn set_toxics(&self, index: usize) -> Result<(), ScenarioError> {
        let link = &self.links[index];
        let name = &link.plan.name;
        let shape = corrected(link.plan.shape, link.correction_us);
        for toxic in toxics(shape) {
            let update = self.proxy.update_toxic(name, &toxic).await;
            update.map_err(|error| ScenarioError::Proxy {
                link: name.clone(),
                attempted: format!("setting {} to {shape:?}", toxic.name),
                reason: error.to_string(),
            })?;
        }
        self.events.add("shape", json!({"link": name, "asked": link.plan.shape, "set": shape}));
        Ok(())
    }

    /// Measures the round trip of one byte through the link's own session, from
    /// the dialling daemon through the proxy to the listening daemon and back.
    /// What the path adds by itself is taken off the link's delay, within
    /// [`CORRECTION_US_MAX`], and measured again.
    pub(super) async fn probe(&mut self, index: usize) -> Result<LinkProbe, ScenarioError> {
        let asked_us = self.links[index].plan.shape.rtt_us();
        let tolerance_us = TOLERANCE_US_MIN.max(asked_us * TOLERANCE_PERCENT / 100);
        let mut measured_us = 0;
        for round in 1..=PROBE_ROUNDS_MAX {
            let probe = self.probe_round(index, asked_us).await?;
            self.events.add("probe", json!(probe));
            measured_us = probe.rtt_measured_us;
            let error_us = measured_us.cast_signed() - asked_us.cast_signed();
            // While there are rounds left, better than tolerable is within reach.
            let accepted_us =
                if round < PROBE_ROUNDS_MAX { tolerance_us / 2 } else { tolerance_us };
            if error_us.unsigned_abs() <= accepted_us {
                self.links[index].rtt_measured_us = measured_us;
                return Ok(probe);
            }
            let correction_us = self.links[index].correction_us + error_us;
            if correction_us.abs() <= CORRECTION_US_MAX {
                self.links[index].correction_us = correction_us;
                self.set_toxics(index).await?;
            }
        }
        let ms = |us: u64| us as f64 / 1_000.0;
        Err(ScenarioError::Misshapen {
            link: self.links[index].plan.name.clone(),
            asked_ms: ms(asked_us),
            measured_ms: ms(measured_us),
            tolerance_ms: ms(tolerance_us),
        })
    }

    async fn probe_round(&self, index: usize, asked_us: u64) -> Result<LinkProbe, ScenarioError> {
        let link = &self.links[index];
        let peer = &self.peers[link.dialler];
        // The first ping may have to dial, and is not counted.
        let request = PingRequest { peer: link.plan.listener.clone(), count: PROBE_SAMPLES + 1 };
        let mut control = peer.control.clone();
        let attempted = format!("pinging {} through the link", link.plan.listener);
        let trips = ROUND_TRIPS_MAX + u64::from(PROBE_SAMPLES);
        let deadline_ms = CALL_DEADLINE_MS + asked_us / 1_000 * trips;
        let reply = peer.call_within(deadline_ms, &attempted, control.ping(request)).await?;
        let samples_us: Vec<u64> = reply.rtt_ns.iter().skip(1).map(|ns| ns / 1_000).collect();
        let mut sorted = samples_us.clone();
        sorted.sort_unstable();
        let rtt_measured_us = sorted.get(sorted.len() / 2).copied().unwrap_or(0);
        let link = link.plan.name.clone();
        Ok(LinkProbe { link, rtt_asked_us: asked_us, rtt_measured_us, samples_us })
    }
}

#[cfg(test)]
mod tests;
