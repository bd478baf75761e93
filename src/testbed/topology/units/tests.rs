use proptest::prelude::*;

use super::{
    CpusMilli, DurationUs, RateBits, SizeBytes, UnitError, cpus_milli, duration_us,
    rate_bits_per_s, share_permille, size_bytes,
};

fn explained(result: Result<u64, UnitError>) -> String {
    let error = result.unwrap_err();
    format!("{}; {}", error.message, error.hint)
}

#[test]
fn right_spellings() {
    assert_eq!(duration_us("50ms"), Ok(50_000));
    assert_eq!(duration_us("1.5s"), Ok(1_500_000));
    assert_eq!(duration_us("200us"), Ok(200));
    assert_eq!(duration_us("200µs"), Ok(200));
    assert_eq!(duration_us("2min"), Ok(120_000_000));
    assert_eq!(duration_us("2000 ns"), Ok(2));
    assert_eq!(duration_us("0ms"), Ok(0));
    assert_eq!(size_bytes("64MiB"), Ok(64 << 20));
    assert_eq!(size_bytes("1GB"), Ok(1_000_000_000));
    assert_eq!(size_bytes("512KiB"), Ok(512 << 10));
    assert_eq!(size_bytes("0.5KiB"), Ok(512));
    assert_eq!(size_bytes("100B"), Ok(100));
    assert_eq!(rate_bits_per_s("100Mbit/s"), Ok(100_000_000));
    assert_eq!(rate_bits_per_s("12.5MB/s"), Ok(100_000_000));
    assert_eq!(share_permille("50%"), Ok(500));
    assert_eq!(share_permille("12.5%"), Ok(125));
}

#[test]
fn rates_are_shown_in_the_largest_exact_unit() {
    let shown = [0, 8, 384_000, 1_500_000, 1_000_000_000].map(|bits| RateBits(bits).to_string());
    assert_eq!(shown, ["0bit/s", "8bit/s", "384kbit/s", "1500kbit/s", "1Gbit/s"]);
}

#[test]
fn wrong_spellings_say_what_to_write() {
    let explanations = [
        explained(duration_us("50")),
        explained(duration_us("50m")),
        explained(duration_us("50MS")),
        explained(duration_us("-5ms")),
        explained(duration_us("1500ns")),
        explained(duration_us("1.2.3s")),
        explained(duration_us("NaN")),
        explained(duration_us("1e3ms")),
        explained(duration_us("99999999999999999h")),
        explained(duration_us("99999999999999999999999999999999999999999999s")),
        explained(size_bytes("64")),
        explained(size_bytes("64M")),
        explained(size_bytes("64KB")),
        explained(size_bytes("64mib")),
        explained(size_bytes("0.3B")),
        explained(size_bytes("99999999TB")),
        explained(size_bytes("")),
        explained(rate_bits_per_s("100Mbps")),
        explained(rate_bits_per_s("100")),
        explained(share_permille("50")),
        explained(share_permille("0.01%")),
        explained(cpus_milli("500m")),
        explained(cpus_milli("half")),
        explained(cpus_milli("-1")),
        explained(cpus_milli("0.0005")),
        explained(cpus_milli("99999999999999999999")),
    ];
    insta::assert_snapshot!(explanations.join("\n"));
}

proptest! {
    #[test]
    fn what_is_shown_parses_to_the_same(value in 0_u64..1 << 60) {
        prop_assert_eq!(size_bytes(&SizeBytes(value).to_string()), Ok(value));
        prop_assert_eq!(duration_us(&DurationUs(value).to_string()), Ok(value));
        prop_assert_eq!(rate_bits_per_s(&RateBits(value).to_string()), Ok(value));
        prop_assert_eq!(cpus_milli(&CpusMilli(value).to_string()), Ok(value));
    }

    #[test]
    fn no_text_panics(text in "\\PC*") {
        let _ = duration_us(&text);
        let _ = size_bytes(&text);
        let _ = rate_bits_per_s(&text);
        let _ = share_permille(&text);
        let _ = cpus_milli(&text);
    }
}
