use super::*;

fn host(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

fn ends(seen: &[(IpAddr, Stage)]) -> Vec<usize> {
    let mut ends: Vec<usize> = (0..24).filter_map(|drawn| gives_way(seen, drawn)).collect();
    ends.sort_unstable();
    ends.dedup();
    ends
}

#[test]
fn who_was_refused_goes_first_and_sessions_last() {
    use Stage::{Agreed, Refused, UnderWay};
    let stages = |stages: &[Stage]| -> Vec<(IpAddr, Stage)> {
        stages.iter().map(|stage| (host(1), *stage)).collect()
    };
    assert_eq!(ends(&stages(&[Agreed, UnderWay, Refused, Refused])), [2]);
    assert_eq!(ends(&stages(&[Agreed, UnderWay, UnderWay, Agreed])), [1, 2]);
    assert_eq!(ends(&stages(&[Agreed, Agreed])), [0]);
    assert_eq!(gives_way(&[], 3), None);
}

#[test]
fn a_flood_from_one_network_ends_only_its_own() {
    let mut seen = vec![(host(1), Stage::UnderWay), (host(2), Stage::UnderWay)];
    seen.extend([(host(9), Stage::UnderWay); 3]);
    seen.insert(3, (host(3), Stage::UnderWay));
    assert_eq!(ends(&seen), [2, 4, 5]);
    // From everywhere at once: anybody, by lot.
    let seen: Vec<_> = (1..=4).map(|last| (host(last), Stage::UnderWay)).collect();
    assert_eq!(ends(&seen), [0, 1, 2, 3]);
}

#[test]
fn a_host_is_an_address_or_a_network_of_64_bits() {
    let address = |text: &str| network(text.parse().unwrap());
    assert_eq!(address("2001:db8::1"), address("2001:db8::ffff:1"));
    assert_ne!(address("2001:db8::1"), address("2001:db8:0:1::1"));
    assert_ne!(address("192.0.2.1"), address("192.0.2.2"));
    assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
}
