//! Shaping a link, and proving that it has the shape.

use serde_json::json;

use super::{CALL_DEADLINE_MS, LivePeer, ROUND_TRIPS_MAX, ScenarioError, Stage};
use crate::proto::control::PingRequest;
use crate::testbed::plan::{LinkPlan, Shape};
use crate::testbed::result::LinkProbe;

mod expect;
mod rate;
pub(in crate::testbed) mod toxics;

use crate::toxiproxy::api::Toxic;
pub(in crate::testbed) use expect::RATE_TOLERANCE_PERCENT;
pub(super) use expect::trip_ms_max;
pub(in crate::testbed) use rate::{is_right_rate, measure_rate};
use toxics::{corrected, difference, toxics};

/// Rounds before a link counts as misshapen. One round can fall into a moment
/// when the machine was busy; five in a row mean that it always is.
const PROBE_ROUNDS_MAX: u32 = 5;

/// Rounds after the steps before a link counts as drifted.
pub(in crate::testbed) const AFTER_ROUNDS_MAX: u32 = 3;

/// Most that the toxics of a link are set below what was asked, so that the whole
/// path has the RTT asked for. Processes that slept for half an RTT wake late, by
/// about a millisecond over all hops on two virtual processors. More than this is no
/// wake-up time but a wrong link, and must not be hidden.
const CORRECTION_US_MAX: u64 = 2_000;

/// Nor is more than this part of the RTT: so a delay that does not work, in either
/// direction, cannot be made up for by the other.
const CORRECTION_PARTS: u64 = 4;

impl Stage {
    /// Gives a link its shape, unless it has it already.
    pub(super) async fn shape(&mut self, index: usize, shape: Shape) -> Result<(), ScenarioError> {
        if self.links[index].plan.shape == shape {
            return Ok(());
        }
        let link = &mut self.links[index];
        link.plan.shape = shape;
        link.correction_us = link.correction_us.min(correction_us_max(&shape));
        self.set_toxics(index).await
    }

    /// Tells the proxy a link's shape, less what the path adds by itself.
    async fn set_toxics(&self, index: usize) -> Result<(), ScenarioError> {
        let link = &self.links[index];
        let name = &link.plan.name;
        let shape = corrected(link.plan.shape, link.correction_us, self.proxy_counts);
        for toxic in self.wanted(index) {
            let update = self.proxy.update_toxic(name, &toxic).await;
            update.map_err(|error| ScenarioError::Proxy {
                link: name.to_string(),
                attempted: format!("setting {} to {shape:?}", toxic.name),
                reason: error.to_string(),
            })?;
        }
        self.events.add("shape", json!({"link": name, "asked": link.plan.shape, "set": shape}));
        Ok(())
    }

    /// The toxics that a link is to have now.
    fn wanted(&self, index: usize) -> Vec<Toxic> {
        let link = &self.links[index];
        let shape = corrected(link.plan.shape, link.correction_us, self.proxy_counts);
        toxics(&link.plan, shape, self.plan.rated(index))
    }

    /// What the proxy has otherwise than it was told: what somebody else changed need
    /// not show in a round trip.
    async fn difference(&self, index: usize) -> Result<Option<String>, ScenarioError> {
        let name = &self.links[index].plan.name;
        let found = self.proxy.get(name).await.map_err(|error| ScenarioError::Proxy {
            link: name.to_string(),
            attempted: "reading its toxics".to_owned(),
            reason: error.to_string(),
        })?;
        Ok(difference(&self.wanted(index), &found, self.proxy_counts))
    }

    /// Before the steps, a link that somebody else has changed is an error.
    pub(super) async fn refuse_changed(&self, index: usize) -> Result<(), ScenarioError> {
        match self.difference(index).await? {
            None => Ok(()),
            Some(what) => {
                Err(ScenarioError::Changed { link: self.links[index].plan.name.to_string(), what })
            }
        }
    }

    /// Measures the round trip of one byte through the link's own session, from
    /// the dialling daemon through the proxy to the listening daemon and back.
    /// What the path adds by itself is taken off the link's delay, within
    /// [`CORRECTION_US_MAX`], and measured again.
    pub(super) async fn probe(&mut self, index: usize) -> Result<LinkProbe, ScenarioError> {
        let mut round = 1;
        loop {
            let mut probe = self.probe_round(index).await?;
            probe.correction_us = self.links[index].correction_us;
            self.events.add("probe", json!(probe));
            let shape = &self.links[index].plan.shape;
            let measured_us = probe.rtt_measured_us;
            let error_us = measured_us.cast_signed() - probe.rtt_expected_us().cast_signed();
            // While there are rounds left, better than tolerable is within reach.
            let aim_us = expect::aim_us(shape, expect::samples(shape), probe.held_back_us);
            let is_last = round == PROBE_ROUNDS_MAX;
            let is_right =
                error_us.unsigned_abs() <= aim_us || (is_last && probe.is_right(measured_us));
            let unjittered = wrong_deviation(shape, &probe);
            if is_right && unjittered.is_none() {
                self.links[index].rtt_measured_us = measured_us;
                return Ok(probe);
            }
            if is_last {
                return Err(unjittered.filter(|_| is_right).unwrap_or_else(|| misshapen(&probe)));
            }
            let most_us = correction_us_max(shape);
            let old_us = self.links[index].correction_us;
            // A path adds nothing less than nothing.
            let correction_us = (old_us + error_us).clamp(0, most_us);
            if !is_right && correction_us != old_us {
                self.links[index].correction_us = correction_us;
                self.set_toxics(index).await?;
            }
            round += 1;
        }
    }

    /// Measures a link after the steps, and notes in `probe` whether it is still
    /// what it was. A moment in which the machine was busy is no drift.
    pub(super) async fn probe_after(
        &self,
        index: usize,
        probe: &mut LinkProbe,
    ) -> Result<(), ScenarioError> {
        for _round in 0..AFTER_ROUNDS_MAX {
            let after = self.probe_round(index).await?;
            self.events.add("probe_after", json!(after));
            probe.rtt_after_us = Some(after.rtt_measured_us);
            probe.drifted = !probe.is_right(after.rtt_measured_us);
            if !probe.drifted {
                break;
            }
        }
        probe.changed = self.difference(index).await?;
        Ok(())
    }

    async fn probe_round(&self, index: usize) -> Result<LinkProbe, ScenarioError> {
        let link = &self.links[index];
        measure_rtt(&self.peers[link.dialler], &link.plan).await
    }
}

/// Most that may be taken off a link of this shape.
fn correction_us_max(shape: &Shape) -> i64 {
    CORRECTION_US_MAX.min(shape.rtt_us() / CORRECTION_PARTS).cast_signed()
}

/// One round of pings from a link's dialler through its session, and what they
/// should take in the link's shape.
pub(in crate::testbed) async fn measure_rtt(
    dialler: &LivePeer,
    link: &LinkPlan,
) -> Result<LinkProbe, ScenarioError> {
    let shape = &link.shape;
    let samples = expect::samples(shape);
    // The first ping may have to dial, and is not counted.
    let request = PingRequest { peer: link.listener.to_string(), count: samples + 1 };
    let mut control = dialler.control.clone();
    let attempted = format!("pinging {} through the link", link.listener);
    let trips = ROUND_TRIPS_MAX + u64::from(samples);
    let deadline_ms = CALL_DEADLINE_MS + trip_ms_max(shape) * trips;
    let reply = dialler.call_within(deadline_ms, &attempted, control.ping(request)).await?;
    if reply.rtt_ns.len() != samples as usize + 1 {
        return Err(ScenarioError::Control {
            peer: dialler.name.clone(),
            attempted,
            reason: format!("it answers {} round trips of {}", reply.rtt_ns.len(), samples + 1),
        });
    }
    // What else the session carried meanwhile must not excuse a long round trip.
    let records = [reply.records_sent, reply.records_received];
    let [records_sent, records_received] = records.map(|n| n.min(expect::PING_RECORDS_MAX));
    let held_back_us = expect::held_back_us(shape, records_sent, records_received);
    let bytes = [reply.wire_bytes_sent, reply.wire_bytes_received];
    let [sent, received] = bytes.map(|n| n.min(expect::TRIP_BYTES_MAX));
    let samples_us: Vec<u64> = reply.rtt_ns.iter().skip(1).map(|ns| ns / 1_000).collect();
    let mut sorted = samples_us.clone();
    sorted.sort_unstable();
    Ok(LinkProbe {
        link: link.name.to_string(),
        rtt_asked_us: shape.rtt_us(),
        serialisation_us: expect::serialisation_us(shape, sent, received),
        held_back_us,
        rtt_measured_us: sorted.get(sorted.len() / 2).copied().unwrap_or(0),
        rtt_tolerance_us: expect::tolerance_us(shape, samples, held_back_us),
        samples_us,
        correction_us: 0,
        rates: Vec::new(),
        rtt_after_us: None,
        drifted: false,
        changed: None,
    })
}

/// Why a probe's samples are not those of a link with this jitter.
fn wrong_deviation(shape: &Shape, probe: &LinkProbe) -> Option<ScenarioError> {
    let expected_us = expect::deviation_us(shape)?;
    let measured_us = expect::measured_deviation_us(&probe.samples_us, probe.rtt_measured_us);
    let ms = |us: u64| us as f64 / 1_000.0;
    (!expect::is_right_deviation(expected_us, measured_us)).then(|| ScenarioError::Misshapen {
        link: probe.link.clone(),
        asked: format!(
            "jitter of {} ms up and {} ms down, a mean deviation of {} ms",
            ms(shape.up.jitter_us),
            ms(shape.down.jitter_us),
            ms(expected_us)
        ),
        measured: format!("{} ms", ms(measured_us)),
        tolerance: "half to twice of it".to_owned(),
    })
}

fn misshapen(probe: &LinkProbe) -> ScenarioError {
    let ms = |us: u64| format!("{} ms", us as f64 / 1_000.0);
    let mut asked = format!("an RTT of {}", ms(probe.rtt_asked_us));
    if probe.serialisation_us > 0 {
        asked += &format!(" and {} for a ping's bytes at its rates", ms(probe.serialisation_us));
    }
    if probe.held_back_us > 0 {
        asked += &format!(" and {} for its jitter", ms(probe.held_back_us));
    }
    ScenarioError::Misshapen {
        link: probe.link.clone(),
        asked,
        measured: ms(probe.rtt_measured_us),
        tolerance: ms(probe.rtt_tolerance_us),
    }
}
