//! One transfer: start it at the reader, follow it, check what arrived.

use std::time::Duration;

use serde_json::json;
use tonic::{Request, Streaming};

use super::{ScenarioError, Stage};
use crate::proto::control::{
    self, DigestRequest, DiscardRequest, FlushTelemetryRequest, PullRequest, ReadMountRequest,
    SessionCounters, TransferDone, TransferEvent, destination, digest_request, transfer_event,
};
use crate::telemetry::{clock, names};
use crate::testbed::collect::{SpanRecord, Trace, TraceContext};
use crate::testbed::layer_table::{LayerTable, Pattern, StepFacts};
use crate::testbed::plan::{SamplePlan, TransferDestination, TransferMode, TransferPlan};
use crate::testbed::result::{Epochs, LinkTraffic, TransferResult, WayTraffic};
use crate::testbed::ui::TransferProgress;
use crate::toxiproxy::api::{ProxyCounters, StreamCounters};

/// Spans have arrived when the peers' flush returns; the server's last span may
/// end some microseconds after the reader's, and so after the first flush.
const TRACE_DEADLINE_MS: u64 = 10_000;

/// How often peers are asked again to hand over what has ended since.
const FLUSH_INTERVAL_MS: u64 = 100;

impl Stage {
    /// Runs one transfer and measures it. Failed assertions are the caller's;
    /// an error here means that there is no result.
    pub(super) async fn transfer(
        &self,
        plan: &TransferPlan,
    ) -> Result<TransferResult, ScenarioError> {
        let sample = &self.plan.samples[plan.sample];
        let link = &self.links[self.link_index(&plan.to, &plan.from)];
        let trace = TraceContext::new_root(&mut rand::rng());
        let counted_before = self.counters(&link.plan.name).await?;
        let start_ns = clock::unix_ns();
        let deadline = Duration::from_millis(plan.deadline_ms);
        let followed = tokio::time::timeout(deadline, self.follow(plan, sample, &trace)).await;
        let done = followed.map_err(|_| ScenarioError::Deadline {
            step: plan.name.clone(),
            deadline_ms: plan.deadline_ms,
        })??;
        let counted_after = self.counters(&link.plan.name).await?;
        let traffic =
            counted_before.zip(counted_after).map(|(before, after)| traffic(&before, &after));
        self.record_step(plan, &trace, start_ns);
        let digest_equal = self.digest_equal(plan, &done).await?;
        let counters = session_change(&done);
        if counters.is_none() && plan.rekeys_min > 0 {
            return Err(ScenarioError::Lacks {
                peer: plan.to.clone(),
                attempted: format!("counting the rekeys of step `{}`", plan.name),
                reason: "it tells no session counters with a transfer".to_owned(),
            });
        }
        let facts = StepFacts {
            pattern: pattern(plan, &done),
            rtt_ns: link.rtt_measured_us * 1_000,
            wall_ns: done.wall_ns,
        };
        // A peer that does not tell had one.
        let lanes = done.lanes.max(1);
        let spans = self.spans(plan, &trace, lanes).await?;
        let layers = spans.map(|spans| LayerTable::of(&spans, &facts)).transpose();
        let layers = layers.map_err(|error| ScenarioError::NoTrace {
            step: plan.name.clone(),
            reason: error.to_string(),
        })?;
        let rekey_gap_ns_max = counters.as_ref().map_or(0, |(_, after)| after.rekey_gap_ns_max);
        Ok(TransferResult {
            name: plan.name.clone(),
            mode: plan.mode,
            link: link.plan.name.to_string(),
            bytes: done.bytes,
            chunk_bytes: done.chunk_bytes,
            depth: done.depth,
            lanes,
            wall_ns: done.wall_ns,
            first_byte_ns: done.first_byte_ns,
            gap_ns_max: done.gap_ns_max,
            rekey_gap_ns_max: (rekey_gap_ns_max > 0).then_some(rekey_gap_ns_max),
            link_bytes: traffic.map(|traffic| traffic.down.bytes),
            traffic,
            before: counters.as_ref().map(|(before, _)| epochs(before)),
            after: counters.as_ref().map(|(_, after)| epochs(after)),
            digest_equal,
            rtt_measured_us: link.rtt_measured_us,
            layers,
            trace_id: trace.trace_id.to_string(),
        })
    }

    /// Starts the transfer and reads its events to the end.
    async fn follow(
        &self,
        plan: &TransferPlan,
        sample: &SamplePlan,
        trace: &TraceContext,
    ) -> Result<TransferDone, ScenarioError> {
        let reader = self.peer(&plan.to);
        let attempted = format!("step `{}`", plan.name);
        let mut events = self.start(plan, sample, trace).await?;
        let mut progress = self.ui.transfer(&plan.name, sample.size_bytes);
        loop {
            match events.message().await {
                Ok(Some(TransferEvent { event: Some(transfer_event::Event::Progress(at)) })) => {
                    progress.at(at.bytes);
                }
                Ok(Some(TransferEvent { event: Some(transfer_event::Event::Done(done)) })) => {
                    drop::<TransferProgress>(progress);
                    return Ok(done);
                }
                Ok(Some(TransferEvent { event: None })) => {}
                Ok(None) => {
                    let status = tonic::Status::internal("the transfer ended without a result");
                    return Err(reader.refused(&attempted, &status));
                }
                Err(status) => return Err(reader.refused(&attempted, &status)),
            }
        }
    }

    async fn start(
        &self,
        plan: &TransferPlan,
        sample: &SamplePlan,
        trace: &TraceContext,
    ) -> Result<Streaming<TransferEvent>, ScenarioError> {
        let reader = self.peer(&plan.to);
        let mut control = reader.control.clone();
        let attempted = format!("starting step `{}`", plan.name);
        let rekey_at_bytes: Vec<u64> = plan
            .rekey_at_permille
            .iter()
            .map(|&permille| sample.size_bytes / 1_000 * u64::from(permille))
            .collect();
        if plan.mode == TransferMode::Mount {
            let message = ReadMountRequest {
                path: format!("{}/{}", plan.from, sample.path),
                read_bytes: plan.chunk_bytes.unwrap_or(0),
                rekey_at_bytes,
            };
            return reader.call(&attempted, control.read_mount(traced(message, trace))).await;
        }
        let to = match plan.destination {
            TransferDestination::File => destination::To::Download(download_name(plan)),
            TransferDestination::Hash => destination::To::HashOnly(true),
        };
        let mode = match plan.mode {
            TransferMode::RequestResponse => control::Mode::RequestResponse,
            TransferMode::Push | TransferMode::Mount => control::Mode::Push,
        };
        let message = PullRequest {
            peer: plan.from.clone(),
            path: sample.path.clone(),
            mode: mode.into(),
            chunk_bytes: plan.chunk_bytes.unwrap_or(0),
            depth: plan.depth.unwrap_or(0),
            destination: Some(control::Destination { to: Some(to) }),
            rekey_at_bytes,
            lanes: plan.lanes.unwrap_or(0),
        };
        reader.call(&attempted, control.pull(traced(message, trace))).await
    }

    /// Compares what arrived with the source. A file is digested from disk, by
    /// code that had no part in the transfer, and then removed.
    async fn digest_equal(
        &self,
        plan: &TransferPlan,
        done: &TransferDone,
    ) -> Result<bool, ScenarioError> {
        let expected = self.digests[plan.sample].as_bytes().as_slice();
        let to_file =
            plan.mode != TransferMode::Mount && plan.destination == TransferDestination::File;
        if !to_file {
            return Ok(done.blake3 == expected);
        }
        let reader = self.peer(&plan.to);
        let download = download_name(plan);
        let file = Some(digest_request::File::Download(download.clone()));
        let mut control = reader.control.clone();
        let attempted = format!("digesting what step `{}` wrote", plan.name);
        let digest = control.digest(DigestRequest { file });
        let reply = reader.call_within(plan.deadline_ms, &attempted, digest).await?;
        let mut control = reader.control.clone();
        let attempted = format!("removing what step `{}` wrote", plan.name);
        reader.call(&attempted, control.discard(DiscardRequest { download })).await?;
        Ok(reply.blake3 == expected)
    }

    /// What the proxy has counted of a link so far.
    async fn counters(&self, link: &str) -> Result<Option<ProxyCounters>, ScenarioError> {
        if !self.proxy_counts {
            return Ok(None);
        }
        let counters = self.proxy.counters().await;
        let mut counters = counters.map_err(|error| ScenarioError::Proxy {
            link: link.to_owned(),
            attempted: "reading its byte counters".into(),
            reason: error.to_string(),
        })?;
        Ok(counters.remove(link))
    }

    fn record_step(&self, plan: &TransferPlan, trace: &TraceContext, start_ns: u64) {
        let attributes = [
            (names::attribute::MODE, plan.mode.name()),
            (names::attribute::STEP, plan.name.as_str()),
        ];
        let span = SpanRecord {
            trace_id: trace.trace_id,
            span_id: trace.span_id,
            parent_id: None,
            name: names::span::SCENARIO_STEP.to_owned(),
            service_instance: "dropbed".to_owned(),
            start_ns,
            end_ns: clock::unix_ns(),
            attributes: attributes.map(|(name, value)| (name.to_owned(), json!(value))).into(),
        };
        self.collector.record(span);
    }

    /// The spans of the step's trace, once both ends have told theirs; `None` when
    /// one of them has no telemetry.
    async fn spans(
        &self,
        plan: &TransferPlan,
        trace: &TraceContext,
        lanes: u32,
    ) -> Result<Option<Vec<SpanRecord>>, ScenarioError> {
        let spans = self.collector.wait_for(
            trace.trace_id,
            "the spans of both ends",
            TRACE_DEADLINE_MS,
            |spans| has_both_ends(plan, lanes, spans),
        );
        tokio::pin!(spans);
        loop {
            // A flush hands over what has ended; the last span may end after it.
            if !self.flush(plan).await? {
                return Ok(None);
            }
            let pause = Duration::from_millis(FLUSH_INTERVAL_MS);
            if let Ok(spans) = tokio::time::timeout(pause, &mut spans).await {
                return spans.map(Some).map_err(|error| ScenarioError::NoTrace {
                    step: plan.name.clone(),
                    reason: error.to_string(),
                });
            }
        }
    }

    /// Whether both ends have handed over what they have.
    async fn flush(&self, plan: &TransferPlan) -> Result<bool, ScenarioError> {
        let mut both = true;
        for name in [&plan.to, &plan.from] {
            let peer = self.peer(name);
            let mut control = peer.control.clone();
            let flush = control.flush_telemetry(FlushTelemetryRequest {});
            let flushed = peer.call("flushing its spans", flush).await;
            both &= self.lacking.allow(flushed, "its steps have no time per layer")?.is_some();
        }
        Ok(both)
    }
}

/// Whether the reader's span and the server's, one for each lane, have arrived, which
/// carry the times.
fn has_both_ends(plan: &TransferPlan, lanes: u32, trace: &Trace) -> bool {
    let reader = match plan.mode {
        TransferMode::Mount => names::span::MOUNT_READ,
        TransferMode::Push | TransferMode::RequestResponse => names::span::TRANSFER_PULL,
    };
    let count = |name: &str| trace.values().filter(|span| span.name == name).count();
    count(reader) > 0 && count(names::span::TRANSFER_CALL) >= lanes as usize
}

fn pattern(plan: &TransferPlan, done: &TransferDone) -> Pattern {
    match plan.mode {
        TransferMode::Push => Pattern::Push,
        TransferMode::Mount => Pattern::Mount,
        TransferMode::RequestResponse => Pattern::RequestResponse {
            chunks: done.bytes.div_ceil(u64::from(done.chunk_bytes.max(1))),
            depth: done.depth.into(),
        },
    }
}

fn traced<T>(message: T, trace: &TraceContext) -> Request<T> {
    let mut request = Request::new(message);
    if let Ok(value) = trace.traceparent().parse() {
        request.metadata_mut().insert("traceparent", value);
    }
    request
}

/// Steps of one run may have odd names; files may not.
fn download_name(plan: &TransferPlan) -> String {
    let name = plan.name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' });
    format!("step-{}", name.collect::<String>())
}

/// Before and after; `None` from a peer that counts nothing. A session that began
/// with the transfer was at its start before.
fn session_change(done: &TransferDone) -> Option<(SessionCounters, SessionCounters)> {
    let after = done.after.clone()?;
    Some((done.before.clone().unwrap_or_default(), after))
}

fn traffic(before: &ProxyCounters, after: &ProxyCounters) -> LinkTraffic {
    let way = |before: &StreamCounters, after: &StreamCounters| WayTraffic {
        bytes: after.sent_bytes.saturating_sub(before.sent_bytes),
        first_unix_us: after.first_sent_unix_us,
        last_unix_us: after.last_sent_unix_us,
        queued_bytes_max: after.queued_bytes_max,
    };
    LinkTraffic {
        up: way(&before.upstream, &after.upstream),
        down: way(&before.downstream, &after.downstream),
    }
}

fn epochs(counters: &SessionCounters) -> Epochs {
    Epochs { sent: counters.epoch_sent, received: counters.epoch_received }
}
