use proptest::prelude::*;

use super::*;

fn subnet(text: &str) -> Subnet {
    text.parse().unwrap()
}

#[test]
fn mistakes_are_explained() {
    for text in ["10.0.0.0", "10.0.0/8", "10.0.0.0/33", "10.0.0.1/24", "10.0.0.0/x", ""] {
        let error = text.parse::<Subnet>().unwrap_err().to_string();
        assert!(error.contains("10.213.0.0/16"), "{error}");
    }
    assert_eq!(subnet("0.0.0.0/0").to_string(), "0.0.0.0/0");
}

#[test]
fn overlap_is_mutual_containment() {
    assert!(subnet("10.0.0.0/8").overlaps(subnet("10.213.4.0/28")));
    assert!(subnet("10.213.4.0/28").overlaps(subnet("10.0.0.0/8")));
    assert!(!subnet("10.213.4.0/28").overlaps(subnet("10.213.4.16/28")));
    assert!(subnet("0.0.0.0/0").overlaps(subnet("1.2.3.4/32")));
}

#[test]
fn what_is_taken_is_stepped_over() {
    let taken = [subnet("10.213.0.0/28"), subnet("10.213.0.32/30")];
    let free: Vec<_> = subnet("10.213.0.0/26").free(28, &taken, 3).map(|s| s.to_string()).collect();
    assert_eq!(free, ["10.213.0.48/28", "10.213.0.16/28"]);
    assert_eq!(subnet("10.213.0.0/30").free(28, &[], 0).count(), 0);
    assert_eq!(subnet("10.213.0.0/16").free(28, &[subnet("10.0.0.0/8")], 9).count(), 0);
}

#[test]
fn networks_are_as_small_as_they_can_be() {
    let sizes = [(0, 28), (13, 28), (14, 27), (29, 27), (30, 26), (253, 24), (254, 23)];
    for (containers, prefix) in sizes {
        assert_eq!(Subnet::prefix_for(containers), prefix, "{containers}");
    }
    assert_eq!(Subnet::prefix_for(usize::MAX), 0);
}

#[test]
fn routes_are_read_in_host_order() {
    // As a little-endian machine prints 172.17.0.0/16 and the default route.
    let text = format!(
        "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n\
         eth0 00000000 {:08X} 0003 0 0 0 00000000 0 0 0\n\
         docker0 {:08X} 00000000 0001 0 0 0 {:08X} 0 0 0\n",
        u32::from_be_bytes([172, 17, 0, 1]).to_be(),
        u32::from_be_bytes([172, 17, 0, 0]).to_be(),
        u32::from_be_bytes([255, 255, 0, 0]).to_be(),
    );
    assert_eq!(parse_routes(&text), [(subnet("172.17.0.0/16"), "docker0")]);
}

proptest! {
    #[test]
    fn free_networks_are_distinct_within_and_free(
        start: u32,
        taken in proptest::collection::vec((0_u32..256, 26_u8..=32), 0..6),
    ) {
        let pool = subnet("10.213.0.0/24");
        let taken: Vec<_> = taken
            .into_iter()
            .map(|(host, prefix)| Subnet { first: (pool.first + host) & mask(prefix), prefix })
            .collect();
        let free: Vec<_> = pool.free(28, &taken, start).collect();
        for (index, one) in free.iter().enumerate() {
            prop_assert!(one.overlaps(pool));
            prop_assert!(!taken.iter().any(|other| one.overlaps(*other)));
            prop_assert!(!free[..index].iter().any(|other| one.overlaps(*other)));
        }
        let blocked = (0..16_u32).filter(|index| {
            let block = Subnet { first: pool.first + index * 16, prefix: 28 };
            taken.iter().any(|other| block.overlaps(*other))
        });
        prop_assert_eq!(free.len(), 16 - blocked.count());
    }

    #[test]
    fn text_and_back(first: u32, prefix in 0_u8..=32) {
        let subnet = Subnet { first: first & mask(prefix), prefix };
        prop_assert_eq!(subnet.to_string().parse::<Subnet>().unwrap(), subnet);
        parse_routes(&format!("x\neth0 {first:x} 0 0 0 0 0 {prefix:x}"));
    }
}
