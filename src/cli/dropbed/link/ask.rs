//! From the text of `dropbed link set` to what is asked for. Pure.

use serde_json::{Map, Value};

use super::{SetArgs, ShapeArgs, ToxicArgs};
use crate::testbed::live::change::{Change, Towards};
use crate::testbed::live::error::LinkError;
use crate::testbed::live::site::Action;
use crate::testbed::topology::units::{self, DurationUs, RateBits, UnitError};
use crate::testbed::topology::{defaults, suggest};
use crate::toxiproxy::api::{Effect, Stream, Toxic};

/// Types of toxics that the bundled server knows.
pub(super) const TYPES: [&str; 14] = [
    "latency",
    "bandwidth",
    "slow_close",
    "timeout",
    "reset_peer",
    "slicer",
    "limit_data",
    "stall",
    "blackhole",
    "half_open",
    "cut_after",
    "slow_connect",
    "corrupt",
    "reset",
];

/// What `--rate` says to take a rate off.
const UNLIMITED: &str = "unlimited";

/// A rate in bits per second; none: unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate(pub(super) Option<u64>);

/// `key=value` of a toxic: a number where it reads as one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Attribute {
    name: String,
    value: Value,
}

pub(super) fn latency_us(text: &str) -> Result<u64, String> {
    within(units::duration_us(text).map_err(hinted)?, defaults::LATENCY_US_MAX)
}

pub(super) fn rtt_us(text: &str) -> Result<u64, String> {
    let rtt_us = within(units::duration_us(text).map_err(hinted)?, 2 * defaults::LATENCY_US_MAX)?;
    if rtt_us.is_multiple_of(2) {
        return Ok(rtt_us);
    }
    Err(format!(
        "half of it is not a whole number of microseconds\n  hint: write `{}us`, or give \
         --latency, one way",
        rtt_us + 1
    ))
}

fn within(us: u64, max_us: u64) -> Result<u64, String> {
    if us <= max_us { Ok(us) } else { Err(format!("at most {}", DurationUs(max_us))) }
}

pub(super) fn rate(text: &str) -> Result<Rate, String> {
    if text == UNLIMITED {
        return Ok(Rate(None));
    }
    let bits = units::rate_bits_per_s(text).map_err(hinted)?;
    let (min, max) = (defaults::RATE_BITS_PER_S_MIN, defaults::RATE_BITS_PER_S_MAX);
    if !(min..=max).contains(&bits) {
        let (min, max) = (RateBits(min), RateBits(max));
        return Err(format!("from {min} to {max}\n  hint: `{UNLIMITED}` is no limit"));
    }
    if !bits.is_multiple_of(8) {
        let next = RateBits(bits.next_multiple_of(8));
        return Err(format!("not a whole number of bytes per second\n  hint: write `{next}`"));
    }
    Ok(Rate(Some(bits)))
}

pub(super) fn attribute(text: &str) -> Result<Attribute, String> {
    let Some((name, value)) = text.split_once('=').filter(|(name, _)| !name.is_empty()) else {
        return Err("no `=`\n  hint: write `key=value`, for example `-a bytes=65536`".into());
    };
    let number = serde_json::from_str(value).ok().filter(Value::is_number);
    Ok(Attribute { name: name.to_owned(), value: number.unwrap_or_else(|| value.into()) })
}

pub(super) fn stream(text: &str) -> Result<Stream, String> {
    match text {
        "up" => Ok(Stream::Upstream),
        "down" => Ok(Stream::Downstream),
        other => Stream::parse(other).ok_or_else(|| "write `up` or `down`".to_owned()),
    }
}

pub(super) fn toxicity(text: &str) -> Result<f64, String> {
    let share: Option<f64> = text.parse().ok();
    share
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| "write a share from 0 to 1, for example 0.5".to_owned())
}

fn hinted(UnitError { message, hint }: UnitError) -> String {
    format!("{message}\n  hint: {hint}")
}

/// The one thing to do.
pub(super) fn action(arguments: &SetArgs) -> Result<Action, LinkError> {
    let SetArgs { link, shape, toxic, enable, disable } = arguments;
    if *enable || *disable {
        return Ok(Action::Enable(*enable));
    }
    if let Some(name) = &toxic.remove {
        return Ok(Action::Remove(name.clone()));
    }
    if let Some(kind) = &toxic.add {
        return added(link, kind, toxic).map(Action::Add);
    }
    changed(link, shape).map(Action::Shape)
}

fn changed(link: &str, shape: &ShapeArgs) -> Result<Change, LinkError> {
    let ShapeArgs { rtt, latency, jitter, rate, direction } = *shape;
    let refuse = |what: &str, hint: &str| {
        Err(LinkError::Change { link: link.to_owned(), what: what.into(), hint: hint.into() })
    };
    if rtt.is_none() && latency.is_none() && jitter.is_none() && rate.is_none() {
        return refuse(
            "nothing to set",
            "give --rtt, --latency, --jitter, --rate, --add, --remove, --enable or --disable",
        );
    }
    if rtt.is_some() && direction != Towards::Both {
        return refuse(
            "--rtt is there and back, and only one direction is to be changed",
            "give --latency, one way",
        );
    }
    Ok(Change {
        latency_us: latency.or_else(|| rtt.map(|rtt_us| rtt_us / 2)),
        jitter_us: jitter,
        rate_bits_per_s: rate.map(|Rate(bits_per_s)| bits_per_s),
        towards: direction,
    })
}

/// A type that no server here knows is left to the server, unless it is a slip.
fn added(link: &str, kind: &str, arguments: &ToxicArgs) -> Result<Toxic, LinkError> {
    let refuse =
        |what: String, hint: String| LinkError::Change { link: link.to_owned(), what, hint };
    if let Some(meant) = suggest::nearest(kind, TYPES).filter(|meant| *meant != kind) {
        let what = format!("there is no toxic of type `{kind}`");
        return Err(refuse(what, format!("did you mean `{meant}`?")));
    }
    let given: Map<String, Value> =
        arguments.attributes.iter().map(|a| (a.name.clone(), a.value.clone())).collect();
    let effect = Effect::parse(kind, &given)
        .and_then(|effect| effect.check_names(&given).map(|()| effect))
        .map_err(|error| {
            let hint = "give attributes with -a key=value, in the units of Toxiproxy's API";
            refuse(format!("cannot add a toxic of type {kind}: {error}"), hint.to_owned())
        })?;
    // The API's own default.
    let stream = arguments.stream.unwrap_or(Stream::Downstream);
    let mut toxic = Toxic::new(stream, effect);
    toxic.toxicity = arguments.toxicity.unwrap_or(toxic.toxicity);
    toxic.name = arguments.name.clone().unwrap_or(toxic.name);
    Ok(toxic)
}
