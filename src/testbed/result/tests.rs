use super::*;

#[test]
fn rates_are_readable() {
    for (bits_per_s, text) in [
        (0, "0 bit/s"),
        (999, "999 bit/s"),
        (64_000, "64.00 kbit/s"),
        (8_312_345, "8.312 Mbit/s"),
        (100_000_000, "100.0 Mbit/s"),
        (1_500_000_000, "1.500 Gbit/s"),
    ] {
        assert_eq!(rate_text(bits_per_s), text);
    }
}

/// A result from before links had rates can still be read.
#[test]
fn an_older_probe_is_read() {
    let text =
        r#"{"link":"b:a","rtt_asked_us":50000,"rtt_measured_us":50100,"samples_us":[50100]}"#;
    let probe: LinkProbe = serde_json::from_str(text).unwrap();
    assert_eq!((probe.rtt_expected_us(), probe.drifted, probe.rates.len()), (50_000, false, 0));
}
