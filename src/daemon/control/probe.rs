//! What a session does to time: pings and bursts.

use tonic::Status;

use crate::daemon::session::Session;
use crate::proto::control as wire;
use crate::transfer::burst::WireCounter;

/// Round trips, one after the other.
pub(super) async fn ping(session: &Session, count: u32) -> Result<wire::PingReply, Status> {
    let mut rtt_ns = Vec::new();
    let mut after_first = None;
    for _ in 0..count {
        rtt_ns.push(session.client.ping().await?);
        after_first.get_or_insert_with(|| session.handle.counters());
    }
    let (before, after) = (after_first.unwrap_or_default(), session.handle.counters());
    let trips = u64::from(count).saturating_sub(1);
    let each = |all: u64| (all + trips / 2).checked_div(trips).unwrap_or(0);
    Ok(wire::PingReply {
        rtt_ns,
        wire_bytes_sent: each(after.wire_bytes_sent - before.wire_bytes_sent),
        wire_bytes_received: each(after.wire_bytes_received - before.wire_bytes_received),
        records_sent: each(after.records_sent - before.records_sent),
        records_received: each(after.records_received - before.records_received),
    })
}

/// One burst, timed where it arrives.
pub(super) async fn burst(
    session: &Session,
    request: &wire::BurstRequest,
) -> Result<wire::BurstReply, Status> {
    let arrived = match request.direction() {
        wire::BurstDirection::ToPeer => session.client.burst_up(request.bytes).await?,
        wire::BurstDirection::FromPeer => {
            let counter = WireCounter::of(session.handle.clone());
            session.client.burst_down(request.bytes, &counter).await?
        }
        wire::BurstDirection::Unspecified => {
            return Err(Status::invalid_argument("a burst needs a direction"));
        }
    };
    let (bytes, wire_bytes, span_ns) = (arrived.bytes, arrived.wire_bytes, arrived.span_ns);
    Ok(wire::BurstReply { bytes, wire_bytes, span_ns })
}
