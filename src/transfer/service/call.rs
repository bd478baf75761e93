//! One gRPC call that carries file bytes, and what it must record at its end.

use std::sync::atomic::{AtomicU64, Ordering};

use tracing::Span;

use crate::telemetry::layers::{Account, Entered, Layer, LayerTimes};
use crate::transfer::spans;

/// A call under way; dropping it records the layers' times over its life.
#[derive(Debug)]
pub(super) struct Call {
    account: Account,
    before: LayerTimes,
    envelope: Option<Entered>,
    bytes: AtomicU64,
    span: Span,
}

impl Call {
    pub(super) fn new(account: Account, span: Span) -> Self {
        let before = account.times();
        Self { account, before, envelope: None, bytes: AtomicU64::new(0), span }
    }

    /// The call answers one request from here to its end.
    pub(super) fn answering(mut self) -> Self {
        self.envelope = Some(self.account.enter(Layer::Grpc));
        self
    }

    pub(super) fn account(&self) -> &Account {
        &self.account
    }

    pub(super) fn span(&self) -> &Span {
        &self.span
    }

    pub(super) fn add_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.envelope = None;
        spans::record_layers(&self.span, &self.account.times().since(&self.before));
        spans::record_length(&self.span, self.bytes.load(Ordering::Relaxed));
    }
}
