use super::super::super::super::defaults;
use super::*;

#[test]
fn every_name_is_a_preset_that_a_file_could_spell_out() {
    for name in NAMES {
        let Preset { forth, back } = find(name).unwrap();
        for way in [forth, back] {
            assert!(way.jitter_us <= way.latency_us, "{name}");
            assert!(way.latency_us <= defaults::LATENCY_US_MAX, "{name}");
            let rates = defaults::RATE_BITS_PER_S_MIN..=defaults::RATE_BITS_PER_S_MAX;
            assert!(way.rate_bits_per_s.is_none_or(|rate| rates.contains(&rate)), "{name}");
            assert!(way.rate_bits_per_s.is_none_or(|rate| rate.is_multiple_of(8)), "{name}");
        }
    }
    assert_eq!(find("LAN"), None);
}

#[test]
fn only_dsl_has_a_slow_side() {
    let slow = NAMES.into_iter().filter(|name| {
        let Preset { forth, back } = find(name).unwrap();
        assert!(forth.rate_bits_per_s <= back.rate_bits_per_s, "{name}: `a` is the slow end");
        forth != back
    });
    assert_eq!(slow.collect::<Vec<_>>(), ["dsl"]);
}
