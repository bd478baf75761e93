//! Toxics: what is done to one stream of a proxy.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::effect::{Bandwidth, Effect, Latency};
use super::quantity::{Millis, RateBytes};

/// A direction through the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Client to server.
    Upstream,
    /// Server to client. The default of the API.
    Downstream,
}

impl Stream {
    /// Both, in the order of [`Self::index`].
    pub const ALL: [Self; 2] = [Self::Upstream, Self::Downstream];

    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Downstream => "downstream",
        }
    }

    /// 0 or 1, for tables by stream.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Reads a name in any case, as the stock server does.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stream| stream.name().eq_ignore_ascii_case(name))
    }
}

/// One toxic of a proxy.
#[derive(Clone, Debug, PartialEq)]
pub struct Toxic {
    /// Unique in the proxy, over both streams.
    pub name: String,
    /// The direction it acts on.
    pub stream: Stream,
    /// Share of connections it acts on, 0 to 1; drawn once per connection and
    /// direction.
    pub toxicity: f64,
    /// What it does.
    pub effect: Effect,
}

impl Toxic {
    /// A toxic on every connection, under the API's default name.
    pub fn new(stream: Stream, effect: Effect) -> Self {
        Self { name: format!("{}_{}", effect.kind(), stream.name()), stream, toxicity: 1.0, effect }
    }

    /// A latency without jitter on every connection, under the API's default name.
    pub fn latency(stream: Stream, latency: Millis) -> Self {
        Self::new(stream, Effect::Latency(Latency { latency, jitter: Millis::ZERO }))
    }

    /// A rate that all connections share, under the API's default name.
    pub fn bandwidth(stream: Stream, rate: RateBytes) -> Self {
        Self::new(stream, Effect::Bandwidth(Bandwidth { rate, ..Bandwidth::default() }))
    }
}

/// Body of `POST /proxies/{proxy}/toxics`, before defaults and checks.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ToxicDraft {
    /// None or empty: `<type>_<stream>`.
    pub name: Option<String>,
    /// None is no known type.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// None: downstream.
    pub stream: Option<String>,
    /// None: 1.
    pub toxicity: Option<f64>,
    /// None: the type's defaults.
    pub attributes: Option<Map<String, Value>>,
}

/// Body of `PATCH /proxies/{proxy}/toxics/{toxic}`: what is none stays. The name,
/// type and stream of a toxic cannot change.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ToxicUpdate {
    /// Those to replace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributes: Option<Map<String, Value>>,
    /// 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub toxicity: Option<f64>,
}

#[derive(Serialize, Deserialize)]
struct ToxicWire {
    attributes: Map<String, Value>,
    name: String,
    #[serde(rename = "type")]
    kind: String,
    stream: Stream,
    toxicity: f64,
}

impl Serialize for Toxic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ToxicWire {
            attributes: self.effect.attributes(),
            name: self.name.clone(),
            kind: self.effect.kind().to_owned(),
            stream: self.stream,
            toxicity: self.toxicity,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Toxic {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ToxicWire { attributes, name, kind, stream, toxicity } =
            ToxicWire::deserialize(deserializer)?;
        // A stock server holds what it was given, out of range or not: that is told
        // as it is, and no reason not to understand the rest of the answer.
        let effect = Effect::parse(&kind, &attributes)
            .unwrap_or_else(|_| Effect::Other { kind, attributes });
        Ok(Self { name, stream, toxicity, effect })
    }
}
