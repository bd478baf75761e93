//! Time by layer of the reader or of the server.

use super::super::collect::SpanRecord;
use crate::telemetry::layers::Layer;
use crate::telemetry::names::attribute;

/// Exclusive times of one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SideTimes(pub(super) [u64; Layer::ALL.len()]);

impl SideTimes {
    /// From a span's attributes; a layer without one had no time.
    pub(super) fn of(span: &SpanRecord) -> Option<Self> {
        let mut times = Self::default();
        let mut any = false;
        for layer in Layer::ALL {
            let name = format!("{}{}_ns", attribute::LAYER_PREFIX, layer.name());
            if let Some(time_ns) = span.attribute_u64(&name) {
                times.add(layer, time_ns);
                any = true;
            }
        }
        any.then_some(times)
    }

    pub(super) fn of_layer(&self, layer: Layer) -> u64 {
        self.0[layer as usize]
    }

    pub(super) fn add(&mut self, layer: Layer, time_ns: u64) {
        self.0[layer as usize] = self.of_layer(layer).saturating_add(time_ns);
    }

    pub(super) fn total_ns(&self) -> u64 {
        self.0.iter().fold(0, |sum, time_ns| sum.saturating_add(*time_ns))
    }

    /// The same, scaled down to fit `room_ns`; fractions are rounded down.
    pub(super) fn scaled_to(&self, room_ns: u64) -> Self {
        let total_ns = self.total_ns();
        if total_ns <= room_ns {
            return *self;
        }
        let scale = |time_ns: u64| {
            let scaled = u128::from(time_ns) * u128::from(room_ns) / u128::from(total_ns);
            u64::try_from(scaled).expect("not more than room_ns, for no part exceeds the total")
        };
        Self(self.0.map(scale))
    }
}
