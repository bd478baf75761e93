//! Drives a started world through its plan: provision, shape, probe, step, check.
//!
//! Everything happens through the daemons' control service and the proxy's HTTP
//! API; nothing here knows how the peers were started.

mod check;
mod lacking;
pub(in crate::testbed) mod link;
pub(crate) mod provision;
mod transfer;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::try_join_all;
use serde_json::json;

use self::lacking::Lacking;
use super::collect::Collector;
use super::events::Events;
use super::plan::{CellPlan, LinkPlan, Plan, StepPlan, Turn};
use super::result::{Epochs, LinkProbe, StepResult, TurnResult};
use super::runtime::control::Client as Control;
use super::ui::Ui;
use crate::proto::control::{RekeyRequest, SessionCounters, SessionsRequest};
use crate::telemetry::clock;
use crate::toxiproxy::client::Client;

/// Calls that only ask or tell something: a daemon that takes longer is stuck.
/// What crosses a link has its round trips in addition.
const CALL_DEADLINE_MS: u64 = 20_000;

/// Round trips of a call that crosses a link: dialling, handshake, HTTP/2 and a few
/// answers.
const ROUND_TRIPS_MAX: u64 = 8;

/// Why a run ended without a result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScenarioError {
    /// A daemon refused or failed a control call.
    #[error("{peer}: {attempted}: {reason}")]
    Control {
        /// Which daemon.
        peer: String,
        /// What was asked.
        attempted: String,
        /// Its answer.
        reason: String,
    },
    /// A daemon lacks the call for something that cannot be left out.
    #[error(
        "{peer}: {attempted}: this peer cannot do that, so the run has no verdict: {reason}\n  \
         hint: docs/peer-contract.md says what each call is for; leave the step or the \
         expectation out, or use a peer that can"
    )]
    Lacks {
        /// Which daemon.
        peer: String,
        /// What was asked.
        attempted: String,
        /// Its answer.
        reason: String,
    },
    /// A daemon did not answer.
    #[error("{peer}: {attempted}: no answer within {deadline_ms} ms")]
    Silent {
        /// Which daemon.
        peer: String,
        /// What was asked.
        attempted: String,
        /// How long it had.
        deadline_ms: u64,
    },
    /// A step took longer than it may.
    #[error(
        "step `{step}` did not end within its deadline of {deadline_ms} ms (scenario.deadline)"
    )]
    Deadline {
        /// Which step.
        step: String,
        /// How long it had.
        deadline_ms: u64,
    },
    /// The proxy refused or failed a call.
    #[error("link {link}: {attempted}: {reason}")]
    Proxy {
        /// Which link.
        link: String,
        /// What was asked.
        attempted: String,
        /// The answer.
        reason: String,
    },
    /// A rate that all connections of a link share, and a proxy that cannot.
    #[error(
        "link {link}: cannot give it a rate that all its connections share: the proxy is \
         Toxiproxy {version}, which has a rate for each connection only\n  \
         hint: say `rate_scope: connection` in the topology, or use the bundled proxy \
         (dropbed toxiproxy)"
    )]
    SharedRate {
        /// Which link.
        link: String,
        /// What the proxy says it is.
        version: String,
    },
    /// A link is not what it should be.
    #[error(
        "link {link}: asked for {asked}, measured {measured} (tolerance {tolerance}): figures \
         over it would be wrong\n  \
         hint: is the machine overloaded, or too slow for this link? The samples are in \
         events.ndjson"
    )]
    Misshapen {
        /// Which link, and which direction of it if only one.
        link: String,
        /// Which quantity, and what was asked for.
        asked: String,
        /// What was measured at last.
        measured: String,
        /// How far apart they may be.
        tolerance: String,
    },
    /// Somebody else has changed a link.
    #[error(
        "link {link}: {what}: it was changed from outside, and figures over it would be wrong\n  \
         hint: leave the links alone while a run measures (`dropbed link set` is for --hold)"
    )]
    Changed {
        /// Which link.
        link: String,
        /// What the proxy has otherwise than it was told.
        what: String,
    },
    /// A test file is not the file that the seed makes.
    #[error(
        "{peer}: the test file {path} is not what its seed makes; is the share writable and empty?"
    )]
    WrongSample {
        /// Whose share.
        peer: String,
        /// Path within it.
        path: String,
    },
    /// Spans that a step must have left did not arrive.
    #[error("the trace of step `{step}` did not arrive from the peers: {reason}")]
    NoTrace {
        /// Which step.
        step: String,
        /// What is missing.
        reason: String,
    },
}

/// A link that is up.
#[derive(Debug)]
pub(crate) struct LiveLink {
    pub(crate) plan: LinkPlan,
    /// Index of the dialler in the plan's peers.
    pub(crate) dialler: usize,
    /// Index of the listener in the plan's peers.
    pub(crate) listener: usize,
    /// Where the proxy listens for it, and where the dialler reaches that.
    pub(crate) listen: String,
    /// See `listen`.
    pub(crate) dial: String,
    /// What the proxy dials for it.
    pub(crate) upstream: String,
    /// Median RTT of the last probe.
    pub(crate) rtt_measured_us: u64,
    /// What the path adds to the link's delay by itself, both ways together.
    pub(crate) correction_us: i64,
}

/// One daemon under control.
#[derive(Debug)]
pub(crate) struct LivePeer {
    pub(crate) name: String,
    pub(crate) control: Control,
}

/// A world that is provisioned: steps can run.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) plan: Arc<Plan>,
    pub(crate) peers: Vec<LivePeer>,
    pub(crate) links: Vec<LiveLink>,
    pub(crate) proxy: Client,
    /// Whether the proxy counts bytes while connections live (ours does).
    pub(crate) proxy_counts: bool,
    /// What the proxy says it is.
    pub(crate) proxy_version: String,
    /// BLAKE3 of each sample, computed here from its seed.
    pub(crate) digests: Vec<blake3::Hash>,
    pub(crate) collector: Collector,
    pub(crate) events: Arc<Events>,
    pub(crate) ui: Ui,
    /// What the peers turned out to have no call for, in this turn.
    lacking: Lacking,
}

impl Stage {
    /// One turn: shapes and probes every link, then does the steps. Appends
    /// failed assertions to `failures` and goes on; an error ends the run.
    pub(crate) async fn turn(
        &mut self,
        turn: Turn,
        failures: &mut Vec<String>,
    ) -> Result<TurnResult, ScenarioError> {
        let plan = Arc::clone(&self.plan);
        let cell = &plan.cells[turn.cell];
        self.announce(turn, cell);
        let mut links = self.prepare_links(cell).await?;
        let mut steps = Vec::with_capacity(cell.steps.len());
        for step in &cell.steps {
            // Results in the order of the plan, whoever is done first.
            let done = try_join_all(step.parts().iter().map(|part| self.step(part))).await?;
            for (result, failed) in done {
                failures.extend(failed);
                steps.push(result);
            }
        }
        self.probe_again(cell, &mut links).await?;
        Ok(TurnResult {
            cell: turn.cell,
            values: cell.values.clone(),
            repetition: turn.repetition,
            warmup: turn.warmup,
            links,
            steps,
            lacking: self.lacking.take(),
        })
    }

    fn announce(&self, turn: Turn, cell: &CellPlan) {
        let values: Vec<String> = cell.values.iter().map(|(k, v)| format!("{k}={v}")).collect();
        if !values.is_empty() {
            let kind = if turn.warmup { "warm-up" } else { "repetition" };
            self.ui.line(format!("{kind} {}: {}", turn.repetition + 1, values.join(" ")));
        }
        self.events.add("turn", json!({"cell": turn.cell, "values": cell.values, "repetition": turn.repetition, "warmup": turn.warmup}));
    }

    async fn prepare_links(&mut self, cell: &CellPlan) -> Result<Vec<LinkProbe>, ScenarioError> {
        let mut probes = Vec::with_capacity(self.links.len());
        for index in 0..self.links.len() {
            self.shape(index, cell.shapes[index]).await?;
            probes.push(self.prove(index).await?);
        }
        Ok(probes)
    }

    /// Measures a link against what it is asked to be.
    pub(crate) async fn prove(&mut self, index: usize) -> Result<LinkProbe, ScenarioError> {
        let mut probe = self.probe(index).await?;
        probe.rates = self.probe_rates(index).await?;
        self.refuse_changed(index).await?;
        Ok(probe)
    }

    /// Measures the links that the steps used once more: a link that did not stay
    /// what it was is told, and no error, for what was measured stands.
    async fn probe_again(
        &self,
        cell: &CellPlan,
        probes: &mut [LinkProbe],
    ) -> Result<(), ScenarioError> {
        let used = cell.parts().filter_map(StepPlan::ends);
        let used: BTreeSet<usize> =
            used.map(|(dialler, listener)| self.link_index(dialler, listener)).collect();
        for index in used {
            self.probe_after(index, &mut probes[index]).await?;
        }
        Ok(())
    }

    /// One step that is not made of others, and the assertions that did not hold.
    pub(crate) async fn step(
        &self,
        step: &StepPlan,
    ) -> Result<(StepResult, Vec<String>), ScenarioError> {
        match step {
            StepPlan::Transfer(transfer) => {
                let result = self.transfer(transfer).await?;
                let size_bytes = self.plan.samples[transfer.sample].size_bytes;
                let failed = check::transfer(transfer, size_bytes, &result);
                self.events.add("transfer", json!({"name": result.name, "wall_ns": result.wall_ns, "digest_equal": result.digest_equal}));
                Ok((StepResult::Transfer(Box::new(result)), failed))
            }
            StepPlan::Rekey { name, dialler, listener } => {
                let result = self.rekey(name, dialler, listener).await?;
                let failed = check::rekey(&result);
                Ok((result, failed))
            }
            StepPlan::Parallel { .. } => unreachable!("parallel steps hold none that are"),
        }
    }

    async fn rekey(
        &self,
        name: &str,
        dialler: &str,
        listener: &str,
    ) -> Result<StepResult, ScenarioError> {
        let peer = self.peer(dialler);
        let before = peer.epochs(listener).await?;
        let start_ns = clock::now_ns();
        let request = RekeyRequest { peer: listener.to_owned(), fold: false };
        let mut control = peer.control.clone();
        let link = &self.links[self.link_index(dialler, listener)];
        let deadline_ms = CALL_DEADLINE_MS + link::trip_ms_max(&link.plan.shape) * ROUND_TRIPS_MAX;
        let reply = peer.call_within(deadline_ms, "rekey", control.rekey(request)).await?;
        let wall_ns = clock::now_ns() - start_ns;
        let after = Epochs { sent: reply.epoch_sent, received: reply.epoch_received };
        self.events.add("rekey", json!({"name": name, "wall_ns": wall_ns, "after": after}));
        let link = format!("{dialler}:{listener}");
        Ok(StepResult::Rekey { name: name.to_owned(), link, wall_ns, before, after })
    }

    /// The peer of that name; the plan names only peers that it has.
    pub(crate) fn peer(&self, name: &str) -> &LivePeer {
        let found = self.peers.iter().find(|peer| peer.name == name);
        found.expect("the plan names only its own peers")
    }

    /// The link over which `reader` reads from `owner`, by index.
    pub(crate) fn link_index(&self, reader: &str, owner: &str) -> usize {
        let found = self
            .links
            .iter()
            .position(|link| link.plan.dialler == reader && link.plan.listener == owner);
        found.expect("the planner refuses a transfer without a link")
    }
}

impl LivePeer {
    /// Waits for a control call with the deadline of short calls.
    pub(crate) async fn call<T>(
        &self,
        attempted: &str,
        call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    ) -> Result<T, ScenarioError> {
        self.call_within(CALL_DEADLINE_MS, attempted, call).await
    }

    /// Waits for a control call that may take long.
    pub(crate) async fn call_within<T>(
        &self,
        deadline_ms: u64,
        attempted: &str,
        call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    ) -> Result<T, ScenarioError> {
        match tokio::time::timeout(Duration::from_millis(deadline_ms), call).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(self.refused(attempted, &status)),
            Err(_) => Err(ScenarioError::Silent {
                peer: self.name.clone(),
                attempted: attempted.to_owned(),
                deadline_ms,
            }),
        }
    }

    pub(crate) fn refused(&self, attempted: &str, status: &tonic::Status) -> ScenarioError {
        let (peer, attempted) = (self.name.clone(), attempted.to_owned());
        if status.code() == tonic::Code::Unimplemented {
            let message = status.message();
            let reason =
                if message.is_empty() { "UNIMPLEMENTED".to_owned() } else { message.to_owned() };
            return ScenarioError::Lacks { peer, attempted, reason };
        }
        ScenarioError::Control { peer, attempted, reason: status.message().to_owned() }
    }

    /// Epochs of the session that this peer dialled to `listener`.
    pub(crate) async fn epochs(&self, listener: &str) -> Result<Epochs, ScenarioError> {
        let mut control = self.control.clone();
        let sessions = self.call("sessions", control.sessions(SessionsRequest {})).await?.sessions;
        let of_link = |session: &&SessionCounters| {
            session.dialled && session.peer == listener && session.lane == 0
        };
        let session = sessions.iter().find(of_link);
        Ok(session.map_or(Epochs { sent: 0, received: 0 }, |session| Epochs {
            sent: session.epoch_sent,
            received: session.epoch_received,
        }))
    }
}
