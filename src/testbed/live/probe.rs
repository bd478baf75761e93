//! Measures a live link as a run does before a cell, and corrects nothing.

use serde::Serialize;

use super::error::LinkError;
use super::find::Found;
use super::site::Site;
use crate::testbed::plan::{LinkPlan, Shape};
use crate::testbed::result::{Direction, LinkProbe};
use crate::testbed::runtime::control;
use crate::testbed::scenario::link::{AFTER_ROUNDS_MAX, is_right_rate, measure_rate, measure_rtt};
use crate::testbed::scenario::{LivePeer, ScenarioError};

/// What to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// What the run asks of the link.
    Asked,
    /// What its toxics say now.
    Set,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Verdict {
    /// The shape that was expected.
    pub(crate) expected: Shape,
    /// What was measured.
    #[serde(flatten)]
    pub(crate) probe: LinkProbe,
    /// Whether the round trip is within its tolerance.
    pub(crate) rtt_is_right: bool,
    /// Whether each rate is, in the order of the probe's.
    pub(crate) rates_are_right: Vec<bool>,
}

impl Verdict {
    /// Whether all of it is right.
    pub(crate) fn is_right(&self) -> bool {
        self.rtt_is_right && self.rates_are_right.iter().all(|&right| right)
    }
}

/// Sends pings, and bursts where there is a rate, through the link's own session.
pub(crate) async fn probe(
    site: &Site,
    name: &str,
    expected: Expected,
) -> Result<Verdict, LinkError> {
    let view = site.link(name).await?;
    let no_daemons = || LinkError::NoDaemons { link: name.to_owned() };
    let Found { live, .. } = site.found.as_ref().ok_or_else(no_daemons)?;
    let place = live.link(name).ok_or_else(no_daemons)?;
    let shape = match expected {
        Expected::Asked => place.plan.shape,
        Expected::Set => view.set_shape(),
    };
    let link = LinkPlan { shape, ..place.plan.clone() };
    let endpoint = live.peers.iter().find(|peer| peer.name == link.dialler);
    let endpoint = endpoint.ok_or_else(no_daemons)?;
    let control = control::connect(&endpoint.control).await;
    let control = control.map_err(|error| ScenarioError::Control {
        peer: endpoint.name.clone(),
        attempted: format!("connecting to its control service to probe link {name}"),
        reason: error.to_string(),
    })?;
    let dialler = LivePeer { name: endpoint.name.clone(), control };
    measure(&dialler, &link).await.map_err(LinkError::from)
}

async fn measure(dialler: &LivePeer, link: &LinkPlan) -> Result<Verdict, ScenarioError> {
    let mut probe = measure_rtt(dialler, link).await?;
    // A moment in which the machine was busy is no wrong link.
    for _round in 1..AFTER_ROUNDS_MAX {
        if probe.is_right(probe.rtt_measured_us) {
            break;
        }
        probe = measure_rtt(dialler, link).await?;
    }
    for direction in Direction::ALL {
        probe.rates.extend(measure_rate(dialler, link, direction).await?);
    }
    Ok(Verdict {
        expected: link.shape,
        rtt_is_right: probe.is_right(probe.rtt_measured_us),
        rates_are_right: probe.rates.iter().map(is_right_rate).collect(),
        probe,
    })
}
