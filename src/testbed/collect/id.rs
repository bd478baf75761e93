//! Ids of traces and spans (W3C Trace Context).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Id of a trace (W3C Trace Context): 16 bytes, not all zero, 32 hex digits as
/// text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct TraceId(u128);

/// Id of a span (W3C Trace Context): 8 bytes, not all zero, 16 hex digits as
/// text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct SpanId(u64);

/// A span that the orchestrator starts: parent of what peers do for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace_id: TraceId,
    /// The span within it.
    pub span_id: SpanId,
}

impl TraceContext {
    /// The root span of a new trace.
    pub fn new_root(random: &mut impl rand::Rng) -> Self {
        let high = u128::from(random.next_u64()) << 64;
        let trace_id = TraceId((high | u128::from(random.next_u64())).max(1));
        Self { trace_id, span_id: SpanId::new(random) }
    }

    /// Another span of the same trace.
    #[must_use]
    pub fn child(&self, random: &mut impl rand::Rng) -> Self {
        Self { trace_id: self.trace_id, span_id: SpanId::new(random) }
    }

    /// The value of the `traceparent` header, sampled (W3C Trace Context,
    /// section 3.2).
    pub fn traceparent(&self) -> String {
        format!("00-{}-{}-01", self.trace_id, self.span_id)
    }
}

/// Text that is not an id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {kind} id: {digits} hex digits, not all zero")]
pub struct IdError {
    text: String,
    kind: &'static str,
    digits: usize,
}

impl TraceId {
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let id = u128::from_be_bytes(bytes.try_into().ok()?);
        (id != 0).then_some(Self(id))
    }
}

impl SpanId {
    fn new(random: &mut impl rand::Rng) -> Self {
        Self(random.next_u64().max(1))
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let id = u64::from_be_bytes(bytes.try_into().ok()?);
        (id != 0).then_some(Self(id))
    }
}

/// `digits` hex digits that are not all zero, or why not.
fn parse_hex(text: &str, kind: &'static str, digits: usize) -> Result<u128, IdError> {
    let hex = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let id = if hex { u128::from_str_radix(text, 16).unwrap_or(0) } else { 0 };
    if id == 0 { Err(IdError { text: text.to_owned(), kind, digits }) } else { Ok(id) }
}

impl FromStr for TraceId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        parse_hex(text, "trace", 32).map(Self)
    }
}

impl FromStr for SpanId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let id = parse_hex(text, "span", 16)?;
        Ok(Self(u64::try_from(id).expect("16 hex digits are 64 bits")))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl From<TraceId> for String {
    fn from(id: TraceId) -> Self {
        id.to_string()
    }
}

impl From<SpanId> for String {
    fn from(id: SpanId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for TraceId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl TryFrom<String> for SpanId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}
