//! No figure is told over a link that is not what it claims to be.

use axum::http::Method;
use serde_json::{Value, json};

use crate::support::attached::{Attached, LINK, Meddle, OWNER, READER, leave_alone};

const FILE_BYTES: u64 = 4 << 20;

/// One file over the first of two links of this shape.
fn topology(shape: &str) -> String {
    format!(
        "version: 1\n\
         name: misshapen\n\
         defaults: {{ peer: {{ mount: false }} }}\n\
         peers: {{ \"{OWNER}\": {{}}, \"{READER}\": {{}} }}\n\
         links:\n\
         \x20 - {{ a: \"{READER}\", b: \"{OWNER}\", both: {shape} }}\n\
         dataset:\n\
         \x20 - {{ peer: \"{OWNER}\", path: f.bin, size: {FILE_BYTES}B }}\n\
         scenario:\n\
         \x20 steps:\n\
         \x20   - transfer: {{ name: push, from: \"{OWNER}\", to: \"{READER}\", path: f.bin, mode: push }}\n"
    )
}

/// Whenever a toxic of this type is made or changed: gives it other attributes.
fn change(
    kind: &str,
    changed: fn(&Value) -> Value,
    path: &str,
    toxic: &Value,
) -> Vec<(String, Value)> {
    if !path.contains("/toxics") || toxic["type"] != kind {
        return Vec::new();
    }
    let (proxy, _) = path.split_once("/toxics").expect("looked for above");
    let name = toxic["name"].as_str().expect("a toxic has a name");
    vec![(format!("{proxy}/toxics/{name}"), changed(&toxic["attributes"]))]
}

fn longer(attributes: &Value) -> Value {
    let latency_ms = attributes["latency"].as_f64().expect("a latency is a number");
    json!({ "latency": latency_ms + 10.0 })
}

fn slower(attributes: &Value) -> Value {
    let rate = attributes["rate"].as_f64().expect("a rate is a number");
    json!({ "rate": rate * 0.8 })
}

/// What the run says of the link, and what it measured, in its unit.
fn misshapen(meddle: Meddle, shape: &str, asked: &str) -> f64 {
    let attached = Attached::start(meddle, false);
    let result = attached.run(&topology(shape)).finish().result(4);
    assert_eq!(result["outcome"], "error");
    assert_eq!(result["turns"], json!([]), "nothing was measured over it");
    let reasons = result["reasons"].as_array().expect("reasons");
    let reason = reasons[0].as_str().expect("a sentence");
    assert!(reason.contains(&format!("link {LINK}")) && reason.contains(asked), "{reason}");
    let (_, measured) = reason.split_once("measured ").expect("what was measured is told");
    measured.split(' ').next().and_then(|number| number.parse().ok()).expect("a number")
}

/// Parts that nobody meddles with: what fails below fails for its own reason.
#[test]
fn a_link_that_is_left_alone() {
    let attached = Attached::start(leave_alone, false);
    let result = attached.run(&topology("{ rtt: 50ms }")).finish().result(0);
    let probe = &result["turns"][0]["links"][0];
    let rtt_us = |key: &str| probe[key].as_u64().expect("microseconds");
    assert!(rtt_us("rtt_measured_us").abs_diff(50_000) <= 1_000, "{probe}");
    assert!(rtt_us("rtt_after_us").abs_diff(50_000) <= 1_000, "{probe}");
    assert_eq!(probe["drifted"], false, "{probe}");
    assert_eq!(result["warnings"], json!([]));
    let step = &result["turns"][0]["steps"][0];
    let down = &step["traffic"]["down"];
    assert_eq!(down["bytes"], step["link_bytes"]);
    assert!(down["bytes"].as_u64() >= Some(FILE_BYTES), "{step}");
    // 25 ms each way hold some of it.
    assert!(down["queued_bytes_max"].as_u64() > Some(0), "{step}");
    assert!(down["first_unix_us"].as_u64() < down["last_unix_us"].as_u64(), "{step}");
    assert!(step["traffic"]["up"]["bytes"].as_u64() > Some(0), "{step}");
}

#[test]
fn a_link_with_another_delay() {
    let measured_ms = misshapen(
        |_, path, toxic| change("latency", longer, path, toxic),
        "{ rtt: 50ms }",
        "an RTT of 50 ms",
    );
    // 20 ms more than asked for, of which the link's correction may have taken 2 ms off.
    assert!((68.0..80.0).contains(&measured_ms), "{measured_ms} ms");
}

#[test]
fn a_link_with_another_rate() {
    let measured_mbit = misshapen(
        |_, path, toxic| change("bandwidth", slower, path, toxic),
        "{ rtt: 10ms, rate: 20Mbit/s }",
        "a rate of 20.00 Mbit/s",
    );
    assert!((15.0..17.0).contains(&measured_mbit), "{measured_mbit} Mbit/s");
}

/// The rate is right at first: this is what the test above is measured against.
#[test]
fn a_link_with_its_rate() {
    let attached = Attached::start(leave_alone, false);
    let topology = topology("{ rtt: 10ms, rate: 20Mbit/s }");
    let result = attached.run(&topology).finish().result(0);
    let rates = result["turns"][0]["links"][0]["rates"].as_array().expect("rates");
    assert_eq!(rates.len(), 2, "both directions were asked to have one: {rates:?}");
    for rate in rates {
        let measured = rate["measured_bits_per_s"].as_f64().expect("a rate");
        assert!((19.4e6..20.6e6).contains(&measured), "{rate}");
    }
}

/// Once the file is over, the link becomes slower: the figure stands, and the result
/// says that it is doubtful.
#[test]
fn a_link_that_drifts() {
    let meddle: Meddle = |method, path, counters| {
        let sent_bytes = counters[LINK]["downstream"]["sent_bytes"].as_u64();
        let is_over = path == "/dropbed/counters" && sent_bytes >= Some(FILE_BYTES);
        if method != Method::GET || !is_over {
            return Vec::new();
        }
        vec![(format!("/proxies/{LINK}/toxics/latency_downstream"), json!({ "latency": 45 }))]
    };
    let attached = Attached::start(meddle, false);
    let result = attached.run(&topology("{ rtt: 50ms }")).finish().result(0);
    let probe = &result["turns"][0]["links"][0];
    assert!(probe["rtt_measured_us"].as_u64() < Some(51_001), "{probe}");
    assert!(probe["rtt_after_us"].as_u64() >= Some(69_000), "{probe}");
    assert_eq!(probe["drifted"], true, "{probe}");
    let warnings = result["warnings"].to_string();
    assert!(warnings.contains(&format!("link {LINK} drifted")), "{warnings}");
    assert!(warnings.contains(&format!("link {LINK} was changed")), "{warnings}");
}

/// What a round trip does not show: the proxy itself is asked.
#[test]
fn a_link_with_another_toxic_of_somebody_else() {
    let meddle: Meddle = |_, path, toxic| {
        // Shorter than what is asked, by less than a probe tells.
        change(
            "latency",
            |old| json!({ "latency": old["latency"].as_f64().unwrap_or(0.0) - 0.2 }),
            path,
            toxic,
        )
    };
    let attached = Attached::start(meddle, false);
    let result = attached.run(&topology("{ rtt: 50ms }")).finish().result(4);
    let reasons = result["reasons"].to_string();
    assert!(reasons.contains(&format!("link {LINK}")), "{reasons}");
    assert!(reasons.contains("toxic latency_upstream is"), "{reasons}");
}

#[test]
fn a_link_without_its_jitter() {
    let measured_ms = misshapen(
        |_, path, toxic| change("latency", |_| json!({ "jitter": 0 }), path, toxic),
        "{ rtt: 50ms, jitter: 5ms }",
        "jitter of 5 ms up and 5 ms down",
    );
    assert!(measured_ms < 1.5, "{measured_ms} ms");
}

/// A daemon that is told its peer's own address: everything is as fast as it should
/// be over a link without delay, and only the bytes on the link tell.
#[test]
fn a_daemon_that_goes_round_the_proxy() {
    let attached = Attached::start(leave_alone, true);
    let result = attached.run(&topology("{ rtt: 0ms }")).finish().result(1);
    assert_eq!(result["outcome"], "fail");
    let reasons = result["reasons"].to_string();
    let said = format!("only 0 of {FILE_BYTES} bytes crossed the link {LINK}");
    assert!(reasons.contains(&said) && reasons.contains("round the proxy"), "{reasons}");
}

/// Jitter widens what a probe may find, by a rule, and takes more samples.
#[test]
fn a_link_that_jitters() {
    let attached = Attached::start(leave_alone, false);
    let topology = topology("{ rtt: 50ms, jitter: 5ms }");
    let result = attached.run(&topology).finish().result(0);
    let probe = &result["turns"][0]["links"][0];
    let samples: Vec<u64> =
        probe["samples_us"].as_array().expect("samples").iter().filter_map(Value::as_u64).collect();
    assert!(samples.len() > 9, "{probe}");
    let (least, most) = (samples.iter().min(), samples.iter().max());
    assert!(least < Some(&47_000) && most > Some(&53_000), "it jitters: {probe}");
    let of = |key: &str| probe[key].as_u64().expect("microseconds");
    let off_us = of("rtt_measured_us").abs_diff(50_000 + of("held_back_us"));
    assert!(off_us <= of("rtt_tolerance_us") && of("rtt_tolerance_us") < 6_000, "{probe}");
}
