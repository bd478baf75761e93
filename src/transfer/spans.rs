//! The spans of a transfer. `tracing` wants names as literals; a test holds them
//! equal to [`telemetry::names`](crate::telemetry::names).

use tracing::Span;
use tracing::field::Empty;

use crate::telemetry::layers::LayerTimes;
use crate::telemetry::names::attribute;

/// A span with room for the time of every layer, filled in by [`record_layers`].
macro_rules! layered_span {
    ($name:literal, $($fields:tt)*) => {
        tracing::info_span!(
            $name,
            dropbed.layer.disk_ns = Empty,
            dropbed.layer.fuse_ns = Empty,
            dropbed.layer.fetch_ns = Empty,
            dropbed.layer.grpc_ns = Empty,
            dropbed.layer.seal_ns = Empty,
            dropbed.layer.open_ns = Empty,
            dropbed.layer.tcp_wait_ns = Empty,
            dropbed.layer.idle_ns = Empty,
            $($fields)*
        )
    };
}

pub(crate) fn pull(peer: &str, path: &str, mode: &str) -> Span {
    layered_span!(
        "transfer.pull",
        dropbed.peer = peer,
        dropbed.path = path,
        dropbed.mode = mode,
        dropbed.length_bytes = Empty
    )
}

pub(crate) fn mount_read(peer: &str, path: &str) -> Span {
    layered_span!(
        "mount.read",
        dropbed.peer = peer,
        dropbed.path = path,
        dropbed.mode = "mount",
        dropbed.length_bytes = Empty
    )
}

/// One gRPC call at the server. The mode is how the client asks; whether a mount
/// is behind it, only the client knows.
pub(crate) fn call(peer: &str, path: &str, mode: &str) -> Span {
    layered_span!(
        "transfer.call",
        dropbed.peer = peer,
        dropbed.path = path,
        dropbed.mode = mode,
        dropbed.length_bytes = Empty
    )
}

pub(crate) fn serve(parent: &Span, path: &str, offset_bytes: u64, length_bytes: u64) -> Span {
    tracing::info_span!(
        parent: parent,
        "transfer.serve",
        dropbed.path = path,
        dropbed.offset_bytes = signed(offset_bytes),
        dropbed.length_bytes = signed(length_bytes)
    )
}

pub(crate) fn fetch(peer: &str, path: &str, offset_bytes: u64, length_bytes: u64) -> Span {
    tracing::info_span!(
        "transfer.fetch",
        dropbed.peer = peer,
        dropbed.path = path,
        dropbed.offset_bytes = signed(offset_bytes),
        dropbed.length_bytes = signed(length_bytes)
    )
}

pub(crate) fn disk_read(parent: &Span, offset_bytes: u64, length_bytes: u32) -> Span {
    tracing::info_span!(
        parent: parent,
        "disk.read",
        dropbed.offset_bytes = signed(offset_bytes),
        dropbed.length_bytes = length_bytes
    )
}

pub(crate) fn disk_write(parent: &Span, offset_bytes: u64, length_bytes: usize) -> Span {
    tracing::info_span!(
        parent: parent,
        "disk.write",
        dropbed.offset_bytes = signed(offset_bytes),
        dropbed.length_bytes = signed(length_bytes as u64)
    )
}

pub(crate) fn session_connect(peer: &str) -> Span {
    tracing::info_span!("session.connect", dropbed.peer = peer)
}

pub(crate) fn rekey(peer: &str) -> Span {
    tracing::info_span!(
        "secure.rekey",
        dropbed.peer = peer,
        dropbed.epoch_sent = Empty,
        dropbed.epoch_received = Empty
    )
}

/// Records what each layer had since the span began.
pub(crate) fn record_layers(span: &Span, times: &LayerTimes) {
    if span.is_disabled() {
        return;
    }
    for (layer, self_ns) in times.iter() {
        let field = format!("{}{}_ns", attribute::LAYER_PREFIX, layer.name());
        span.record(field.as_str(), signed(self_ns));
    }
}

/// Records how many bytes were carried.
pub(crate) fn record_length(span: &Span, length_bytes: u64) {
    span.record(attribute::LENGTH_BYTES, signed(length_bytes));
}

/// OpenTelemetry's integers are signed; no duration or file comes near the end.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
