//! Reading a toxic's attributes, with their names and ranges in every error.

use std::fmt;
use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::quantity::{LATENCY_MS_MAX, Millis, RATE_KB_PER_S_MAX, RateBytes};

/// An attribute that cannot be. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttributeError {
    /// Outside its range, or of another type.
    #[error("{field} must be {allowed}, got {got}")]
    Range {
        /// Its name in JSON.
        field: &'static str,
        /// In words.
        allowed: String,
        /// As it came.
        got: String,
    },
    /// The type of toxic has no such attribute.
    #[error("{kind} has no attribute {name:?}; it has {}", list(known))]
    Unknown {
        /// `type` of the toxic.
        kind: String,
        /// As it came.
        name: String,
        /// What the type has.
        known: &'static [&'static str],
    },
}

impl AttributeError {
    pub(super) fn range(field: &'static str, allowed: String, got: impl fmt::Display) -> Self {
        Self::Range { field, allowed, got: got.to_string() }
    }
}

fn list(known: &[&str]) -> String {
    if known.is_empty() { "none".to_owned() } else { known.join(", ") }
}

/// Attributes as they came. A field that is absent or null keeps its old value.
#[derive(Debug)]
pub(super) struct Attributes<'a>(pub(super) &'a Map<String, Value>);

impl Attributes<'_> {
    fn value(&self, field: &str) -> Option<&Value> {
        self.0.get(field).filter(|value| !value.is_null())
    }

    pub(super) fn millis(
        &self,
        field: &'static str,
        old: Millis,
    ) -> Result<Millis, AttributeError> {
        let Some(value) = self.value(field) else { return Ok(old) };
        value.as_f64().and_then(Millis::from_number).ok_or_else(|| {
            let allowed = format!("a number of milliseconds from 0 to {LATENCY_MS_MAX}");
            AttributeError::range(field, allowed, value)
        })
    }

    pub(super) fn micros(
        &self,
        field: &'static str,
        old: Millis,
    ) -> Result<Millis, AttributeError> {
        let old_us = old.as_nanos() / 1_000;
        let us = self.integer(field, old_us, 0..=LATENCY_MS_MAX * 1_000)?;
        Ok(Millis::from_micros(us))
    }

    pub(super) fn rate(
        &self,
        field: &'static str,
        old: RateBytes,
    ) -> Result<RateBytes, AttributeError> {
        let Some(value) = self.value(field) else { return Ok(old) };
        value.as_f64().and_then(RateBytes::from_number).ok_or_else(|| {
            let allowed = format!("a number of KB/s (1000 bytes) from 0 to {RATE_KB_PER_S_MAX}");
            AttributeError::range(field, allowed, value)
        })
    }

    /// Also checks the old value, as its range may depend on a new one.
    pub(super) fn integer(
        &self,
        field: &'static str,
        old: u64,
        range: RangeInclusive<u64>,
    ) -> Result<u64, AttributeError> {
        let found = match self.value(field) {
            None => Some(old),
            // 5.0 is an integer to JSON.
            Some(value) => value.as_u64().or_else(|| value.as_f64().and_then(exact)),
        };
        found.filter(|found| range.contains(found)).ok_or_else(|| {
            let allowed = format!("an integer from {} to {}", range.start(), range.end());
            let got = self.value(field).map_or_else(|| old.to_string(), ToString::to_string);
            AttributeError::range(field, allowed, got)
        })
    }

    pub(super) fn text(&self, field: &'static str) -> Result<Option<&str>, AttributeError> {
        match self.value(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(AttributeError::range(field, "a string".to_owned(), other)),
        }
    }
}

fn exact(number: f64) -> Option<u64> {
    if number.fract() != 0.0 || !(0.0..=super::effect::BYTES_MAX as f64).contains(&number) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number from 0 to 2^53"
    )]
    let integer = number as u64;
    Some(integer)
}
