//! What a map says about the bytes of a link, one direction at a time.

use super::super::super::defaults;
use super::super::super::diagnostic::Diagnostic;
use super::super::super::schema::{self, UNLIMITED};
use super::super::super::source::{Placed, Span};
use super::super::super::suggest;
use super::super::super::tree::{Node, Value};
use super::super::super::units::{self, DurationUs, RateBits};
use super::super::fields::{self, Fields};
use super::preset;
use crate::testbed::plan::{OneWay, RateScope};

/// In the order of [`schema::RATE_SCOPES`].
const SCOPES: [RateScope; 2] = [RateScope::Link, RateScope::Connection];

/// Something for each direction of bytes: from `a` to `b`, and back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ways<T> {
    pub(super) forth: T,
    pub(super) back: T,
}

/// What is said about one direction; none is not said.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Said {
    latency_us: Option<u64>,
    jitter_us: Option<Placed<u64>>,
    /// None within: unlimited.
    rate_bits_per_s: Option<Option<u64>>,
    rate_scope: Option<Placed<RateScope>>,
}

impl Said {
    /// This, and from `under` what this does not say.
    pub(super) fn over(self, under: Self) -> Self {
        Self {
            latency_us: self.latency_us.or(under.latency_us),
            jitter_us: self.jitter_us.or(under.jitter_us),
            rate_bits_per_s: self.rate_bits_per_s.or(under.rate_bits_per_s),
            rate_scope: self.rate_scope.or(under.rate_scope),
        }
    }

    /// All of a preset's direction. What it does not have is not said.
    fn preset(way: OneWay, span: Span) -> Self {
        Self {
            latency_us: Some(way.latency_us),
            jitter_us: Some(Placed { value: way.jitter_us, span }),
            rate_bits_per_s: way.rate_bits_per_s.map(Some),
            rate_scope: None,
        }
    }

    fn one_way(self, found: &mut Vec<Diagnostic>) -> OneWay {
        let latency_us = self.latency_us.unwrap_or(0);
        let jitter_us = self.jitter_us.map_or(0, |jitter| {
            if jitter.value > latency_us {
                let (jitter_text, latency) = (DurationUs(jitter.value), DurationUs(latency_us));
                let message =
                    format!("a jitter of {jitter_text} each way on a one-way latency of {latency}");
                let hint = format!("at most the latency: `jitter: {latency}`, or more latency");
                found.push(Diagnostic::new(jitter.span, message).hint(hint));
            }
            jitter.value
        });
        OneWay {
            latency_us,
            jitter_us,
            rate_bits_per_s: self.rate_bits_per_s.flatten(),
            rate_scope: self.rate_scope.map_or_else(RateScope::default, |scope| scope.value),
        }
    }
}

impl Ways<Said> {
    /// What the map `node` says about both directions: its preset, and over that
    /// its other keys. `rtt` is halved, `latency` counts each way.
    pub(super) fn read(fields: &Fields<'_>, what: &str, found: &mut Vec<Diagnostic>) -> Self {
        let preset = fields.find("preset").and_then(|node| {
            let preset = preset_named(node, found)?;
            Some(Self {
                forth: Said::preset(preset.forth, node.span),
                back: Said::preset(preset.back, node.span),
            })
        });
        let Self { forth, back } = preset.unwrap_or_default();
        let max_us = defaults::LATENCY_US_MAX;
        let jitter_us = fields.find("jitter").and_then(|node| {
            let value = fields::duration_us(node, "`jitter`", max_us, found)?;
            Some(Placed { value, span: node.span })
        });
        let own = Said {
            latency_us: latency_us(fields, what, found),
            jitter_us,
            rate_bits_per_s: fields.find("rate").and_then(|node| rate(node, found)),
            rate_scope: scope(fields, found),
        };
        Self { forth: own.over(forth), back: own.over(back) }
    }

    /// The shapes that are left when everything is said. What was said with
    /// mistakes, since there were `before` of them, is not checked further.
    pub(super) fn shapes(self, before: usize, found: &mut Vec<Diagnostic>) -> Ways<OneWay> {
        if found.len() > before {
            return Ways::default();
        }
        let all = [self.forth, self.back];
        let scope = all.iter().find_map(|said| said.rate_scope);
        if let Some(scope) = scope
            && all.iter().all(|said| said.rate_bits_per_s.is_none())
        {
            let message = "`rate_scope` without a rate to share";
            let hint = "add `rate: ...`, or remove it";
            found.push(Diagnostic::new(scope.span, message).hint(hint));
        }
        Ways { forth: self.forth.one_way(found), back: self.back.one_way(found) }
    }
}

fn preset_named(node: &Node, found: &mut Vec<Diagnostic>) -> Option<preset::Preset> {
    let name = fields::text(node, "`preset`", found)?;
    let preset = preset::find(name);
    if preset.is_none() {
        let message = format!("there is no preset `{name}`");
        let hint = suggest::hint(name, &preset::NAMES);
        found.push(Diagnostic::new(node.span, message).hint(hint));
    }
    preset
}

fn latency_us(fields: &Fields<'_>, what: &str, found: &mut Vec<Diagnostic>) -> Option<u64> {
    let max_us = defaults::LATENCY_US_MAX;
    match (fields.find("rtt"), fields.find("latency")) {
        (Some(rtt), Some(latency)) => {
            let message = format!("{what} gives both `rtt` and `latency`");
            let hint = "`rtt` is there and back, `latency` is one way: keep one";
            let both = Diagnostic::new(latency.span, message).hint(hint);
            found.push(both.related(rtt.span, "`rtt` is given here"));
            None
        }
        (Some(rtt), None) => fields::duration_us(rtt, "`rtt`", 2 * max_us, found)
            .and_then(|rtt_us| half(rtt_us, rtt.span, found)),
        (None, Some(latency)) => fields::duration_us(latency, "`latency`", max_us, found),
        (None, None) => None,
    }
}

fn half(rtt_us: u64, span: Span, found: &mut Vec<Diagnostic>) -> Option<u64> {
    if rtt_us.is_multiple_of(2) {
        return Some(rtt_us / 2);
    }
    let message = format!("half of `rtt` ({rtt_us}us) is not a whole number of microseconds");
    let hint = format!("write `{}us`, or give `latency`, one way", rtt_us + 1);
    found.push(Diagnostic::new(span, message).hint(hint));
    None
}

/// A rate in bits per second; none within: unlimited.
fn rate(node: &Node, found: &mut Vec<Diagnostic>) -> Option<Option<u64>> {
    if matches!(&node.value, Value::Scalar(scalar) if scalar.text == UNLIMITED) {
        return Some(None);
    }
    let bits = fields::quantity(node, "`rate`", units::rate_bits_per_s, found)?;
    let (min, max) = (defaults::RATE_BITS_PER_S_MIN, defaults::RATE_BITS_PER_S_MAX);
    if bits == 0 {
        let message = "`rate` is zero: nothing would ever arrive";
        let hint = format!("at least {}; `{UNLIMITED}` is no limit", RateBits(min));
        found.push(Diagnostic::new(node.span, message).hint(hint));
        return None;
    }
    let show = |bits| RateBits(bits).to_string();
    let bits = fields::within(node, "`rate`", bits, min..=max, show, found)?;
    if !bits.is_multiple_of(8) {
        let message = format!("`rate` is {}, not a whole number of bytes per second", show(bits));
        let hint = format!("write `{}`", show(bits.next_multiple_of(8)));
        found.push(Diagnostic::new(node.span, message).hint(hint));
        return None;
    }
    Some(Some(bits))
}

fn scope(fields: &Fields<'_>, found: &mut Vec<Diagnostic>) -> Option<Placed<RateScope>> {
    let span = fields.find("rate_scope")?.span;
    let word = fields.word("rate_scope", "scope", found)?;
    let mut scopes = schema::RATE_SCOPES.into_iter().zip(SCOPES);
    scopes.find(|(name, _)| *name == word).map(|(_, value)| Placed { value, span })
}
