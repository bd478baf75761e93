//! Proving that a link has its rates.

use serde_json::json;

use super::super::{CALL_DEADLINE_MS, LivePeer, ROUND_TRIPS_MAX, ScenarioError, Stage};
use super::expect::{self, RATE_TOLERANCE_PERCENT};
use crate::proto::control::{BurstDirection, BurstReply, BurstRequest};
use crate::testbed::plan::{LinkPlan, OneWay};
use crate::testbed::result::{Direction, RateProbe, rate_text};

/// Rounds before a link counts as misshapen. A burst is long against a busy moment,
/// so fewer than for a round trip.
const RATE_ROUNDS_MAX: u32 = 3;

impl Stage {
    /// Measures each direction that was asked to have a rate, by a burst through
    /// the link's own session, timed at its receiver: the sender runs ahead, into
    /// the buffers of kernel and proxy.
    ///
    /// A direction without a rate is not measured: how fast the machine is says
    /// nothing about the link, and nothing was claimed.
    pub(in crate::testbed::scenario) async fn probe_rates(
        &self,
        index: usize,
    ) -> Result<Vec<RateProbe>, ScenarioError> {
        let shape = self.links[index].plan.shape;
        let mut probes = Vec::new();
        for direction in Direction::ALL {
            let way = match direction {
                Direction::Up => shape.up,
                Direction::Down => shape.down,
            };
            if let Some(asked_bits_per_s) = way.rate_bits_per_s {
                let probe = self.probe_rate(index, direction, way, asked_bits_per_s).await;
                let consequence = format!(
                    "the rate of {} that link {} was given is not proved",
                    rate_text(asked_bits_per_s),
                    self.links[index].plan.name
                );
                probes.extend(self.lacking.allow(probe, &consequence)?);
            }
        }
        Ok(probes)
    }

    async fn probe_rate(
        &self,
        index: usize,
        direction: Direction,
        way: OneWay,
        asked_bits_per_s: u64,
    ) -> Result<RateProbe, ScenarioError> {
        let link = &self.links[index];
        let asked = Asked { direction, way, bits_per_s: asked_bits_per_s };
        let note = |probe: &RateProbe, reply: &BurstReply| {
            self.events.add("rate_probe", json!({"link": link.plan.name, "probe": probe, "wire_bytes": reply.wire_bytes, "span_ns": reply.span_ns}));
        };
        let probe = rounds(&self.peers[link.dialler], &link.plan, asked, note).await?;
        if is_right_rate(&probe) {
            return Ok(probe);
        }
        let (from, to) = match direction {
            Direction::Up => (&link.plan.dialler, &link.plan.listener),
            Direction::Down => (&link.plan.listener, &link.plan.dialler),
        };
        Err(ScenarioError::Misshapen {
            link: format!("{}, {from} to {to}", link.plan.name),
            asked: format!("a rate of {}", rate_text(asked_bits_per_s)),
            measured: rate_text(probe.measured_bits_per_s),
            tolerance: format!("{RATE_TOLERANCE_PERCENT} %"),
        })
    }
}

/// The rate that one direction of a link was asked to have.
#[derive(Clone, Copy, Debug)]
struct Asked {
    direction: Direction,
    way: OneWay,
    bits_per_s: u64,
}

/// Measures one direction of a link, if it was asked to have a rate, as before a
/// cell. The last round is returned, right or not.
pub(in crate::testbed) async fn measure_rate(
    dialler: &LivePeer,
    link: &LinkPlan,
    direction: Direction,
) -> Result<Option<RateProbe>, ScenarioError> {
    let way = match direction {
        Direction::Up => link.shape.up,
        Direction::Down => link.shape.down,
    };
    let Some(bits_per_s) = way.rate_bits_per_s else { return Ok(None) };
    let asked = Asked { direction, way, bits_per_s };
    rounds(dialler, link, asked, |_, _| {}).await.map(Some)
}

/// Whether a rate is that of a right link.
pub(in crate::testbed) fn is_right_rate(probe: &RateProbe) -> bool {
    expect::is_right_rate(probe.asked_bits_per_s, probe.measured_bits_per_s)
}

/// Bursts until one has the right rate; the last one.
async fn rounds(
    dialler: &LivePeer,
    link: &LinkPlan,
    asked: Asked,
    note: impl Fn(&RateProbe, &BurstReply),
) -> Result<RateProbe, ScenarioError> {
    let Asked { direction, way, bits_per_s: asked_bits_per_s } = asked;
    let burst_bytes = expect::burst_bytes(way, asked_bits_per_s);
    let mut round = 1;
    loop {
        let reply = burst(dialler, link, asked, burst_bytes).await?;
        let measured_bits_per_s = bits_per_s(&reply);
        let probe = RateProbe { direction, asked_bits_per_s, measured_bits_per_s, burst_bytes };
        note(&probe, &reply);
        if is_right_rate(&probe) || round == RATE_ROUNDS_MAX {
            return Ok(probe);
        }
        round += 1;
    }
}

async fn burst(
    dialler: &LivePeer,
    link: &LinkPlan,
    asked: Asked,
    bytes: u64,
) -> Result<BurstReply, ScenarioError> {
    let towards = match asked.direction {
        Direction::Up => BurstDirection::ToPeer,
        Direction::Down => BurstDirection::FromPeer,
    };
    let listener = link.listener.to_string();
    let attempted = format!("sending a burst of {bytes} bytes over the link with {listener}");
    let request = BurstRequest { peer: listener, bytes, direction: towards.into() };
    let mut control = dialler.control.clone();
    let deadline_ms = CALL_DEADLINE_MS
        + super::trip_ms_max(&link.shape) * ROUND_TRIPS_MAX
        + expect::burst_ms_max(bytes, asked.bits_per_s);
    dialler.call_within(deadline_ms, &attempted, control.burst(request)).await
}

fn bits_per_s(reply: &BurstReply) -> u64 {
    const NS_PER_S: u128 = 1_000_000_000;
    let bits = u128::from(reply.wire_bytes) * 8;
    u64::try_from(bits * NS_PER_S / u128::from(reply.span_ns.max(1))).unwrap_or(u64::MAX)
}
