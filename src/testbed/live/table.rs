//! Live links as text. Pure.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use super::probe::Verdict;
use super::view::LinkView;
use crate::testbed::plan::{OneWay, RateScope};
use crate::testbed::report::{bytes, styled};
use crate::testbed::result::{Direction, rate_text};
use crate::testbed::scenario::link::RATE_TOLERANCE_PERCENT;
use crate::testbed::topology::units::RateBits;
use crate::toxiproxy::api::{ConnectionCounters, StreamCounters, Toxic};

/// Where a server does not count.
const NOT_COUNTED: &str = "not counted";

/// A row for each link.
pub(crate) fn list(views: &[LinkView]) -> String {
    let header = [
        "link",
        "listen -> upstream",
        "enabled",
        "up",
        "down",
        "other toxics",
        "open",
        "bytes up",
        "bytes down",
    ];
    let rows = views.iter().map(row).collect();
    let words = 6;
    styled(header.map(String::from).to_vec(), rows, words) + "\n"
}

fn row(view: &LinkView) -> Vec<String> {
    let counted = |of: fn(&LinkView) -> Option<String>| of(view).unwrap_or_else(|| "-".into());
    let others: Vec<&str> = view.others().map(|toxic| toxic.name.as_str()).collect();
    vec![
        view.name.clone(),
        format!("{} -> {}", view.listen, view.upstream),
        yes_or_no(view.enabled).into(),
        way(&view.shape.up),
        way(&view.shape.down),
        others.join(", "),
        counted(|view| Some(view.counters.as_ref()?.connections_open.to_string())),
        counted(|view| Some(bytes(view.counters.as_ref()?.upstream.sent_bytes))),
        counted(|view| Some(bytes(view.counters.as_ref()?.downstream.sent_bytes))),
    ]
}

/// Everything of one link.
pub(crate) fn whole(view: &LinkView) -> String {
    let mut facts = Vec::new();
    let mut fact = |name: &str, value: String| facts.push(vec![name.to_owned(), value]);
    if let (Some(dialler), Some(dial)) = (&view.dialler, &view.dial) {
        fact("dialler", format!("{dialler}, dials {dial}"));
    }
    let state = if view.enabled { "" } else { " (disabled: nobody can connect)" };
    fact("proxy", format!("listens on {}, dials {}{state}", view.listen, view.upstream));
    if let Some(listener) = &view.listener {
        fact("listener", listener.clone());
        let host = view.host.clone();
        fact(
            "from this host",
            host.unwrap_or_else(|| "no address known: this runtime publishes none".into()),
        );
    }
    fact("up, towards the listener", way(&view.shape.up));
    fact("down, towards the dialler", way(&view.shape.down));
    if let Some(asked) = view.asked {
        fact("the run asks for", format!("{} up, {} down", way(&asked.up), way(&asked.down)));
    }
    if view.correction_us != 0 {
        let adds = millis(view.correction_us as f64 / 1e3);
        fact("the path itself adds", format!("{adds} to the round trip; the toxics are less that"));
    }
    let mut out = format!("link {}\n", view.name);
    for fact in &facts {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "  {:<26} {}", fact[0], fact[1]);
    }
    let parts = [toxics(&view.toxics), counters(view), connections(view.connections.as_deref())];
    for part in parts.iter().filter(|part| !part.is_empty()) {
        let _ = write!(out, "\n{part}");
    }
    out
}

fn toxics(toxics: &[Toxic]) -> String {
    if toxics.is_empty() {
        return "no toxics\n".to_owned();
    }
    let header = ["toxic", "type", "stream", "attributes", "toxicity"];
    let row = |toxic: &Toxic| {
        let attributes = toxic.effect.attributes();
        let attributes: Vec<String> = attributes
            .iter()
            .map(|(name, value)| {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                format!("{name}={text}")
            })
            .collect();
        vec![
            toxic.name.clone(),
            toxic.effect.kind().to_owned(),
            toxic.stream.name().to_owned(),
            attributes.join(" "),
            toxic.toxicity.to_string(),
        ]
    };
    let rows = toxics.iter().map(row).collect();
    styled(header.map(String::from).to_vec(), rows, 4) + "\n"
}

fn counters(view: &LinkView) -> String {
    let Some(counted) = &view.counters else {
        return format!("connections and bytes: {NOT_COUNTED} by this server\n");
    };
    let header = ["direction", "in", "out", "queued", "queued at most", "first byte", "last byte"];
    let row = |name: &str, way: &StreamCounters| {
        vec![
            name.to_owned(),
            bytes(way.received_bytes),
            bytes(way.sent_bytes),
            bytes(way.queued_bytes),
            bytes(way.queued_bytes_max),
            moment(way.first_sent_unix_us),
            moment(way.last_sent_unix_us),
        ]
    };
    let rows = vec![row("up", &counted.upstream), row("down", &counted.downstream)];
    let table = styled(header.map(String::from).to_vec(), rows, 1);
    format!(
        "{table}\nconnections: {} open, {} since the start, {} could not be dialled\n",
        counted.connections_open, counted.connections_opened, counted.dials_failed
    )
}

fn connections(connections: Option<&[ConnectionCounters]>) -> String {
    let Some(connections @ [_, ..]) = connections else { return String::new() };
    let header = ["connection", "from", "opened", "closed", "bytes up", "bytes down"];
    let row = |connection: &ConnectionCounters| {
        vec![
            connection.ordinal.to_string(),
            connection.client.clone(),
            moment(Some(connection.opened_unix_us)),
            connection.closed_unix_us.map_or_else(|| "open".into(), |us| moment(Some(us))),
            bytes(connection.upstream.sent_bytes),
            bytes(connection.downstream.sent_bytes),
        ]
    };
    let rows = connections.iter().map(row).collect();
    styled(header.map(String::from).to_vec(), rows, 2) + "\n"
}

/// What a probe found, a line for each quantity.
pub(crate) fn verdict(verdict: &Verdict) -> String {
    let probe = &verdict.probe;
    let ms = |us: u64| millis(us as f64 / 1e3);
    let mut passing = String::new();
    if probe.serialisation_us > 0 {
        passing += &format!(" and {} for a ping's bytes at its rates", ms(probe.serialisation_us));
    }
    if probe.held_back_us > 0 {
        passing += &format!(" and {} for its jitter", ms(probe.held_back_us));
    }
    let mut out = format!(
        "{}: link {}: RTT asked {}{passing}, measured {} (median of {}, tolerance {})\n",
        word(verdict.rtt_is_right),
        probe.link,
        ms(probe.rtt_asked_us),
        ms(probe.rtt_measured_us),
        probe.samples_us.len(),
        ms(probe.rtt_tolerance_us)
    );
    for (rate, &right) in probe.rates.iter().zip(&verdict.rates_are_right) {
        let towards = match rate.direction {
            Direction::Up => "up",
            Direction::Down => "down",
        };
        let _ = writeln!(
            out,
            "{}: link {}: rate {towards} asked {}, measured {} (burst of {}, tolerance \
             {RATE_TOLERANCE_PERCENT} %)",
            word(right),
            probe.link,
            rate_text(rate.asked_bits_per_s),
            rate_text(rate.measured_bits_per_s),
            bytes(rate.burst_bytes)
        );
    }
    out
}

const fn word(right: bool) -> &'static str {
    if right { "right" } else { "WRONG" }
}

const fn yes_or_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

/// `25ms`, or `24.62ms ±5ms 10Mbit/s`.
fn way(way: &OneWay) -> String {
    let mut text = millis(way.latency_us as f64 / 1e3);
    if way.jitter_us > 0 {
        text += &format!(" \u{b1}{}", millis(way.jitter_us as f64 / 1e3));
    }
    if let Some(bits) = way.rate_bits_per_s {
        text += &format!(" {}", RateBits(bits));
        if way.rate_scope == RateScope::Connection {
            text += " per connection";
        }
    }
    text
}

/// Exact to the microsecond, without zeros that say nothing.
fn millis(ms: f64) -> String {
    let text = format!("{ms:.3}");
    format!("{}ms", text.trim_end_matches('0').trim_end_matches('.'))
}

/// A time of day in UTC: a link lives for minutes.
fn moment(unix_us: Option<u64>) -> String {
    let Some(us) = unix_us else { return "-".to_owned() };
    let Some(time) = SystemTime::UNIX_EPOCH.checked_add(Duration::from_micros(us)) else {
        return us.to_string();
    };
    let text = humantime::format_rfc3339_millis(time).to_string();
    text.split_once('T').map_or_else(|| text.clone(), |(_, time)| time.to_owned())
}

#[cfg(test)]
mod tests;
